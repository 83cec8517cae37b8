"""The store's grids at any spacing, and how a scan is sampled onto one.

Every grid covers at least 160 x 192 x 160 mm about one MNI point with an even number of voxels, the
grids of the phantoms among them. A voxel holds the mean over itself of samples about 1 mm apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.ndimage import affine_transform

from benchmark.errors import ConfigError
from benchmark.imaging.regions import grid_axes_mm

__all__ = ["FIELD_MM", "block_mean", "sample", "store_affine", "store_shape"]

FIELD_MM: Final = (160.0, 192.0, 160.0)
_SPACING_MM: Final = (0.5, 16.0)
_FINE_MM: Final = 1.0


def store_shape(spacing_mm: float) -> tuple[int, int, int]:
    """Voxels (D, H, W) of the store's grid.

    Raises:
        ConfigError: The spacing is not between 0.5 and 16 mm.
    """
    low, high = _SPACING_MM
    if not low <= spacing_mm <= high:
        raise ConfigError(f"spacing {spacing_mm!r} mm, expected {low:g} to {high:g}")
    d, h, w = (2 * int(np.ceil(extent / spacing_mm / 2 - 1e-9)) for extent in FIELD_MM)
    return d, h, w


def store_affine(shape: tuple[int, int, int], spacing_mm: float) -> np.ndarray:
    """(4, 4) from a grid's voxel indices to MNI coordinates in mm."""
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = [axis[0] for axis in grid_axes_mm(shape, spacing_mm)]
    return affine


def block_mean(fine: np.ndarray, factor: int) -> np.ndarray:
    """Means over cubes of ``factor`` voxels, float32."""
    d, h, w = (n // factor for n in fine.shape)
    blocks = fine[: d * factor, : h * factor, : w * factor].reshape(d, factor, h, factor, w, factor)
    mean: np.ndarray = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    return mean


def sample(
    data: np.ndarray, affine: np.ndarray, from_mni: np.ndarray, spacing_mm: float
) -> np.ndarray:
    """Samples an image onto the store's grid.

    Args:
        data: Intensities (D, H, W); what lies outside counts as 0.
        affine: (4, 4) from its voxels to its world, mm.
        from_mni: (4, 4) from MNI coordinates to that world.
        spacing_mm: Voxel size of the grid.

    Returns:
        float32 of :func:`store_shape`.
    """
    factor = max(1, round(spacing_mm / _FINE_MM))
    d, h, w = (n * factor for n in store_shape(spacing_mm))
    grid = store_affine((d, h, w), spacing_mm / factor)
    to_voxels = np.linalg.inv(affine) @ from_mni @ grid
    fine = affine_transform(
        np.asarray(data, dtype=np.float32),
        to_voxels[:3, :3],
        to_voxels[:3, 3],
        output_shape=(d, h, w),
        order=1,
    )
    return block_mean(fine, factor)
