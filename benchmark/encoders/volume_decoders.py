"""Decoders from a pyramid's maps back to the volume's grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monai.networks.blocks.segresnet_block import ResBlock, get_conv_layer, get_upsample_layer
from monai.networks.layers.utils import get_norm_layer
from monai.networks.utils import pixelshuffle
from torch import Tensor, nn

from benchmark.encoders.volume import cropped
from benchmark.errors import ConfigError, UnknownNameError

__all__ = ["NORMS", "ReconstructionDecoder", "SegmentationDecoder", "norm_of"]

NORMS = ("group", "batch")
_MOST_GROUPS = 8  # as in SegResNet


def norm_of(kind: str, channels: int) -> tuple[str, dict[str, Any]]:
    """A norm as MONAI names it.

    Args:
        kind: ``group``, in eight groups, or in as many as eight and the channels have in common; or
            ``batch``.
        channels: Channels of what is normalised.

    Raises:
        UnknownNameError: ``kind`` is not known.
    """
    if kind not in NORMS:
        raise UnknownNameError("norm", kind, NORMS)
    if kind == "batch":
        return "BATCH", {}
    return "GROUP", {"num_groups": math.gcd(_MOST_GROUPS, channels)}


class _Pyramid(nn.Module):
    """The up path of a SegResNet: 1x1x1 convolution, doubled sides, residual blocks.

    Where the finest map is coarser than the volume, the last convolution gives each position all
    of its voxels as channels (Shi et al. 2016, arXiv 1609.05158).
    """

    def __init__(
        self,
        widths: Sequence[int],
        out_channels: int,
        stride: int = 1,
        blocks: Sequence[int] | None = None,
        norm: str = "group",
    ) -> None:
        super().__init__()
        fine = list(widths[-2::-1])  # the coarsest of them first
        coarse = list(widths[:0:-1])
        counts = [1] * len(fine) if blocks is None else list(blocks)[::-1]
        if len(counts) != len(fine):
            raise ConfigError(
                f"a decoder of {len(widths)} scales has {len(fine)} scales of its own; expected as "
                f"many numbers of blocks, got {list(blocks or ())}"
            )
        self.stride = stride
        self.up = nn.ModuleList(
            nn.Sequential(
                get_conv_layer(3, before, after, kernel_size=1),
                get_upsample_layer(3, after),
            )
            for before, after in zip(coarse, fine, strict=True)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*(ResBlock(3, width, norm=norm_of(norm, width)) for _ in range(count)))
            for width, count in zip(fine, counts, strict=True)
        )
        self.last = nn.Sequential(
            get_norm_layer(name=norm_of(norm, widths[0]), spatial_dims=3, channels=widths[0]),
            nn.ReLU(),
            get_conv_layer(3, widths[0], out_channels * stride**3, kernel_size=1, bias=True),
        )

    def _decoded(self, h: Tensor, skips: Sequence[Tensor | None]) -> Tensor:
        x = h
        for up, block, skip in zip(self.up, self.blocks, reversed(skips), strict=True):
            x = up(x)  # b c i j k
            x = block(x if skip is None else x + skip)
        out: Tensor = self.last(x)
        return out if self.stride == 1 else pixelshuffle(out, 3, self.stride)


class SegmentationDecoder(_Pyramid):
    """From all maps of a pyramid to logits of each class in each voxel.

    Args:
        widths: Channels of the encoder's maps, the finest first: ``encoder.widths``.
        n_classes: Background included.
        stride: Voxels per position of the finest map along each axis: ``encoder.stride``.
        blocks: Residual blocks at each scale but the coarsest, the finest first; 1 by default.
        norm: ``group`` or ``batch``.

    Raises:
        ConfigError: There are not as many numbers of blocks as scales to decode.
        UnknownNameError: ``norm`` is not known.
    """

    def __init__(
        self,
        widths: Sequence[int],
        n_classes: int = 2,
        stride: int = 1,
        blocks: Sequence[int] | None = None,
        norm: str = "group",
    ) -> None:
        super().__init__(widths, n_classes, stride, blocks, norm)

    def forward(
        self, h: Tensor, skips: Sequence[Tensor], shape: Sequence[int] | None = None
    ) -> Tensor:
        """Logits, (B, K, D, H, W).

        Args:
            h: The coarsest map, (B, C, d, h, w).
            skips: The others, the finest first.
            shape: Sides of the volume before padding; the padded ones by default.
        """
        return cropped(self._decoded(h, skips), shape)


class ReconstructionDecoder(_Pyramid):
    """From the coarsest map alone to the volume, so that it must hold all that is rebuilt.

    Args:
        widths: Channels of the encoder's maps, the finest first: ``encoder.widths``.
        stride: Voxels per position of the finest map along each axis: ``encoder.stride``.
        blocks: Residual blocks at each scale but the coarsest, the finest first; 1 by default.
        norm: ``group`` or ``batch``.

    Raises:
        ConfigError: There are not as many numbers of blocks as scales to decode.
        UnknownNameError: ``norm`` is not known.
    """

    def __init__(
        self,
        widths: Sequence[int],
        stride: int = 1,
        blocks: Sequence[int] | None = None,
        norm: str = "group",
    ) -> None:
        super().__init__(widths, 1, stride, blocks, norm)
        self._skips: tuple[None, ...] = (None,) * (len(widths) - 1)

    def forward(self, h: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """The volume, (B, 1, D, H, W), from the coarsest map (B, C, d, h, w).

        Args:
            h: The coarsest map.
            shape: Sides of the volume before padding; the padded ones by default.
        """
        return cropped(self._decoded(h, self._skips), shape)
