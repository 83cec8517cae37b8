"""Encoders that are convolutional pyramids, with the maps that segmentation needs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

from monai.networks.blocks.segresnet_block import ResBlock, get_conv_layer
from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn

from benchmark.encoders.base import Encoded
from benchmark.encoders.volume import Size, VolumeEncoder, pad_to_multiple
from benchmark.encoders.volume_decoders import norm_of
from benchmark.errors import ConfigError

__all__ = [
    "ConvEncoder",
    "ConvEncoderConfig",
    "MapEncoder",
    "Maps",
    "SwinEncoder",
    "SwinEncoderConfig",
]


class Maps(NamedTuple):
    """What a pyramid makes of B volumes.

    Attributes:
        h: The coarsest map, (B, C, d, h, w).
        skips: The maps before it, the finest first; the finest has the sides of the padded volume
            over the encoder's ``stride``.
    """

    h: Tensor
    skips: tuple[Tensor, ...]


class MapEncoder(VolumeEncoder):
    """A pyramid of maps, each half the size of the one before.

    Attributes:
        widths: Channels of each map, the finest first; the last is ``width``.
        stride: Voxels per position of the finest map along each axis.
    """

    widths: tuple[int, ...]
    stride: int

    @abstractmethod
    def encode_maps(self, x: Tensor) -> Maps:
        """Maps of volumes (B, 1, D, H, W), which are padded where need be."""

    def encode(self, x: Tensor) -> Encoded:
        """Positions of the coarsest map as tokens (B, T, C), in C order, and their mean (B, C)."""
        tokens = self.encode_maps(x).h.flatten(2).transpose(1, 2)
        return Encoded(tokens, tokens.mean(dim=1))

    def _set_widths(self, widths: tuple[int, ...], stride: int = 1) -> None:
        step = stride * 2 ** (len(widths) - 1)
        self.widths, self.width, self.stride = widths, widths[-1], stride
        self.patch: Size = (step, step, step)


@dataclass
class ConvEncoderConfig:
    """Settings of :class:`ConvEncoder`.

    Attributes:
        grid: Voxels of the volumes that it was made for; it takes others as well.
        widths: Channels at each scale, the finest first; each scale halves the sides.
        blocks: Residual blocks at each scale; 0 leaves a norm and a ReLU after the convolution that
            leads there.
        stride: Voxels per position of the finest scale along each axis, 1 or 2; 2 leaves out full
            resolution, which costs most and on a CPU hardly pays.
        norm: ``group``, as in SegResNet, or ``batch``. Group norm takes each person's own level out
            of every map; small networks then hardly learn from how much of something there is.
    """

    grid: list[int] = field(default_factory=lambda: [32, 40, 32])
    widths: list[int] = field(default_factory=lambda: [4, 8, 32, 64])
    blocks: list[int] = field(default_factory=lambda: [0, 1, 1, 2])
    stride: int = 1
    norm: str = "group"


class ConvEncoder(MapEncoder):
    """The encoder of a SegResNet whose channels at each scale are free to choose.

    References:
        Myronenko 2019, 3D MRI brain tumor segmentation using autoencoder regularization,
        10.1007/978-3-030-11726-9_28.

    Args:
        config: Settings.

    Raises:
        ConfigError: There are fewer than two scales, not as many blocks as widths, or a stride of
            neither 1 nor 2.
        UnknownNameError: ``norm`` is not known.
    """

    def __init__(self, config: ConvEncoderConfig) -> None:
        super().__init__()
        if len(config.widths) < 2 or len(config.blocks) != len(config.widths):
            raise ConfigError(
                "ConvEncoder: expected at least two widths and as many blocks, got "
                f"{config.widths} and {config.blocks}"
            )
        if config.stride not in (1, 2):
            raise ConfigError(f"ConvEncoder: expected a stride of 1 or 2, got {config.stride}")
        self.config = config
        self._set_widths(tuple(config.widths), config.stride)
        self.levels = nn.ModuleList(
            _level(before, width, blocks, config.stride if number == 0 else 2, config.norm)
            for number, (before, width, blocks) in enumerate(
                zip((1, *self.widths[:-1]), self.widths, config.blocks, strict=True)
            )
        )
        self.gradcam_layer = f"levels.{len(self.levels) - 1}"

    @property
    def map_start(self) -> tuple[float, float, float]:
        """The first voxel: convolutions of 3 voxels are padded by one, whatever their stride."""
        return 0.0, 0.0, 0.0

    def encode_maps(self, x: Tensor) -> Maps:
        """Maps of volumes (B, 1, D, H, W), which are padded where need be."""
        x = pad_to_multiple(x, self.patch)
        maps = []
        for level in self.levels:
            x = level(x)  # b c i j k
            maps.append(x)
        return Maps(maps[-1], tuple(maps[:-1]))


def _level(before: int, width: int, blocks: int, stride: int, norm: str) -> nn.Sequential:
    first = get_conv_layer(3, before, width, stride=stride)
    if not blocks:
        kind = norm_of(norm, width)
        return nn.Sequential(first, get_norm_layer(kind, spatial_dims=3, channels=width), nn.ReLU())
    return nn.Sequential(
        first, *(ResBlock(3, width, norm=norm_of(norm, width)) for _ in range(blocks))
    )


@dataclass
class SwinEncoderConfig:
    """Settings of :class:`SwinEncoder`.

    Attributes:
        grid: Voxels of the volumes that it was made for; it takes others as well.
        feature_size: Channels of the finest map, a multiple of 12.
        dropout: Share of activations dropped in training.
    """

    grid: list[int] = field(default_factory=lambda: [96, 96, 96])
    feature_size: int = 48
    dropout: float = 0.0


class SwinEncoder(MapEncoder):
    """The encoder of MONAI's SwinUNETR, its modules under their own names; patches of 32 voxels.

    References:
        Hatamizadeh et al. 2022, Swin UNETR, arXiv 2201.01266.

    Args:
        config: Settings.

    Raises:
        ConfigError: ``feature_size`` is no multiple of 12.
    """

    gradcam_layer = "encoder10"

    def __init__(self, config: SwinEncoderConfig) -> None:
        super().__init__()
        if config.feature_size < 12 or config.feature_size % 12:
            raise ConfigError(
                f"SwinEncoder: feature_size must be a multiple of 12, got {config.feature_size}"
            )
        from monai.networks.nets import SwinUNETR

        self.config = config
        size = config.feature_size
        self._set_widths((size, size, 2 * size, 4 * size, 8 * size, 16 * size))
        whole = SwinUNETR(
            in_channels=1, out_channels=1, feature_size=size, drop_rate=config.dropout
        )
        self.swinViT = whole.swinViT
        self.encoder1, self.encoder2 = whole.encoder1, whole.encoder2
        self.encoder3, self.encoder4 = whole.encoder3, whole.encoder4
        self.encoder10 = whole.encoder10

    def encode(self, x: Tensor) -> Encoded:
        """Positions of the coarsest map and their mean, without the maps before it."""
        h = self.encoder10(self.swinViT(pad_to_multiple(x, self.patch), True)[4])
        tokens = h.flatten(2).transpose(1, 2)  # b t c
        return Encoded(tokens, tokens.mean(dim=1))

    def encode_maps(self, x: Tensor) -> Maps:
        """Maps of volumes (B, 1, D, H, W), which are padded to multiples of 32."""
        x = pad_to_multiple(x, self.patch)
        hidden = self.swinViT(x, True)  # five maps, normalised
        skips = (
            self.encoder1(x),
            self.encoder2(hidden[0]),
            self.encoder3(hidden[1]),
            self.encoder4(hidden[2]),
            hidden[3],
        )
        return Maps(self.encoder10(hidden[4]), skips)
