"""Random-effects pooling of one paired difference over cohorts.

Cohorts differ in scanners, age and stage, so the true difference may too. The interval is for its
mean over cohorts like these, with Student's t on (cohorts - 1) degrees of freedom: of three cohorts
it is wide, and should be.

References:
    Paule and Mandel 1982, 10.6028/jres.087.022; DerSimonian and Laird 1986,
    10.1016/0197-2456(86)90046-2 (variance between cohorts).
    Hartung and Knapp 2001, 10.1002/sim.1009 (the interval).
    Roever, Knapp and Friede 2015, 10.1186/s12874-015-0091-1 (never narrower than the plain one).
    Higgins, Thompson and Spiegelhalter 2009, 10.1111/j.1467-985X.2008.00552.x (a new cohort).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmark.errors import ResultError
from benchmark.stats.interval import LEVEL

__all__ = ["Pooled", "pool_random_effects"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pooled:
    """The mean difference over cohorts.

    Attributes:
        difference: Weighted mean.
        standard_error: Hartung-Knapp.
        low: Lower bound for the mean.
        high: Upper bound.
        p_value: Two-sided, that the mean is 0.
        tau: Standard deviation of the true difference between cohorts.
        i_squared: Share of the spread that is not chance, 0 to 1.
        new_low: Lower bound for the difference in one further cohort; NaN below three cohorts.
        new_high: Upper bound.
        n_cohorts: Cohorts.
    """

    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float
    tau: float
    i_squared: float
    new_low: float
    new_high: float
    n_cohorts: int


def pool_random_effects(
    differences: Array,
    standard_errors: Array,
    *,
    between: Literal["paule-mandel", "dersimonian-laird"] = "paule-mandel",
    at_least_plain: bool = True,
    level: float = LEVEL,
) -> Pooled:
    """Pools the paired difference of two methods over cohorts.

    Args:
        differences: One per cohort, shape (C,).
        standard_errors: Theirs, shape (C,).
        between: Estimator of the variance between cohorts.
        at_least_plain: Keep the Hartung-Knapp error from falling below the plain random-effects
            one, which it does where few cohorts agree by luck.
        level: Confidence level.

    Raises:
        ResultError: Fewer than two cohorts, a missing value, or an error that is not positive. A
            cohort without a difference is left out by the caller, who then states fewer cohorts.

    Example:
        >>> pooled = pool_random_effects([0.04, 0.02, 0.06], [0.02, 0.02, 0.02])
        >>> round(pooled.difference, 3), round(pooled.low, 3), round(pooled.high, 3)
        (0.04, -0.01, 0.09)
        >>> pooled.tau, pooled.n_cohorts  # they differ no more than chance lets them
        (0.0, 3)
    """
    y, se = _checked(differences, standard_errors)
    k, variance = len(y), se**2
    fixed = 1.0 / variance
    q = float(fixed @ (y - (fixed @ y) / fixed.sum()) ** 2)
    tau2 = (
        _paule_mandel(y, variance)
        if between == "paule-mandel"
        else max(0.0, (q - (k - 1)) / (fixed.sum() - (fixed**2).sum() / fixed.sum()))
    )
    weights = 1.0 / (variance + tau2)
    mean = float(weights @ y / weights.sum())
    scale = float(weights @ (y - mean) ** 2 / (k - 1))
    error = math.sqrt((max(1.0, scale) if at_least_plain else scale) / weights.sum())
    reach = float(student.isf((1.0 - level) / 2.0, k - 1))
    p = 2.0 * float(student.sf(abs(mean) / error, k - 1)) if error > 0.0 else math.nan
    new = math.nan
    if k >= 3:
        new = float(student.isf((1.0 - level) / 2.0, k - 2)) * math.sqrt(tau2 + error**2)
    return Pooled(
        difference=mean,
        standard_error=error,
        low=mean - reach * error,
        high=mean + reach * error,
        p_value=p,
        tau=math.sqrt(tau2),
        i_squared=max(0.0, (q - (k - 1)) / q) if q > 0.0 else 0.0,
        new_low=mean - new,
        new_high=mean + new,
        n_cohorts=k,
    )


def _checked(differences: Array, standard_errors: Array) -> tuple[Array, Array]:
    y, se = (np.asarray(x, dtype=np.float64) for x in (differences, standard_errors))
    if y.ndim != 1 or y.shape != se.shape or len(y) < 2:
        raise ResultError(
            f"pooling: expected a difference and its error for two cohorts or more, got shapes "
            f"{y.shape} and {se.shape}; a single cohort has its own interval"
        )
    if not (np.isfinite(y).all() and np.isfinite(se).all() and (se > 0.0).all()):
        raise ResultError(
            "pooling: differences must be finite and their errors positive; leave out cohorts "
            "without a difference and state how many remain"
        )
    return y, se


def _paule_mandel(y: Array, variance: Array) -> float:
    """The variance at which the weighted sum of squares is what chance would give, by bisection."""

    def excess(tau2: float) -> float:
        weights = 1.0 / (variance + tau2)
        return float(weights @ (y - weights @ y / weights.sum()) ** 2) - (len(y) - 1)

    if excess(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, float(y.var(ddof=1)) + float(variance.max())
    while excess(high) > 0.0:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    return 0.5 * (low + high)
