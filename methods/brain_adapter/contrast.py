"""The contrastive loss between volumes and reports of the same people."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

__all__ = ["Temperature", "clip_loss"]

_FIRST, _LARGEST = math.log(1 / 0.07), math.log(100)  # Radford et al. 2021, section 2.5


class Temperature(nn.Module):
    """A learned scale of similarities, exp(tau), at most 100.

    The code released with M3D multiplies by tau itself; this follows CLIP.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.tensor(_FIRST))

    def forward(self) -> Tensor:
        """The scale, a scalar; above the limit tau gets no gradient."""
        return self.tau.clamp(max=_LARGEST).exp()


def clip_loss(v: Tensor, t: Tensor, scale: Tensor, paired: Tensor) -> Tensor:
    """Cross-entropy of finding one's own report among all, and one's own volume, averaged.

    Args:
        v: Volumes as unit vectors, (B, p).
        t: Reports as unit vectors, (B, p), row for row the same people.
        scale: What similarities are multiplied by.
        paired: Who has both, (B,) bool; the others take no part.

    Returns:
        A scalar; exactly 0 where fewer than two people have both.

    References:
        Radford et al. 2021, Learning transferable visual models from natural language supervision,
        arXiv 2103.00020, figure 3.
    """
    similarity = scale * v[paired] @ t[paired].T  # b b
    if len(similarity) == 0:
        return similarity.sum()
    own = torch.arange(len(similarity), device=v.device)
    return (cross_entropy(similarity, own) + cross_entropy(similarity.T, own)) / 2
