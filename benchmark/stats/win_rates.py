"""Who beats whom, and how often: a matrix over data sets or over resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ResultError

__all__ = ["WinRates", "win_rates"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class WinRates:
    """Row against column.

    Attributes:
        rate: Share of the common data sets in which the row's method is better, a tie counting one
            half, shape (M, M); NaN on the diagonal and where two methods share none.
        n_common: Data sets that both have, shape (M, M).
    """

    rate: Array
    n_common: Array


def win_rates(scores: Array, *, higher_is_better: bool, tie: float = 1e-9) -> WinRates:
    """Compares every two methods on the data sets that both have.

    A win says nothing about its size or its certainty: read it beside the paired differences.

    Args:
        scores: Shape (D, M): data sets (or shared resamples) by methods; NaN where a method has no
            score, which is neither a loss nor filled in.
        higher_is_better: Direction of the metric.
        tie: Differences up to this size count one half for each.

    Raises:
        ResultError: Not a table of data sets by methods.

    Example:
        >>> rates = win_rates([[0.9, 0.8], [0.7, 0.7], [0.6, float("nan")]], higher_is_better=True)
        >>> rates.rate.tolist(), rates.n_common[0].tolist()
        ([[nan, 0.75], [0.25, nan]], [3, 2])
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2:
        raise ResultError(
            f"win rates: expected scores of data sets by methods, got shape {table.shape}"
        )
    signed = table if higher_is_better else -table
    known = np.isfinite(table)
    n_common = known.astype(np.int64).T @ known.astype(np.int64)
    wins = np.zeros(n_common.shape)
    for row, there in zip(signed, known, strict=True):
        gap = np.where(there, row, 0.0)[:, None] - np.where(there, row, 0.0)
        both = there[:, None] & there
        wins += both * (0.5 * (gap >= -tie) + 0.5 * (gap > tie))
    rate = np.divide(wins, n_common, out=np.full(wins.shape, np.nan), where=n_common > 0)
    np.fill_diagonal(rate, np.nan)
    return WinRates(rate, n_common)
