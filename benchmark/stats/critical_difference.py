"""Mean ranks over data sets and who cannot be told apart: a critical-difference diagram's data.

Allowed from ten data sets on: below, the test has next to no power and the picture of one long bar
reads as "all the same". Data sets, not folds and not seeds.

References:
    Demsar 2006, jmlr.org/papers/v7/demsar06a (Friedman, Nemenyi; the worked example in the tests).
    Iman and Davenport 1980, 10.1080/03610928008827904 (the F form of Friedman's test).
    Benavoli, Corani and Mangili 2016, jmlr.org/papers/v17/benavoli16a (why Wilcoxon and Holm:
    Nemenyi's verdict on two methods depends on the others shown).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import rankdata, studentized_range, wilcoxon

from benchmark.errors import ResultError
from benchmark.stats.maxt import ALPHA
from benchmark.stats.multiplicity import holm

__all__ = ["FEWEST_DATA_SETS", "CriticalDifference", "critical_difference"]

Array = NDArray[Any]

FEWEST_DATA_SETS: Final = 10


@dataclass(frozen=True, slots=True)
class CriticalDifference:
    """Content of the diagram, methods in order of mean rank.

    Attributes:
        names: Methods, best first.
        mean_ranks: Theirs, 1 is best, ties shared.
        friedman_p: That all methods are equal (Iman-Davenport); where it is above alpha no two
            methods are told apart.
        critical: Nemenyi's critical difference of mean ranks; NaN for Wilcoxon-Holm.
        p_values: Adjusted p of each pair in the order of ``names``, (M, M), 1 on the diagonal;
            for Nemenyi the studentised-range p.
        groups: Bars: runs of neighbours none of which is told apart from another, longest ones
            only.
        n_data_sets: Data sets.
    """

    names: tuple[str, ...]
    mean_ranks: Array
    friedman_p: float
    critical: float
    p_values: Array
    groups: tuple[tuple[str, ...], ...]
    n_data_sets: int


def critical_difference(
    scores: Array,
    names: Sequence[str],
    *,
    higher_is_better: bool,
    test: Literal["wilcoxon-holm", "nemenyi"] = "wilcoxon-holm",
    alpha: float = ALPHA,
) -> CriticalDifference:
    """Computes mean ranks and groups.

    Args:
        scores: Shape (D, M): independent data sets by methods.
        names: Of the methods, distinct.
        higher_is_better: Direction of the metric.
        test: Of the pairs, after Friedman's test.
        alpha: Family-wise error rate.

    Raises:
        ResultError: Fewer than ten data sets, fewer than two methods, or a missing score (nothing
            is imputed and no data set is dropped in silence).
    """
    table = _checked(scores, names)
    n, m = table.shape
    ranks = rankdata(-table if higher_is_better else table, axis=1)
    means = ranks.mean(axis=0)
    order = np.argsort(means, kind="stable")
    p_friedman = _iman_davenport(ranks)
    error = math.sqrt(m * (m + 1) / (6.0 * n))
    if test == "nemenyi":
        critical = float(studentized_range.isf(alpha, m, np.inf)) / math.sqrt(2.0) * error
        gaps = np.abs(means[:, None] - means) / error * math.sqrt(2.0)
        p_values = studentized_range.sf(gaps, m, np.inf)
    else:
        critical, p_values = math.nan, _wilcoxon_holm(table)
    np.fill_diagonal(p_values, 1.0)
    p_values = p_values[np.ix_(order, order)]
    apart = (p_values < alpha) & (p_friedman < alpha)
    ordered = tuple(names[i] for i in order)
    groups = tuple(ordered[a:b] for a, b in _bars(apart))
    return CriticalDifference(ordered, means[order], p_friedman, critical, p_values, groups, n)


def _checked(scores: Array, names: Sequence[str]) -> Array:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(names) or len(set(names)) < max(2, len(names)):
        raise ResultError(
            f"critical difference: expected data sets by at least two distinct methods, got shape "
            f"{table.shape} and {len(set(names))} names"
        )
    if len(table) < FEWEST_DATA_SETS:
        raise ResultError(
            f"critical difference: allowed from {FEWEST_DATA_SETS} data sets on, got "
            f"{len(table)}; pool the paired differences over cohorts instead "
            "(benchmark.stats.pool_random_effects)"
        )
    if not np.isfinite(table).all():
        missing = np.unique(np.nonzero(~np.isfinite(table))[1])
        raise ResultError(
            f"critical difference: {int((~np.isfinite(table)).sum())} scores are missing (methods "
            f"{', '.join(names[i] for i in missing[:5])}); leave out these methods or data sets"
        )
    return table


def _iman_davenport(ranks: Array) -> float:
    """P of the F form of Friedman's test, ties corrected; 1 where all ranks are tied."""
    n, m = ranks.shape
    spread = float(((ranks - (m + 1) / 2) ** 2).sum())
    if spread == 0.0:
        return 1.0
    means = ranks.mean(axis=0)
    chi2 = n**2 * (m - 1) * float(((means - (m + 1) / 2) ** 2).sum()) / spread
    left = n * (m - 1) - chi2
    if left <= 1e-9:
        return 0.0
    return float(fisher.sf((n - 1) * chi2 / left, m - 1, (m - 1) * (n - 1)))


def _wilcoxon_holm(table: Array) -> Array:
    m = table.shape[1]
    pairs = list(combinations(range(m), 2))
    raw = []
    for a, b in pairs:
        d = table[:, a] - table[:, b]
        same = np.count_nonzero(d) == 0
        raw.append(1.0 if same else float(wilcoxon(d, zero_method="zsplit").pvalue))
    p_values = np.ones((m, m))
    for (a, b), p in zip(pairs, holm(np.array(raw)), strict=True):
        p_values[a, b] = p_values[b, a] = p
    return p_values


def _bars(apart: Array) -> list[tuple[int, int]]:
    """Half-open runs of at least two neighbours, none apart, not inside a longer one."""
    bars: list[tuple[int, int]] = []
    for start in range(len(apart)):
        stop = start + 1
        while stop < len(apart) and not apart[start : stop + 1, start : stop + 1].any():
            stop += 1
        if stop - start > 1 and (not bars or stop > bars[-1][1]):
            bars.append((start, stop))
    return bars
