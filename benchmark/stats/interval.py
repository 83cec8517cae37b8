"""A confidence interval and how it was made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

__all__ = ["LEVEL", "Interval", "few_seeds_factor", "with_seed_variance", "z_value"]

Array = NDArray[Any]

LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Attributes: low and high bound (NaN where undefined), and the method's name for readers."""

    low: float
    high: float
    method: str

    def within(self, least: float, greatest: float) -> Interval:
        """The same, cut off where the quantity cannot be."""
        if not (self.low < least or self.high > greatest):
            return self
        return Interval(max(self.low, least), min(self.high, greatest), self.method)


UNDEFINED: Final = Interval(float("nan"), float("nan"), "undefined")


def z_value(level: float = LEVEL) -> float:
    """Two-sided standard normal quantile, 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2.0)


def few_seeds_factor(
    people: Array | float,
    seeds: Sequence[tuple[Array | float, Array | float]],
    level: float = LEVEL,
) -> Array:
    """How many times wider than a normal interval one is whose seeds' variance is an estimate.

    The quantile of Student's t over that of the normal, with the degrees of freedom of Welch and
    Satterthwaite: ``(v + sum v_i)^2 / sum (v_i^2 / df_i)``. Three seeds alone make it 2.2.

    Args:
        people: Variance v of the score over people, taken as known.
        seeds: Of each part that comes of seeds, its variance ``seed_sd^2 / seeds`` and its degrees
            of freedom, ``seeds - 1``. Parts of variance 0 change nothing.
        level: Of the interval.

    References:
        Satterthwaite 1946, 10.2307/3002019; Welch 1947, 10.1093/biomet/34.1-2.28.
    """
    total = np.asarray(people, dtype=np.float64)
    bottom = np.zeros(1)
    for variance, df in seeds:
        total = total + variance
        bottom = bottom + np.square(variance) / np.maximum(df, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(bottom > 0.0, np.square(total) / bottom, np.inf)
    factor: Array = student.ppf(0.5 + level / 2.0, df) / z_value(level)
    return np.where(np.isfinite(df), factor, 1.0)


def with_seed_variance(
    interval: Interval, score: float, seed_sd: float, seeds: int, level: float = LEVEL
) -> Interval:
    """Widens an interval by the variance between training seeds.

    Each side becomes ``k sqrt(side^2 + z^2 seed_sd^2 / seeds)``, k being :func:`few_seeds_factor`.
    With fewer than three seeds the interval is returned as it is: it holds given the fitted models.
    """
    if seeds < 3 or not seed_sd > 0.0 or not math.isfinite(interval.low):
        return interval
    z, variance = z_value(level), seed_sd**2 / seeds

    def wide(side: float) -> float:
        (factor,) = few_seeds_factor((side / z) ** 2, [(variance, seeds - 1)], level)
        return float(factor * math.hypot(side, z * math.sqrt(variance)))

    low, high = score - wide(score - interval.low), score + wide(interval.high - score)
    return Interval(low, high, f"{interval.method} + seed variance")
