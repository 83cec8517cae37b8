"""The one test that decides ranks: step-down max-T over paired differences.

Each difference is divided by its bootstrap standard error; the largest absolute centred ratio over
the differences still in play, in each shared resample, gives the critical value. The correlation
between comparisons is thus used, and the chance of even one false separation stays at alpha.

No p-value is a count of resamples. An adjusted p-value is read from the normal tail with the
effective number of comparisons ``m`` that makes the step's critical value its 5 % point:
``1 - (1 - 2 (1 - Phi(|t|)))^m``. It is below alpha exactly where the test separates.

References:
    Romano and Wolf 2005, 10.1198/016214504000000539 (step-down; algorithm 4.1).
    Westfall and Young 1993, Resampling-Based Multiple Testing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["ALPHA", "MaxT", "max_t"]

Array = NDArray[Any]

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class MaxT:
    """Result for P differences, all arrays of shape (P,).

    Attributes:
        standard_error: Bootstrap standard error, at least the floor given.
        t: Difference over its standard error; 0 where not comparable.
        p_adjusted: Adjusted p-value; NaN where not comparable.
        separated: Whether the difference is not zero at family-wise level alpha.
        low: Simultaneous interval (single step), lower bound.
        high: Upper bound.
        critical: The single-step critical value, one number.
    """

    standard_error: Array
    t: Array
    p_adjusted: Array
    separated: Array
    low: Array
    high: Array
    critical: float


def max_t(
    differences: Array, replicates: Array, *, floor: Array | float = 0.0, alpha: float = ALPHA
) -> MaxT:
    """Tests P paired differences together.

    Args:
        differences: Shape (P,); NaN where two methods cannot be compared.
        replicates: The differences in B shared resamples, shape (P, B).
        floor: Smallest standard error allowed, shape (P,) or one number. Where no resample varies
            (two perfect or constant methods) the bootstrap gives 0, which would claim certainty.
        alpha: Family-wise error rate.

    Returns:
        The test of every difference. Where the standard error is 0 even so, equal scores are not
        separated and unequal ones are.
    """
    comparable = np.isfinite(differences) & (np.isfinite(replicates).mean(axis=1) >= 0.95)
    difference = np.where(comparable, differences, 0.0)
    shift = replicates - difference[:, None]
    shift = np.where(np.isfinite(shift) & comparable[:, None], shift, 0.0)
    error = np.maximum(shift.std(axis=1, ddof=1), floor)
    error = np.where(error > 1e-7 * (1e-30 + np.abs(replicates).max(initial=0.0)), error, 0.0)
    t = _ratio(difference, error)
    centred = np.abs(_ratio(shift, error[:, None]))
    p_adjusted, separated, critical = _step_down(np.abs(t), centred, comparable, alpha)
    return MaxT(
        standard_error=np.where(comparable, error, np.nan),
        t=t,
        p_adjusted=p_adjusted,
        separated=separated,
        low=differences - critical * error,
        high=differences + critical * error,
        critical=critical,
    )


def _ratio(value: Array, error: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = value / error
    small = np.abs(value) <= 1e-9
    return np.where((error == 0.0) & small, 0.0, ratio)


def _step_down(
    t: Array, centred: Array, comparable: Array, alpha: float
) -> tuple[Array, Array, float]:
    order = np.argsort(-t, kind="stable")
    order = order[comparable[order]]
    p_adjusted = np.full(len(t), np.nan)
    separated = np.zeros(len(t), dtype=bool)
    if not len(order):
        return p_adjusted, separated, math.nan
    finite = np.where(np.isfinite(centred), centred, 0.0)
    largest = np.maximum.accumulate(finite[order[::-1]], axis=0)[::-1]
    single = norm.isf(alpha / 2.0)  # what one comparison costs; less is never enough
    critical = np.maximum(np.quantile(largest, 1.0 - alpha, axis=1), single)
    stepwise = _adjusted_p(t[order], critical, alpha)
    p_adjusted[order] = np.maximum.accumulate(stepwise)
    separated[order] = np.logical_and.accumulate(t[order] > critical)
    return p_adjusted, separated, float(critical[0])


def _adjusted_p(t: Array, critical: Array, alpha: float) -> Array:
    """Sidak's formula with the number of comparisons that fits the critical value."""
    tail_at_critical = 2.0 * norm.sf(np.maximum(critical, 1e-6))
    comparisons = math.log1p(-alpha) / np.log1p(-tail_at_critical)
    single = np.minimum(2.0 * norm.sf(t), 1.0 - 1e-16)
    adjusted: Array = -np.expm1(comparisons * np.log1p(-single))
    return adjusted
