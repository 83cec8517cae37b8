"""A small pre-norm transformer with a key mask and separate query, key and value projections.

Separate projections (torch's own layer packs the three) let low-rank adapters reach queries and
values alone.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from benchmark.errors import MethodError

__all__ = ["LORA_TARGETS", "Attention", "Block", "Transformer"]

LORA_TARGETS = ("query", "value")


class Attention(nn.Module):
    """Multi-head self-attention over tokens, (B, T, d) to (B, T, d)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise MethodError(f"attention: a width of {width} is not divisible by {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Attends to tokens whose mask (B, T) is true; every row must hold one."""
        people, count, width = tokens.shape

        def split(x: Tensor) -> Tensor:
            return x.view(people, count, self.heads, width // self.heads).transpose(1, 2)

        q, k, v = split(self.query(tokens)), split(self.key(tokens)), split(self.value(tokens))
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        answer: Tensor = self.output(mixed.transpose(1, 2).reshape(people, count, width))
        return answer


class Block(nn.Module):
    """Attention and a two-layer network of four times the width, each after a norm, each added."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, d) and their mask (B, T) to tokens (B, T, d)."""
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens), mask))
        out: Tensor = tokens + self.dropout(self.mlp(self.mlp_norm(tokens)))
        return out


class Transformer(nn.Module):
    """``depth`` blocks and a last norm.

    Args:
        width: Features of a token.
        depth: Blocks.
        heads: Heads of attention; they divide the width.
        dropout: On what each half of a block adds.
    """

    def __init__(self, width: int, depth: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, T, d) and their mask (B, T), bool, to tokens (B, T, d)."""
        for block in self.blocks:
            tokens = block(tokens, mask)
        out: Tensor = self.norm(tokens)
        return out
