"""Bias-corrected and accelerated bootstrap intervals, within strata.

References:
    Efron 1987, 10.1080/01621459.1987.10478410.
    Davison and Hinkley 1997, 10.1017/CBO9780511802843 (section 5.3, several samples).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.interval import LEVEL, UNDEFINED, Interval

__all__ = ["MOST_UNDEFINED", "acceleration", "bca_interval", "percentile_interval"]

Array = NDArray[Any]

MOST_UNDEFINED = 0.05  # share of resamples in which a metric may be undefined
_NORMAL = NormalDist()


def acceleration(jackknife: Array, strata: Array) -> float:
    """Acceleration constant from leave-one-out values; NaN where they do not vary.

    ``a = sum l^3 / n^3 / (6 (sum l^2 / n^2)^1.5)`` with ``l = (n - 1)(mean - value)`` in a stratum
    of n people.
    """
    codes, sizes = np.unique(strata, return_inverse=True, return_counts=True)[1:]
    means: Array = np.bincount(codes, jackknife) / sizes
    n: Array = sizes[codes]
    scaled: Array = (n - 1) * (means[codes] - jackknife) / n
    spread = float((scaled**2).sum())
    if not spread > 1e-20:
        return math.nan
    return float((scaled**3).sum() / (6.0 * spread**1.5))


def bca_interval(
    score: float,
    replicates: Array,
    jackknife: Array,
    strata: Array,
    level: float = LEVEL,
) -> Interval:
    """BCa interval; the percentile interval where BCa is undefined, and said so.

    BCa is undefined where all resamples lie on one side of the score, where leaving anybody out
    changes nothing, or where an adjusted level leaves the range that the resamples resolve. The
    interval itself is undefined where the metric is, in the data or in more than 5 % of resamples.

    Args:
        score: The metric on the data.
        replicates: The metric on B resamples, shape (B,).
        jackknife: The metric with each person left out, shape (N,).
        strata: Stratum of each person, shape (N,).
        level: Confidence level.
    """
    values = replicates[np.isfinite(replicates)]
    if not math.isfinite(score) or len(values) < (1.0 - MOST_UNDEFINED) * len(replicates):
        return UNDEFINED
    tails = ((1.0 - level) / 2.0, (1.0 + level) / 2.0)
    adjusted = _adjusted_levels(score, values, acceleration(jackknife, strata), tails)
    if adjusted is None:
        low, high = np.quantile(values, tails)
        name = f"percentile bootstrap {len(replicates)} (BCa undefined)"
        return Interval(float(low), float(high), name)
    low, high = np.quantile(values, adjusted)
    return Interval(float(low), float(high), f"BCa bootstrap {len(replicates)}")


def percentile_interval(score: float, replicates: Array, level: float = LEVEL) -> Interval:
    """Percentile interval; undefined where the metric is, in the data or in over 5 % of resamples.

    Args:
        score: The metric on the data.
        replicates: The metric on B resamples, shape (B,).
        level: Confidence level.
    """
    values = replicates[np.isfinite(replicates)]
    if not math.isfinite(score) or len(values) < (1.0 - MOST_UNDEFINED) * len(replicates):
        return UNDEFINED
    low, high = np.quantile(values, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return Interval(float(low), float(high), f"percentile bootstrap {len(replicates)}")


def _adjusted_levels(
    score: float, values: Array, accelerate: float, tails: tuple[float, float]
) -> list[float] | None:
    tolerance = 1e-6 * max(1.0, abs(score))  # resamples are in single precision
    below = float(
        np.mean(values < score - tolerance) + 0.5 * np.mean(np.abs(values - score) <= tolerance)
    )
    if not 0.0 < below < 1.0 or not math.isfinite(accelerate):
        return None
    bias = _NORMAL.inv_cdf(below)
    adjusted = []
    for tail in tails:
        shifted = bias + _NORMAL.inv_cdf(tail)
        scale = 1.0 - accelerate * shifted
        if scale <= 0.0:
            return None
        adjusted.append(_NORMAL.cdf(bias + shifted / scale))
    resolved = 1.0 / len(values)
    inside = all(resolved <= p <= 1.0 - resolved for p in adjusted)
    return adjusted if inside else None
