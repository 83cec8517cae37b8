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
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmark.stats.pairs import Moments, blocks

__all__ = ["ALPHA", "MaxT", "max_t", "max_t_of_pairs"]

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
    return max_t_of_pairs(differences, lambda which: replicates[which], floor=floor, alpha=alpha)


def max_t_of_pairs(
    differences: Array,
    replicates_of: Callable[[Array], Array],
    *,
    moments: Moments | None = None,
    floor: Array | float = 0.0,
    widened: Callable[[Array], Array] = lambda error: error,
    alpha: float = ALPHA,
) -> MaxT:
    """The same without the whole (P, B) matrix: replicates are asked for by block.

    Args:
        differences: Shape (P,); NaN where two methods cannot be compared.
        replicates_of: Takes indices of differences, returns their replicates (len, B).
        moments: Of the replicates, where known; None takes another pass over them.
        floor: As in ``max_t``.
        widened: From the standard errors (P,) to those that differences are divided by; ratios of
            replicates keep the former.
        alpha: As in ``max_t``.
    """
    found = moments or _moments(differences, replicates_of)
    comparable = np.isfinite(differences) & (found.known >= 0.95)
    difference = np.where(comparable, differences, 0.0)
    error = np.maximum(np.where(comparable, found.spread, 0.0), floor)
    error = np.where(error > 1e-7 * (1e-30 + found.largest), error, 0.0)
    used = widened(error)
    t = _ratio(difference, used)
    p_adjusted, separated, critical = _step_down(
        np.abs(t), comparable, _Centred(difference, error, replicates_of), alpha
    )
    return MaxT(
        standard_error=np.where(comparable, used, np.nan),
        t=t,
        p_adjusted=p_adjusted,
        separated=separated,
        low=differences - critical * used,
        high=differences + critical * used,
        critical=critical,
    )


@dataclass(frozen=True, slots=True)
class _Centred:
    """Absolute centred ratios of some differences, (len, B); 0 where they have no spread."""

    difference: Array
    error: Array
    replicates_of: Callable[[Array], Array]

    def __call__(self, which: Array) -> Array:
        ratio = self.replicates_of(which)
        ratio -= self.difference[which, None]
        error = self.error[which, None]
        ratio /= np.where(error > 0.0, error, np.inf)
        np.abs(ratio, out=ratio)
        return ratio if np.isfinite(ratio).all() else np.where(np.isfinite(ratio), ratio, 0.0)


def _moments(differences: Array, replicates_of: Callable[[Array], Array]) -> Moments:
    known, spread = np.ones(len(differences)), np.zeros(len(differences))
    largest = 0.0
    for which in blocks(np.arange(len(differences))):
        values = replicates_of(which)
        finite = np.isfinite(values)
        if not finite.all():
            known[which] = finite.mean(axis=1)
            values = np.where(finite, values, np.nan_to_num(differences[which, None]))
        largest = max(largest, float(np.abs(values).max(initial=0.0)))
        spread[which] = values.std(axis=1, ddof=1)
    return Moments(known, spread, largest)


def _ratio(value: Array, error: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = value / error
    small = np.abs(value) <= 1e-9
    return np.where((error == 0.0) & small, 0.0, ratio)


def _step_down(
    t: Array, comparable: Array, centred: _Centred, alpha: float
) -> tuple[Array, Array, float]:
    order = np.argsort(-t, kind="stable")
    order = order[comparable[order]]
    p_adjusted = np.full(len(t), np.nan)
    separated = np.zeros(len(t), dtype=bool)
    if not len(order):
        return p_adjusted, separated, math.nan
    single = norm.isf(alpha / 2.0)  # what one comparison costs; less is never enough
    critical = np.maximum(_critical_values(order, centred, alpha), single)
    stepwise = _adjusted_p(t[order], critical, alpha)
    p_adjusted[order] = np.maximum.accumulate(stepwise)
    separated[order] = np.logical_and.accumulate(t[order] > critical)
    return p_adjusted, separated, float(critical[0])


def _critical_values(order: Array, centred: _Centred, alpha: float) -> Array:
    """1 - alpha quantile of the largest ratio over each difference and all that follow it.

    Goes from the last to the first, keeping the largest so far. Quantiles only grow on the way, so
    in a block only the resamples that end it at or above the quantile before it can move it.
    """
    found = np.empty(len(order))
    done, so_far, before = 0, None, 0.0
    for which in blocks(order[::-1]):
        ratio = centred(which)
        if so_far is not None:
            np.maximum(ratio[0], so_far, out=ratio[0])
        for above, row in pairwise(ratio):  # faster than accumulate, which walks down columns
            np.maximum(above, row, out=row)
        so_far = ratio[-1].copy()
        low, values = _upper_quantile(ratio[:, so_far >= before], ratio.shape[1], alpha)
        found[done : done + len(which)] = values
        done, before = done + len(which), float(low[-1])
    return found[::-1]


def _upper_quantile(largest: Array, n: int, alpha: float) -> tuple[Array, Array]:
    """Order statistic below the 1 - alpha quantile of each row of n, and the quantile itself.

    Linear between order statistics, to the last bit as ``numpy.quantile``. The largest are given,
    (rows, m): all others lie below the quantile.
    """
    place = (n - 1) * (1.0 - alpha)
    below = math.floor(place)
    first = below - (n - largest.shape[1])
    second = min(first + 1, largest.shape[1] - 1)
    ordered = np.partition(largest, (first, second), axis=1)
    low, high = ordered[:, first], ordered[:, second]
    share = place - below
    near_low = share < 0.5
    return low, low + (high - low) * share if near_low else high - (high - low) * (1.0 - share)


def _adjusted_p(t: Array, critical: Array, alpha: float) -> Array:
    """Sidak's formula with the number of comparisons that fits the critical value."""
    tail_at_critical = 2.0 * norm.sf(np.maximum(critical, 1e-6))
    comparisons = math.log1p(-alpha) / np.log1p(-tail_at_critical)
    single = np.minimum(2.0 * norm.sf(t), 1.0 - 1e-16)
    adjusted: Array = -np.expm1(comparisons * np.log1p(-single))
    return adjusted
