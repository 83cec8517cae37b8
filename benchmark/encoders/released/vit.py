"""The vision transformer that several released models share, under neutral names."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention

from benchmark.encoders.released.files import ReleasedEncoder
from benchmark.encoders.tokens import TokenEncoder
from benchmark.encoders.volume import VolumeEncoder, size_of, to_patches
from benchmark.errors import MethodError

__all__ = ["MONAI_NAMES", "PackedBlock", "PackedTransformer", "ReleasedViT"]

MONAI_NAMES = {  # of a block's modules, as MONAI's ``TransformerBlock`` calls them
    "qkv": "attn.qkv",
    "proj": "attn.out_proj",
    "fc1": "mlp.linear1",
    "fc2": "mlp.linear2",
    "norm1": "norm1",
    "norm2": "norm2",
}


class PackedBlock(nn.Module):
    """Pre-norm self-attention, one layer for queries, keys and values, and an MLP with GELU."""

    def __init__(self, width: int, heads: int, hidden: int, qkv_bias: bool, eps: float) -> None:
        super().__init__()
        if width % heads:
            raise MethodError(f"a width of {width} is not divisible by {heads} heads")
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.save = False
        self.attention: Tensor | None = None

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, d) to tokens (B, T, d); those whose mask (B, T) is false are not seen."""
        x = x + self._attend(self.norm1(x), mask[:, None, None, :])
        out: Tensor = x + self.fc2(gelu(self.fc1(self.norm2(x))))
        return out

    def _attend(self, x: Tensor, keys: Tensor) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # b h t d/h
        if self.save:
            scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
            weights = scores.masked_fill(~keys, -torch.inf).softmax(dim=-1)
            self.attention = weights.detach()
            x = weights @ v
        else:
            x = scaled_dot_product_attention(q, k, v, attn_mask=keys)
        out: Tensor = self.proj(x.transpose(1, 2).reshape(n, t, width))
        return out


class PackedTransformer(ReleasedEncoder, TokenEncoder):
    """Blocks and a last norm; what makes the tokens is left to each model.

    Args:
        width: Features of a token.
        depth: Blocks.
        heads: Heads of attention.
        hidden: Features inside each block's MLP.
        qkv_bias: Whether queries, keys and values have a bias.
        eps: Of the norms.
    """

    lora_targets = ("qkv",)

    def __init__(
        self, width: int, depth: int, heads: int, hidden: int, *, qkv_bias: bool, eps: float
    ) -> None:
        super().__init__()
        self.width = width
        self.blocks = nn.ModuleList(
            PackedBlock(width, heads, hidden, qkv_bias, eps) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=eps)

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, mask)
        out: Tensor = self.norm(tokens)
        return out

    def _packed_blocks(self) -> list[PackedBlock]:
        return [block for block in self.blocks if isinstance(block, PackedBlock)]

    @property
    def save_attention(self) -> bool:
        """Whether attention is kept in the next forward passes; off by default."""
        return any(block.save for block in self._packed_blocks())

    @save_attention.setter
    def save_attention(self, save: bool) -> None:
        for block in self._packed_blocks():
            block.save, block.attention = save, None

    @property
    def attention_maps(self) -> list[Tensor]:
        """Attention of the last forward pass, one (B, heads, T, T) a block, rows summing to 1."""
        return [b.attention for b in self._packed_blocks() if b.attention is not None]


class ReleasedViT(PackedTransformer, VolumeEncoder):
    """Patches of a volume (B, 1, D, H, W), learned positions, and perhaps a cls token before them.

    Positions are interpolated linearly to volumes of another shape than they were learned for. A
    volume of zeros is a missing one.

    Attributes:
        patch: Voxels of a patch along each axis.
        position: Learned positions of the patches, (1, T, d).
    """

    patch_embedding: nn.Module

    def _make_input(self, shape: Sequence[int], patch: Sequence[int], *, cls: bool) -> None:
        self.patch = size_of(patch)
        if any(side % step for side, step in zip(shape, patch, strict=True)):
            raise MethodError(f"patches of {list(patch)} do not divide a volume of {list(shape)}")
        self.grid = self.token_grid(shape)
        count = self.grid[0] * self.grid[1] * self.grid[2]
        self.position = nn.Parameter(torch.randn(1, count, self.width) * 0.02)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.width)) if cls else None

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, d), cls first where there is one, and mask (B, T) of volumes.

        Raises:
            MethodError: There is more than one channel, or a side is no multiple of the patch.
        """
        uneven = any(side % step for side, step in zip(x.shape[2:], self.patch, strict=True))
        if x.shape[1] != 1 or uneven:
            raise MethodError(
                f"{type(self).__name__}: volumes must be (B, 1, D, H, W) with sides that are "
                f"multiples of {self.patch}, not {tuple(x.shape)}"
            )
        tokens = self._patches(x) + self._positions(x.shape[2:])
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(len(x), 1, -1), tokens], dim=1)
        there = x.flatten(1).any(dim=1, keepdim=True)
        return tokens, there.expand(tokens.shape[:2])

    @abstractmethod
    def _patches(self, x: Tensor) -> Tensor:
        """Volumes to tokens without positions, (B, T, d), in C order."""

    def _linear_patches(self, x: Tensor) -> Tensor:
        out: Tensor = self.patch_embedding(to_patches(x, self.patch))
        return out

    def _positions(self, shape: Sequence[int]) -> Tensor:
        grid = self.token_grid(shape)
        if grid == self.grid:
            return self.position
        own = self.position.transpose(1, 2).reshape(1, -1, *self.grid)
        other = interpolate(own, size=grid, mode="trilinear", align_corners=False)
        return other.flatten(2).transpose(1, 2)

    def released_name(self, own: str) -> str | None:
        """As MONAI's ``ViT`` calls its tensors."""
        head, _, rest = own.partition(".")
        if head == "position":
            return "patch_embedding.position_embeddings"
        if head == "blocks":
            number, module, kind = rest.split(".")
            return f"blocks.{number}.{MONAI_NAMES[module]}.{kind}"
        return own
