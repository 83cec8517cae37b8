"""A transformer over the tokens of a three-dimensional grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.networks.blocks import MLPBlock
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from benchmark.encoders.volume import Size
from benchmark.errors import ConfigError, UnknownNameError

__all__ = ["POOLED", "TokenTransformer", "TransformerConfig", "sine_positions"]

POOLED = ("mean", "cls")
_SLOWEST = 1e4  # wavelengths grow from 2 pi to 2 pi times this, as in Vaswani et al. 2017


@dataclass
class TransformerConfig:
    """Sizes of a transformer.

    Attributes:
        width: Features of a token.
        depth: Number of blocks.
        heads: Attention heads; they share the width.
        mlp_ratio: Width of the hidden layer of each block's MLP, as a multiple of ``width``.
        dropout: Share of activations dropped in training.
    """

    width: int = 96
    depth: int = 2
    heads: int = 4
    mlp_ratio: float = 2.0
    dropout: float = 0.0

    def check(self, where: str) -> None:
        """Refuses sizes that cannot work.

        Raises:
            ConfigError: A size is out of range, or heads do not divide the width.
        """
        if self.width < 1 or self.heads < 1 or self.depth < 0 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"{where}: expected width and heads of at least 1, depth of at least 0 and "
                f"dropout in [0, 1), got {self}"
            )
        if self.width % self.heads:
            raise ConfigError(f"{where}: {self.heads} heads do not divide width {self.width}")


def check_pooled(pooled: str) -> str:
    """The name, if it is one of :data:`POOLED`.

    Raises:
        UnknownNameError: It is not.
    """
    if pooled not in POOLED:
        raise UnknownNameError("pooled", pooled, POOLED)
    return pooled


class TokenTransformer(nn.Module):
    """Positions, pre-norm blocks and a last norm.

    The modules of a block bear the names that MONAI's ``TransformerBlock`` gives them.

    Args:
        config: Sizes.
        grid: Tokens along each axis that positions are learned for.
    """

    def __init__(self, config: TransformerConfig, grid: Size) -> None:
        super().__init__()
        self.position = PositionEmbedding(grid, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.apply(_initialise)

    def forward(
        self,
        tokens: Tensor,
        grid: Size,
        prefix: Tensor | None = None,
        visible: Tensor | None = None,
    ) -> Tensor:
        """Tokens (B, T, d) of a grid to tokens (B, P + T, d), or (B, P + K, d).

        Args:
            tokens: One per position of the grid, in C order.
            grid: Tokens along each axis.
            prefix: Tokens without a position that go before them, (B, P, d).
            visible: Positions of the K tokens of each person that enter the blocks, (B, K); all by
                default.
        """
        tokens = tokens + self.position(grid)
        if visible is not None:
            tokens = tokens.gather(1, visible[:, :, None].expand(-1, -1, tokens.shape[2]))
        if prefix is not None:
            tokens = torch.cat([prefix, tokens], dim=1)
        return self.run(tokens)

    def run(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The blocks and the last norm, (B, T, d) to (B, T, d).

        Args:
            tokens: With their positions.
            mask: Which tokens may be attended to, (B, T) bool, one in each row at least; all by
                default.
        """
        for block in self.blocks:
            tokens = block(tokens, mask)
        out: Tensor = self.norm(tokens)
        return out

    @property
    def save_attention(self) -> bool:
        """Whether each block keeps the attention of the last forward pass."""
        return any(module.save for module in self._attentions())

    @save_attention.setter
    def save_attention(self, save: bool) -> None:
        for module in self._attentions():
            module.save = save
            module.attention = None

    @property
    def attention_maps(self) -> list[Tensor]:
        """Attention of the last forward pass, one (B, heads, T, T) a block, rows summing to 1."""
        return [m.attention for m in self._attentions() if m.attention is not None]

    def _attentions(self) -> list[SelfAttention]:
        return [m for m in self.modules() if isinstance(m, SelfAttention)]


class Block(nn.Module):
    """Self-attention and an MLP, each after a norm and with a residual (Xiong et al. 2020)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.norm1 = nn.LayerNorm(width)
        self.attn = SelfAttention(width, config.heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLPBlock(width, round(width * config.mlp_ratio), dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, T, d) to tokens (B, T, d); ``mask`` as for :class:`SelfAttention`."""
        x = x + self.attn(self.norm1(x), mask)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class SelfAttention(nn.Module):
    """Multi-head self-attention that can keep its weights.

    MONAI's ``SABlock`` has no path that is fast and keeps dropout out of evaluation.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.save = False
        self.attention: Tensor | None = None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, T, d) to tokens (B, T, d).

        Args:
            x: Tokens.
            mask: Which of them are attended to, (B, T) bool, one in each row at least.
        """
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # b h t d/h
        dropout = self.dropout if self.training else 0.0
        keys = None if mask is None else mask[:, None, None, :]
        if self.save:
            scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5  # b h t t
            if keys is not None:
                scores = scores.masked_fill(~keys, -torch.inf)
            weights = scores.softmax(dim=-1)
            self.attention = weights.detach()
            x = nn.functional.dropout(weights, dropout, self.training) @ v
        else:
            x = scaled_dot_product_attention(q, k, v, attn_mask=keys, dropout_p=dropout)
        x = self.out_proj(x.transpose(1, 2).reshape(n, t, width))
        return nn.functional.dropout(x, self.dropout, self.training)


class PositionEmbedding(nn.Module):
    """A learned vector per position of a grid, interpolated linearly to other grids.

    It starts from sines and cosines, from which a short training need not first find out which
    tokens are neighbours.
    """

    def __init__(self, grid: Size, width: int) -> None:
        super().__init__()
        self.grid = grid
        self.weight = nn.Parameter(sine_positions(grid, width))  # t d

    def forward(self, grid: Size) -> Tensor:
        """Vectors of all positions of a grid in C order, (T, d)."""
        if grid == self.grid:
            return self.weight
        own = self.weight.T.reshape(1, -1, *self.grid)  # 1 d i j k
        other = interpolate(own, size=grid, mode="trilinear", align_corners=False)
        return other.flatten(2)[0].T


def sine_positions(grid: Size, width: int) -> Tensor:
    """Sines and cosines of each axis' position, a third of the width each, (T, width).

    What does not divide by six stays 0.

    References:
        Vaswani et al. 2017, section 3.5; He et al. 2022, 10.1109/CVPR52688.2022.01553.
    """
    count = width // 6
    frequency = _SLOWEST ** -(torch.arange(count) / max(count, 1))
    axes = torch.meshgrid(*(torch.arange(n).float() for n in grid), indexing="ij")
    out = torch.zeros(grid[0] * grid[1] * grid[2], width)
    for number, axis in enumerate(axes):
        angle = axis.reshape(-1, 1) * frequency  # t count
        start = 2 * count * number
        out[:, start : start + 2 * count] = torch.cat([angle.sin(), angle.cos()], dim=1)
    return out


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
