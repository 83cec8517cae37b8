"""How many people a comparison needs.

References:
    Hanley and McNeil 1982, 10.1148/radiology.143.1.7063747 (variance of an AUROC; table III).
    Hanley and McNeil 1983, 10.1148/radiology.148.3.6878708 (the same people under both methods).
    Obuchowski and McClish 1997, 10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.stats.delong import AurocComponents, delong_variance

__all__ = [
    "auroc_correlation",
    "auroc_difference_power",
    "more_to_separate",
    "people_for_auroc_difference",
]

Array = NDArray[Any]

_NORMAL = NormalDist()
_MOST_PEOPLE = 10_000_000


def more_to_separate(t: float, critical: float, n: int, power: float = 0.5) -> float:
    """Participants to add so that a difference of the same size would reach the critical value.

    The ratio t grows with the square root of n, so ``n (((critical + z_power) / t)^2 - 1)``,
    rounded up. With power 0.5 the difference is just as likely to miss as to pass. 0 where it is
    reached already, NaN for a difference of zero or more than 1,000 n.

    Args:
        t: Difference over its standard error on n people.
        critical: Critical value of the test.
        n: People so far.
        power: Wanted chance of separation, if the effect is what was seen.

    Example:
        >>> more_to_separate(1.0, 2.0, 100), more_to_separate(1.0, 2.0, 100, power=0.8)
        (300.0, 708.0)
        >>> more_to_separate(0.0, 2.0, 100)
        nan
    """
    if not abs(t) > 0.0 or not math.isfinite(critical):
        return math.nan
    ratio = ((critical + _NORMAL.inv_cdf(power)) / abs(t)) ** 2
    if ratio > 1_000.0:
        return math.nan
    return float(max(0, math.ceil(n * (ratio - 1.0))))


def auroc_difference_power(
    auc_a: float,
    auc_b: float,
    n_positive: int,
    n_negative: int,
    *,
    correlation: float = 0.0,
    alpha: float = 0.05,
) -> float:
    """Power of a two-sided test that two AUROCs differ.

    ``Phi((|a - b| - z_(1 - alpha / 2) se_0) / se_1)``: se_0 under two AUROCs of a, se_1 under a
    and b, each ``sqrt(v + v' - 2 r sqrt(v v'))``.

    Args:
        auc_a: AUROC of the reference, between 0.5 and 1.
        auc_b: AUROC of the other.
        n_positive: People of class 1.
        n_negative: People of class 0.
        correlation: Between the two estimates: 0 for different people; for the same people read
            it from data with ``auroc_correlation``.
        alpha: Two-sided level; for one of m comparisons use alpha / m.

    Raises:
        ResultError: An AUROC outside (0, 1), a correlation outside [-1, 1), or no people.
    """
    _check(auc_a, auc_b, correlation)
    if n_positive < 1 or n_negative < 1:
        raise ResultError(
            f"power: expected people of both classes, got {n_positive} and {n_negative}"
        )
    var_a, var_b = (_variance(auc, n_positive, n_negative) for auc in (auc_a, auc_b))
    null = math.sqrt(2.0 * var_a * (1.0 - correlation))
    other = math.sqrt(var_a + var_b - 2.0 * correlation * math.sqrt(var_a * var_b))
    z = _NORMAL.inv_cdf(1.0 - alpha / 2.0)
    return _NORMAL.cdf((abs(auc_a - auc_b) - z * null) / other)


def people_for_auroc_difference(
    auc_a: float,
    auc_b: float,
    *,
    prevalence: float = 0.5,
    correlation: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Fewest people in all for the wanted power; see ``auroc_difference_power``.

    Args:
        auc_a: AUROC of the reference.
        auc_b: AUROC of the other.
        prevalence: Share of class 1 among the people.
        correlation: Between the two estimates.
        alpha: Two-sided level.
        power: Wanted power.

    Raises:
        ResultError: Equal AUROCs, a share outside (0, 1), or more than 10,000,000 people.

    Example:
        >>> people_for_auroc_difference(0.80, 0.85, correlation=0.5)
        595
    """
    _check(auc_a, auc_b, correlation)
    if auc_a == auc_b or not 0.0 < prevalence < 1.0 or not 0.0 < power < 1.0:
        raise ResultError(
            "sample size: expected two different AUROCs and a prevalence and power between 0 "
            f"and 1, got {auc_a:g}, {auc_b:g}, {prevalence:g} and {power:g}"
        )

    def reached(n: int) -> bool:
        positive = round(n * prevalence)
        if positive < 1 or n - positive < 1:
            return False
        found = auroc_difference_power(
            auc_a, auc_b, positive, n - positive, correlation=correlation, alpha=alpha
        )
        return found >= power

    high = 4
    while not reached(high):
        high *= 2
        if high > _MOST_PEOPLE:
            raise ResultError(
                f"sample size: more than {_MOST_PEOPLE:,} people would be needed to tell "
                f"{auc_a:g} from {auc_b:g}; such a difference is not worth a study"
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def auroc_correlation(a: AurocComponents, b: AurocComponents, strata: Array) -> float:
    """Correlation of two AUROC estimates on the same people, by DeLong; NaN where one is certain.

    Args:
        a: Components of one method.
        b: Components of the other, on the same people in the same order.
        strata: Stratum (fold and class) of each person, shape (N,).
    """
    var_a, var_b = (delong_variance(x.influence, strata) for x in (a, b))
    if not min(var_a, var_b) > 0.0:
        return math.nan
    between = delong_variance(a.influence - b.influence, strata)
    return (var_a + var_b - between) / (2.0 * math.sqrt(var_a * var_b))


def _variance(auc: float, n_positive: int, n_negative: int) -> float:
    """Hanley and McNeil's, which assumes exponential scores and is slightly conservative."""
    two_positives, two_negatives = auc / (2.0 - auc), 2.0 * auc**2 / (1.0 + auc)
    total = (
        auc * (1.0 - auc)
        + (n_positive - 1) * (two_positives - auc**2)
        + (n_negative - 1) * (two_negatives - auc**2)
    )
    return total / (n_positive * n_negative)


def _check(auc_a: float, auc_b: float, correlation: float) -> None:
    if not (0.0 < auc_a < 1.0 and 0.0 < auc_b < 1.0 and -1.0 <= correlation < 1.0):
        raise ResultError(
            "AUROC comparison: expected AUROCs between 0 and 1 and a correlation in [-1, 1), got "
            f"{auc_a:g}, {auc_b:g} and {correlation:g}"
        )
