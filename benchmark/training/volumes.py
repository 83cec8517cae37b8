"""Volumes as a network should see them: heads of one size, intensities on one scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.imaging.regions import CSF_LEVEL, REFERENCE_HEAD_MM3

__all__ = ["NormaliseVolumes", "head_scale", "rescaled", "white_level"]

_LEAST, _LARGEST = 0.8, 1.25  # beyond what heads differ by: an empty or cropped volume stays put
_BRAIN_CENTRE, _BRAIN_SPREAD = 0.6, 0.5  # white matter is about 1, fluid about 0.3
# The Lehmer mean of a brain whose white matter is 1: 0.918 with sd 0.002 over 300 people of a
# development twin (six scanners), where the mean within the brain has sd 0.02.
_LEHMER_OF_WHITE_1 = 0.918
_BACKGROUND = 0.05


class NormaliseVolumes(nn.Module):
    """Takes head size out, as an affine registration would, and centres intensities.

    White matter sets the scale of intensities, not each volume's own mean and deviation: those
    change with the share of fluid, which is part of what is to be seen. Nothing is learned, and the
    scanner's gain does not matter.

    Args:
        spacing_mm: Voxel size of the store; 0 where there is no grid, which leaves the size alone.
    """

    def __init__(self, spacing_mm: float) -> None:
        super().__init__()
        self.spacing_mm = spacing_mm

    def forward(self, x: Tensor) -> Tensor:
        """Volumes as stored, (B, 1, D, H, W), to the same shape; background becomes 0."""
        x = x / white_level(x)[:, None, None, None, None]
        if self.spacing_mm > 0:
            x = rescaled(x, head_scale(x, self.spacing_mm))
        return torch.where(x > _BACKGROUND, (x - _BRAIN_CENTRE) / _BRAIN_SPREAD, 0.0)


def white_level(x: Tensor) -> Tensor:
    """Intensity of white matter in each volume, (B,), from the Lehmer mean sum x^4 / sum x^3.

    The high powers count the brightest tissue only, and a sum needs no sorting. 1 for an empty
    volume.

    Args:
        x: Volumes on any scale, (B, 1, D, H, W); what is below 0 does not count.
    """
    x = x.float().clamp_min(0)
    axes = (1, 2, 3, 4)
    cubes = x * x * x
    low = cubes.sum(dim=axes)
    level = (cubes * x).sum(dim=axes) / low.clamp_min(1e-12) / _LEHMER_OF_WHITE_1
    return torch.where(low > 0, level, 1.0)


def head_scale(x: Tensor, spacing_mm: float) -> Tensor:
    """Size of each head over the reference's, as a length, (B,), within 0.8 and 1.25.

    The same measure as ``head_size_mm3``: voxels weighted by how far they are brain.

    Args:
        x: Volumes with white matter at 1, (B, 1, D, H, W).
        spacing_mm: Voxel size.
    """
    voxels = (x.float() / CSF_LEVEL).clamp(0, 1).sum(dim=(1, 2, 3, 4))
    scale = (voxels * spacing_mm**3 / REFERENCE_HEAD_MM3) ** (1 / 3)
    return scale.clamp(_LEAST, _LARGEST)


def rescaled(x: Tensor, scale: Tensor) -> Tensor:
    """Shrinks each volume by its own factor about the grid's centre, linearly interpolated.

    Isotropic scaling separates into one matrix per axis, some forty times as fast as sampling
    every voxel at a point of its own. Outside the grid lies 0.

    Args:
        x: Volumes, (B, 1, D, H, W).
        scale: Voxels of the old grid per voxel of the new one, (B,); above 1 makes heads smaller.
    """
    n, _, depth, height, width = x.shape
    first, second, third = (
        _interpolation(size, scale).to(x.dtype) for size in (depth, height, width)
    )  # b new old
    x = torch.bmm(first, x.reshape(n, depth, height * width))  # b i' (j k)
    x = torch.matmul(second[:, None], x.reshape(n, depth, height, width))  # b i' j' k
    x = torch.matmul(x, third[:, None].transpose(2, 3))  # b i' j' k'
    return x[:, None]


def _interpolation(size: int, scale: Tensor) -> Tensor:
    """Weights of old positions (columns) at new ones (rows) along one axis, (B, size, size)."""
    position = torch.arange(size, device=scale.device, dtype=scale.dtype)
    centre = (size - 1) / 2
    wanted = (position - centre) * scale[:, None] + centre  # b new
    return (1 - (wanted[:, :, None] - position).abs()).clamp_min(0)
