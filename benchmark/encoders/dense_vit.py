"""The backbone of DenseFormer: a densely connected stem, then a vision transformer."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from monai.networks.nets import DenseNet
from torch import Tensor, nn

from benchmark.encoders.transformer import TransformerConfig
from benchmark.encoders.volume_vit import ViTEncoder
from benchmark.errors import UnknownNameError

__all__ = ["DenseViT", "DenseViTConfig", "dense_vit_paper"]

NORMS = ("batch", "group", "instance")


@dataclass
class DenseViTConfig(TransformerConfig):
    """Settings of :class:`DenseViT`; those of the paper's scale are :func:`dense_vit_paper`.

    Attributes:
        grid: Voxels of the volumes that positions are learned for, along each axis.
        stem: Channels of the first convolution, which halves each side.
        stem_pool: Whether a max-pooling halves each side once more.
        blocks: Layers of each dense block; each block ends by halving each side.
        growth: Channels that each layer adds.
        bottleneck: Channels of a layer's first convolution, as a multiple of ``growth``.
        norm: ``batch``, ``instance``, or ``group`` for one group, i.e. all channels together.
        pooled: ``mean`` of the patch tokens, or the ``cls`` token.
    """

    grid: list[int] = field(default_factory=lambda: [32, 40, 32])
    stem: int = 8
    stem_pool: bool = False
    blocks: list[int] = field(default_factory=lambda: [1, 3])
    growth: int = 8
    bottleneck: int = 2
    norm: str = "batch"
    pooled: str = "cls"


def dense_vit_paper() -> DenseViTConfig:
    """DenseNet-121's first two blocks before a ViT-B, 6^3 tokens at 96^3 voxels.

    Not published by the paper; inferred from the names of its parts.

    References:
        Ding, Lu and Liu 2025, IEEE TMI, 10.1109/TMI.2025.3551514.
    """
    return DenseViTConfig(
        grid=[96, 96, 96],
        stem=64,
        stem_pool=True,
        blocks=[6, 12],
        growth=32,
        bottleneck=4,
        width=768,
        depth=12,
        heads=12,
        mlp_ratio=4.0,
    )


class DenseViT(ViTEncoder):
    """A DenseNet's stem to a coarse map, 1x1x1 convolution, transformer.

    Args:
        config: Settings.

    Raises:
        ConfigError: A size is out of range.
        UnknownNameError: ``norm`` or ``pooled`` is not known.
    """

    gradcam_layer = "project"

    def __init__(self, config: DenseViTConfig) -> None:
        step = 2 * (2 if config.stem_pool else 1) * 2 ** len(config.blocks)
        super().__init__(config, (step, step, step), config.grid, config.pooled)
        self.config = config
        self.stem, channels = _stem(config)
        self.project = nn.Conv3d(channels, self.width, kernel_size=1)

    @property
    def map_start(self) -> tuple[float, float, float]:
        """Convolution and max-pooling begin at the first voxel; each transition halves by means."""
        first = (self.patch[0] - self.patch[0] // 2 ** len(self.config.blocks)) / 2
        return first, first, first

    def embed(self, x: Tensor) -> Tensor:
        """The stem's map, one vector per position."""
        x = self.project(self.stem(x))  # b d i j k
        return x.flatten(2).transpose(1, 2)


def _stem(config: DenseViTConfig) -> tuple[nn.Sequential, int]:
    """A DenseNet up to the transition after its last block, and the channels that leave it."""
    whole = DenseNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        init_features=config.stem,
        growth_rate=config.growth,
        block_config=(*config.blocks, 1),  # a block more, so that the last one has a transition
        bn_size=config.bottleneck,
        norm=_norm(config.norm),
        dropout_prob=config.dropout,
    )
    left_out = {f"denseblock{len(config.blocks) + 1}", "norm5"}
    if not config.stem_pool:
        left_out.add("pool0")
    parts = [(n, part) for n, part in whole.features.named_children() if n not in left_out]
    channels = config.stem
    for layers in config.blocks:
        channels = (channels + layers * config.growth) // 2
    return nn.Sequential(OrderedDict(parts)), channels


def _norm(name: str) -> tuple[str, dict[str, Any]]:
    if name not in NORMS:
        raise UnknownNameError("norm", name, NORMS)
    options: dict[str, dict[str, Any]] = {
        "batch": {},
        "group": {"num_groups": 1},
        "instance": {"affine": True},
    }
    return name, options[name]
