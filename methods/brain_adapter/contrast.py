"""The contrastive loss between volumes and reports of the same people."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmark.api import MethodError, one_of
from methods.brain_adapter.info import ContrastConfig

__all__ = ["SCALES", "Temperature", "clip_loss"]

SCALES = ("exp", "raw")


class Temperature(nn.Module):
    """A learned scale of similarities: exp(tau), or tau itself.

    Args:
        config: How tau is read, where it starts and its limit.

    Raises:
        MethodError: The reading is not known, or the first scale is not above 0 (``raw``: above 1)
            and at most the largest.
    """

    def __init__(self, config: ContrastConfig) -> None:
        super().__init__()
        one_of("contrast.scale", config.scale, SCALES)
        least = 1 if config.scale == "raw" else 0  # tau, its logarithm, multiplies in raw
        if not least < config.first_scale <= config.largest_scale:
            raise MethodError(
                f"contrast.first_scale is {config.first_scale}, expected above {least} with "
                f"contrast.scale={config.scale} and at most contrast.largest_scale, "
                f"{config.largest_scale}"
            )
        self.exponential = config.scale == "exp"
        self.largest = math.log(config.largest_scale)
        self.tau = nn.Parameter(torch.tensor(math.log(config.first_scale)))

    def forward(self) -> Tensor:
        """The scale, a scalar; above the limit tau gets no gradient."""
        tau = self.tau.clamp(max=self.largest)
        return tau.exp() if self.exponential else tau


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
