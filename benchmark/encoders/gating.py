"""Noisy top-k gating: which of E experts are chosen, and how evenly.

Gating, importance and load as in Shazeer et al. 2017, arXiv 1701.06538, section 2.1 and appendix A.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["Choice", "chance_of_choice", "noisy_top_k", "squared_variation", "top_weights"]

_LEAST_NOISE: Final = 1e-2  # as in the code that goes with Shazeer et al. 2017
_LEAST_SQUARE: Final = 1e-10  # where nothing is dealt out, so that it varies by 0


class Choice(NamedTuple):
    """How rows are dealt out to experts.

    Attributes:
        weights: What each expert counts, k of them not 0, rows summing to 1, (..., E).
        load: Probability that another draw of noise would choose the expert, (..., E).
        logits: What the k are chosen by, with the noise where there is any, (..., E).
    """

    weights: Tensor
    load: Tensor
    logits: Tensor


def noisy_top_k(clean: Tensor, noise: Tensor | None, chosen: int) -> Choice:
    """Chooses k of E experts in each row.

    Args:
        clean: Logits, (..., E).
        noise: What the softplus makes the standard deviation of the noise of, (..., E). One normal
            number a logit is drawn from torch's generator. None draws none.
        chosen: Number of experts that are chosen, k.
    """
    if noise is None:
        weights = top_weights(clean, chosen)
        return Choice(weights, (weights > 0).float(), clean)
    sd = softplus(noise) + _LEAST_NOISE
    noisy = clean + torch.randn_like(clean) * sd
    return Choice(top_weights(noisy, chosen), chance_of_choice(clean, noisy, sd, chosen), noisy)


def top_weights(logits: Tensor, chosen: int) -> Tensor:
    """Softmax over the ``chosen`` largest of each row, exactly 0 elsewhere, (..., E)."""
    top = logits.topk(chosen, dim=-1)
    return torch.zeros_like(logits).scatter(-1, top.indices, top.values.softmax(dim=-1))


def chance_of_choice(clean: Tensor, noisy: Tensor, sd: Tensor, chosen: int) -> Tensor:
    """Probability that fresh noise on one expert alone would put it among the chosen, (..., E).

    Unlike the count of choices it has a gradient (Shazeer et al. 2017, equations 8 and 9).

    Args:
        clean: Logits, (..., E).
        noisy: The same with the noise that was drawn.
        sd: Standard deviation of the noise, (..., E).
        chosen: Number of experts that are chosen, k.
    """
    if chosen == clean.shape[-1]:
        return torch.ones_like(clean)
    top = noisy.topk(chosen + 1, dim=-1).values
    last_in, first_out = top[..., chosen - 1 : chosen], top[..., chosen:]  # ... 1
    bar = torch.where(noisy > first_out, first_out, last_in)  # k-th largest of the others
    chance: Tensor = torch.special.ndtr((clean - bar) / sd)
    return chance


def squared_variation(totals: Tensor) -> Tensor:
    """Squared coefficient of variation of E totals, unbiased variance over squared mean.

    0 where all are equal or nothing was dealt out; E where one of E has all.
    """
    if len(totals) < 2:
        return totals.sum() * 0.0
    return totals.var() / totals.mean().square().clamp_min(_LEAST_SQUARE)
