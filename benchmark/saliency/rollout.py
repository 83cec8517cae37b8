"""Attention rollout: how much of each token reaches the answer, through all blocks.

References:
    Abnar and Zuidema 2020, Quantifying attention flow in transformers,
    10.18653/v1/2020.acl-main.385, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["attention_source", "kept_attention", "rolled_out"]


def rolled_out(attention: Sequence[Tensor]) -> Tensor:
    """Attention of several blocks in a row, residual connections included.

    Per block ``A' = (mean over heads + I) / 2`` with rows that sum to 1; the product of all blocks,
    the last one first.

    Args:
        attention: One (B, heads, T, T) a block, rows from token to token, the first block first.

    Returns:
        Shape (B, T, T): row i says what token i holds of each token at the input.
    """
    rolled = None
    for block in attention:
        mean = block.float().mean(dim=1)  # b t t
        own = torch.eye(mean.shape[1], device=mean.device)
        mixed = (mean + own) / 2
        mixed = mixed / mixed.sum(dim=2, keepdim=True)
        rolled = mixed if rolled is None else mixed @ rolled
    if rolled is None:
        raise ValueError("expected the attention of one block at least, got none")
    return rolled


def attention_source(network: nn.Module) -> Any:
    """The module that can keep the attention between patches of a volume; None if there is none.

    It has ``save_attention``, ``attention_maps``, ``token_grid(shape)`` and ``patch``, as the
    transformers of ``benchmark.encoders`` have.
    """
    names = ("save_attention", "attention_maps", "token_grid", "patch")
    found = (m for m in network.modules() if all(hasattr(m, name) for name in names))
    return next(found, None)


def kept_attention(source: Any) -> list[Tensor]:
    """What a source kept of the last forward pass."""
    maps = source.attention_maps
    return list(maps() if callable(maps) else maps)
