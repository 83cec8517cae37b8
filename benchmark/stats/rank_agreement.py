"""Do two ranking rules agree: Kendall's tau, and the share of pairs that change places.

References:
    Kendall 1945, 10.1093/biomet/33.3.239 (tau-b, with ties).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from benchmark.errors import ResultError

__all__ = ["RankAgreement", "rank_agreement"]


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Two orders of the same methods.

    Attributes:
        tau: Kendall's tau-b: 1 for the same order, -1 for the reverse; NaN where one order has
            no distinction, or of fewer than two methods.
        flips: Share of pairs, ordered by both rules, whose order differs; NaN without such pairs.
        flipped: These pairs, the one that the first rule prefers first.
        n_pairs: Pairs that both rules order; a pair tied under either is in neither count.
    """

    tau: float
    flips: float
    flipped: tuple[tuple[str, str], ...]
    n_pairs: int


def rank_agreement(first: Mapping[str, float], second: Mapping[str, float]) -> RankAgreement:
    """Compares two ranking rules.

    Args:
        first: Position of each method under one rule, 1 for the best; equal where tied.
        second: The same under the other rule, for the same methods.

    Raises:
        ResultError: The rules rank different methods, or a position is not finite.

    Example:
        >>> rank_agreement({"a": 1, "b": 2, "c": 3}, {"a": 2, "b": 1, "c": 3}).flipped
        (('a', 'b'),)
        >>> rank_agreement({"a": 1}, {"a": 1}).n_pairs
        0
    """
    if set(first) != set(second):
        only = sorted(set(first) ^ set(second))
        raise ResultError(
            f"two ranking rules must rank the same methods; only one of them ranks "
            f"{', '.join(only[:5])}; leave these out of both"
        )
    names = sorted(first)
    a, b = (np.array([rule[n] for n in names], dtype=np.float64) for rule in (first, second))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ResultError("two ranking rules: every method needs a position under both")
    i, j = np.triu_indices(len(names), 1)
    sign_a, sign_b = np.sign(a[j] - a[i]), np.sign(b[j] - b[i])
    ordered = (sign_a != 0) & (sign_b != 0)
    flipped = ordered & (sign_a != sign_b)
    varied = len(names) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
    tau = float(kendalltau(a, b).statistic) if varied else float("nan")
    pairs = (
        (names[x], names[y]) if sign > 0 else (names[y], names[x])
        for x, y, sign in zip(i[flipped], j[flipped], sign_a[flipped], strict=True)
    )
    n = int(ordered.sum())
    return RankAgreement(tau, float(flipped.sum() / n) if n else float("nan"), tuple(pairs), n)
