"""Combinations of modalities: their codes, their experts, and the bank of missing modalities.

The code of a combination is a number whose bit m is set where modality m is there: 0 to 2^M - 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Bank", "assigned_experts", "combination"]


def combination(there: Tensor) -> Tensor:
    """Codes (B,) of who has which modality, (B, M) bool.

    >>> combination(torch.tensor([[True, False, True], [False, False, False]])).tolist()
    [5, 0]
    """
    bits = 2 ** torch.arange(there.shape[1], device=there.device)
    return (there * bits).sum(dim=1)


def assigned_experts(modalities: int, experts: int) -> Tensor:
    """The expert of each combination, by code, (2^M,).

    All modalities together have expert 0, which no other combination is sent to. The others follow
    from most to fewest modalities, and go round where there are more of them than experts.

    Args:
        modalities: M.
        experts: E, at least 2.

    >>> assigned_experts(2, 4).tolist()  # none, first, second, both
    [3, 1, 2, 0]
    >>> assigned_experts(2, 3).tolist()
    [1, 1, 2, 0]
    """
    codes = sorted(range(2**modalities), key=lambda code: (-code.bit_count(), code))
    experts_of = torch.zeros(2**modalities, dtype=torch.int64)
    for rank, code in enumerate(codes[1:]):
        experts_of[code] = 1 + rank % (experts - 1)
    return experts_of


class Bank(nn.Module):
    """Learned vectors for each modality that a combination lacks.

    Args:
        modalities: M.
        tokens: Tokens of a modality, P.
        width: Features of a token, d.
        sd: Standard deviation before training.
    """

    def __init__(self, modalities: int, tokens: int, width: int, sd: float) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(2**modalities, modalities, tokens, width) * sd)

    def forward(self, code: Tensor, modality: int) -> Tensor:
        """Tokens (B, P, d) for a missing modality, of combinations (B,)."""
        return self.vectors[code, modality]
