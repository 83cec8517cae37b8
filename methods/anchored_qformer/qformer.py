"""Q-formers: a few learned queries read the others' tokens and write into an anchor's input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmark.api import MethodError

__all__ = ["CrossAttention", "Joined", "QFormer"]


class Joined(NamedTuple):
    """What an anchor is given beside its own tokens, H_a, and how it came about.

    Attributes:
        tokens: ``N_q`` of each other modality, then ``N_q`` that read all of these, (B, E, C).
        mask: Which of them are real, (B, E) bool.
        attention: By modality, what its tokens got from its queries, averaged, (B, T_m).
        mass: By modality, what its queries got from the cross path, (B,); they sum to 1.
    """

    tokens: Tensor
    mask: Tensor
    attention: dict[str, Tensor]
    mass: dict[str, Tensor]


class CrossAttention(nn.Module):
    """Learned queries attend to tokens: one layer of attention, added to the queries.

    Args:
        width: Features of a token.
        heads: Attention heads; they divide the width.
        n_queries: Number of queries.
        sd: Standard deviation of the queries at first.
        norm_place: Where the norm is: ``post``, on the sum, or ``pre``, on the queries that attend.
    """

    def __init__(self, width: int, heads: int, n_queries: int, sd: float, norm_place: str) -> None:
        super().__init__()
        self.before = norm_place == "pre"
        self.queries = nn.Parameter(torch.randn(n_queries, width) * sd)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Reads tokens.

        Args:
            tokens: Keys and values, (B, T, C).
            mask: Which of them are real, (B, T) bool. A person without any gets zeros.

        Returns:
            One vector a query, (B, N_q, C), and the attention that tokens got, averaged over heads
            and queries, (B, T).
        """
        there = mask.any(dim=1)
        tokens = tokens.masked_fill(~mask[..., None], 0.0)
        hidden = ~mask & there[:, None]  # no softmax over nothing
        queries = self.queries.expand(len(tokens), -1, -1)  # b q c
        asked = self.norm(queries) if self.before else queries
        read, weights = self.attention(asked, tokens, tokens, key_padding_mask=hidden)
        out = queries + read if self.before else self.norm(queries + read)
        out = out.masked_fill(~there[:, None, None], 0.0)
        return out, weights.mean(dim=1).masked_fill(~there[:, None], 0.0)


class QFormer(nn.Module):
    """What one anchor learns of the other modalities.

    Z_m = Linear(F_m); X_m = CrossAttention(uni-query_m, Z_m); X_c = CrossAttention(cross-query,
    all X_m); H_a = all X_m and X_c. A modality that is missing is masked everywhere.

    Args:
        widths: By other modality, features of its tokens.
        width: Features of the anchor's tokens, C.
        n_queries: Queries of each cross-attention, N_q.
        dim: Width inside; 0 takes C, and the last projection falls away.
        heads: Attention heads; they divide the width inside.
        sd: Of the queries at first, as for :class:`CrossAttention`.
        norm_place: As there.

    Raises:
        MethodError: They do not.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        width: int,
        n_queries: int,
        dim: int,
        heads: int,
        sd: float,
        norm_place: str,
    ) -> None:
        super().__init__()
        inside = dim or width
        if inside % heads:
            raise MethodError(f"fusion.heads: {heads} heads do not divide a width of {inside}")
        self.width, self.n_queries = width, n_queries
        self.project = nn.ModuleDict({m: nn.Linear(d, inside) for m, d in widths.items()})
        each = (inside, heads, n_queries, sd, norm_place)
        self.uni = nn.ModuleDict({m: CrossAttention(*each) for m in widths})
        self.cross = CrossAttention(*each)
        self.out = nn.Linear(inside, width) if dim else nn.Identity()

    def forward(self, features: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Joined:
        """Reads the other modalities.

        Args:
            features: By modality, what its encoder makes of it, F_m, (B, T_m, d_m).
            masks: By modality, which of these are real, (B, T_m) bool.
        """
        written, real, attention = [], [], {}
        for modality, project in self.project.items():
            mask = masks[modality]
            z = project(features[modality].masked_fill(~mask[..., None], 0.0))  # b t c
            x, attention[modality] = self.uni[modality](z, mask)  # b q c
            written.append(x)
            real.append(mask.any(dim=1, keepdim=True).expand(-1, self.n_queries))
        together, known = torch.cat(written, dim=1), torch.cat(real, dim=1)
        crossed, weights = self.cross(together, known)
        mass = weights.unflatten(1, (len(real), -1)).sum(dim=2).unbind(dim=1)
        mask = torch.cat([known, known.any(dim=1, keepdim=True).expand_as(real[0])], dim=1)
        tokens = self.out(torch.cat([together, crossed], dim=1))  # b e c
        tokens = tokens.masked_fill(~mask[..., None], 0.0)
        return Joined(tokens, mask, attention, dict(zip(self.project, mass, strict=True)))
