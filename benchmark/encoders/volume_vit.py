"""A vision transformer over the patches of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmark.encoders.base import Encoded
from benchmark.encoders.transformer import TokenTransformer, TransformerConfig, check_pooled
from benchmark.encoders.volume import Size, VolumeEncoder, pad_to_multiple, size_of, to_patches
from benchmark.errors import ConfigError

__all__ = ["ViTEncoder", "VolumeViT", "VolumeViTConfig"]


@dataclass
class VolumeViTConfig(TransformerConfig):
    """Settings of :class:`VolumeViT`; those of ViT-B are width 768, depth 12, heads 12, ratio 4.

    Attributes:
        grid: Voxels of the volumes that positions are learned for, along each axis.
        patch: Voxels of a patch along each axis.
        pooled: ``mean`` of the patch tokens, or the ``cls`` token.
    """

    grid: list[int] = field(default_factory=lambda: [32, 40, 32])
    patch: list[int] = field(default_factory=lambda: [8, 8, 8])
    pooled: str = "mean"


class ViTEncoder(VolumeEncoder):
    """What encoders with a transformer share: positions, masked tokens, pooling and attention.

    Args:
        config: Sizes of the transformer.
        patch: Voxels of one token along each axis.
        grid: Voxels of the volumes that positions are learned for.
        pooled: One of ``POOLED``.
    """

    def __init__(
        self, config: TransformerConfig, patch: Sequence[int], grid: Sequence[int], pooled: str
    ) -> None:
        super().__init__()
        config.check(type(self).__name__)
        self.width, self.patch, self.pooled = config.width, size_of(patch), check_pooled(pooled)
        self.cls = nn.Parameter(torch.randn(config.width) * 0.02) if pooled == "cls" else None
        self.transformer = TokenTransformer(config, self.token_grid(size_of(grid)))

    def embed(self, x: Tensor) -> Tensor:
        """Volumes, sides multiples of the patch, to tokens before the first block, (B, T, d)."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Encoded:
        """Volumes (B, 1, D, H, W) to patch tokens (B, T, d), in C order, and pooled (B, d)."""
        tokens = self.embed(pad_to_multiple(x, self.patch))
        return self._transformed(tokens, self.token_grid(x.shape[2:]))

    def encode_masked(
        self, x: Tensor, hidden: Tensor, mask_token: Tensor, *, drop: bool = False
    ) -> Encoded:
        """As :meth:`encode`, hidden tokens replaced before the first block or after the last.

        Raises:
            ConfigError: Tokens are to be dropped, and not as many in each volume.
        """
        tokens = self.embed(pad_to_multiple(x, self.patch))
        grid = self.token_grid(x.shape[2:])
        masked = hidden[:, :, None]
        if not drop:
            return self._transformed(torch.where(masked, mask_token.to(tokens.dtype), tokens), grid)
        visible = _positions(~hidden)
        seen = self._transformed(tokens, grid, visible)
        places = visible[:, :, None].expand_as(seen.tokens)
        everywhere = mask_token.to(seen.tokens.dtype).expand(*hidden.shape, -1)
        return Encoded(everywhere.scatter(1, places, seen.tokens), seen.pooled)

    def _transformed(self, tokens: Tensor, grid: Size, visible: Tensor | None = None) -> Encoded:
        if self.cls is None:
            tokens = self.transformer(tokens, grid, visible=visible)
            return Encoded(tokens, tokens.mean(dim=1))
        cls = self.cls.expand(len(tokens), 1, -1)
        tokens = self.transformer(tokens, grid, cls, visible)
        return Encoded(tokens[:, 1:], tokens[:, 0])

    @property
    def save_attention(self) -> bool:
        """Whether attention is kept in the next forward passes; off by default."""
        return self.transformer.save_attention

    @save_attention.setter
    def save_attention(self, save: bool) -> None:
        self.transformer.save_attention = save

    @property
    def attention_maps(self) -> list[Tensor]:
        """Attention of the last forward pass, one (B, heads, T, T) a block, rows summing to 1.

        With ``pooled: cls`` the cls token comes first, and T is one more.
        """
        return self.transformer.attention_maps


class VolumeViT(ViTEncoder):
    """A vision transformer on volumes (B, 1, D, H, W).

    References:
        Dosovitskiy et al. 2021, An image is worth 16x16 words, arXiv 2010.11929.

    Args:
        config: Settings.

    Raises:
        ConfigError: A size is out of range.
        UnknownNameError: ``pooled`` is not known.
    """

    def __init__(self, config: VolumeViTConfig) -> None:
        super().__init__(config, config.patch, config.grid, config.pooled)
        self.config = config
        self.patch_embedding = nn.Linear(self.patch[0] * self.patch[1] * self.patch[2], self.width)
        nn.init.xavier_uniform_(self.patch_embedding.weight)
        nn.init.zeros_(self.patch_embedding.bias)

    def embed(self, x: Tensor) -> Tensor:
        """Each patch's voxels through one linear layer."""
        out: Tensor = self.patch_embedding(to_patches(x, self.patch))
        return out


def _positions(chosen: Tensor) -> Tensor:
    """Positions of the chosen tokens, (B, K), from (B, T) bool."""
    counts = chosen.sum(dim=1)
    if bool((counts != counts[0]).any()):
        raise ConfigError("masked.hidden: dropped needs blocks that divide the grid of patches")
    return chosen.nonzero()[:, 1].view(len(chosen), -1)
