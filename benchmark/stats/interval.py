"""A confidence interval and how it was made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

__all__ = ["LEVEL", "Interval", "with_seed_variance", "z_value"]

LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Attributes: low and high bound (NaN where undefined), and the method's name for readers."""

    low: float
    high: float
    method: str


UNDEFINED: Final = Interval(float("nan"), float("nan"), "undefined")


def z_value(level: float = LEVEL) -> float:
    """Two-sided standard normal quantile, 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2.0)


def with_seed_variance(
    interval: Interval, score: float, seed_sd: float, seeds: int, level: float = LEVEL
) -> Interval:
    """Widens an interval by the variance between training seeds.

    Each side becomes ``sqrt(side^2 + z^2 seed_sd^2 / seeds)``. With fewer than three seeds the
    interval is returned as it is: it holds given the fitted models.
    """
    if seeds < 3 or not seed_sd > 0.0 or not math.isfinite(interval.low):
        return interval
    extra = z_value(level) ** 2 * seed_sd**2 / seeds
    low = score - ((score - interval.low) ** 2 + extra) ** 0.5
    high = score + ((interval.high - score) ** 2 + extra) ** 0.5
    return Interval(low, high, f"{interval.method} + seed variance")
