"""The bootstrap interval of any statistic that takes weights: a registered metric, or a function.

References:
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 14.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.bca import bca_interval, percentile_interval
from benchmark.stats.interval import LEVEL, Interval
from benchmark.stats.resamples import jackknife_weights

__all__ = ["BootstrapResult", "Statistic", "bootstrap_interval"]

Array = NDArray[Any]
Statistic = Callable[[Array | None], Array]


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """Attributes: the statistic on the data, on B resamples (B,), and the interval."""

    score: float
    replicates: Array
    interval: Interval


def bootstrap_interval(
    statistic: Statistic,
    weights: Array,
    strata: Array,
    *,
    method: Literal["bca", "percentile"] = "bca",
    level: float = LEVEL,
) -> BootstrapResult:
    """Computes a statistic, its replicates and its interval.

    Args:
        statistic: Takes weights (B, N) and returns (B,), or None and returns one value: for a
            metric ``lambda w: metric.compute(y_true, prediction, folds, w)``.
        weights: From ``draw_resamples``, shape (B, N); share them between methods.
        strata: Stratum of each person, shape (N,), as given to ``draw_resamples``.
        method: "bca" (percentile where undefined, and said so) or "percentile".
        level: Confidence level.

    Example:
        >>> from benchmark.stats import draw_resamples
        >>> values, strata = np.arange(40.0), np.zeros(40)
        >>> def mean(w):
        ...     return values.mean() if w is None else w @ values / w.sum(axis=1)
        >>> result = bootstrap_interval(mean, draw_resamples(np.arange(40), strata), strata)
        >>> result.score, 15 < result.interval.low < 16.5, 22.5 < result.interval.high < 24
        (19.5, True, True)
        >>> constant = bootstrap_interval(lambda w: np.ones(1 if w is None else len(w)),
        ...                               np.ones((50, 3)), np.zeros(3))
        >>> constant.interval.low, constant.interval.high
        (1.0, 1.0)
    """
    score = float(np.asarray(statistic(None)).reshape(()))
    replicates = np.asarray(statistic(weights))
    if method == "percentile":
        return BootstrapResult(score, replicates, percentile_interval(score, replicates, level))
    jackknife = np.asarray(statistic(jackknife_weights(strata)))
    interval = bca_interval(score, replicates, jackknife, strata, level)
    return BootstrapResult(score, replicates, interval)
