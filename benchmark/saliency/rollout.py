"""Attention rollout: how much of each token reaches the answer, through all blocks.

References:
    Abnar and Zuidema 2020, Quantifying attention flow in transformers,
    10.18653/v1/2020.acl-main.385, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.saliency.evidence import depends_on, last_outputs

__all__ = [
    "answering_sources",
    "attention_sources",
    "kept_attention",
    "rolled_out",
    "saved_attention",
]


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


def attention_sources(network: nn.Module) -> dict[str, Any]:
    """The modules that can keep the attention between patches of a volume, by name.

    Each has ``save_attention``, ``attention_maps``, ``token_grid(shape)`` and ``patch``, as the
    transformers of ``benchmark.encoders`` have.
    """
    names = ("save_attention", "attention_maps", "token_grid", "patch")
    return {
        where: module
        for where, module in network.named_modules()
        if all(hasattr(module, name) for name in names)
    }


def answering_sources(network: nn.Module, evidence: Callable[[], Tensor]) -> dict[str, Any]:
    """Those of :func:`attention_sources` whose attention the answer depends on.

    A network may hold a transformer that gives nothing to the answer, e.g. that of an earlier stage
    of training: it keeps no attention in a forward pass, or no gradient leads back to it.

    Args:
        network: The network.
        evidence: One forward pass of it, with gradients, (B,).
    """
    sources = attention_sources(network)
    inside = [(name, part) for name, source in sources.items() for part in source.modules()]
    with saved_attention(*sources.values()), last_outputs(inside) as outputs:
        answer = evidence()
        ran = {name for name, source in sources.items() if kept_attention(source)}
    answering = ran & depends_on(answer, outputs)
    return {name: source for name, source in sources.items() if name in answering}


@contextmanager
def saved_attention(*sources: Any) -> Iterator[None]:
    """Lets sources keep their attention while the context is open."""
    for source in sources:
        source.save_attention = True
    try:
        yield
    finally:
        for source in sources:
            source.save_attention = False


def kept_attention(source: Any) -> list[Tensor]:
    """What a source kept of the last forward pass."""
    maps = source.attention_maps
    return list(maps() if callable(maps) else maps)
