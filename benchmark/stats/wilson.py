"""Wilson's interval of a share.

References:
    Wilson 1927, 10.1080/01621459.1927.10502953.
    Brown, Cai and DasGupta 2001, 10.1214/ss/1009213286 (why not Wald's).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.stats.interval import LEVEL, z_value

__all__ = ["wilson_interval"]

Array = NDArray[Any]


def wilson_interval(
    successes: Array | float, trials: Array | float, level: float = LEVEL
) -> tuple[Array, Array]:
    """Lower and upper bound of a share, elementwise.

    ``(p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)``

    Args:
        successes: Number of successes.
        trials: Number of trials, same shape; where it is 0 the bounds are NaN.
        level: Confidence level.

    Raises:
        ResultError: Fewer than no success, or more successes than trials.

    Example:
        >>> low, high = wilson_interval([8, 0], [10, 0])
        >>> [round(float(x), 3) for x in (low[0], high[0])], float(low[1])
        ([0.49, 0.943], nan)
    """
    k, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if not ((k >= 0) & (k <= n)).all():
        raise ResultError("a share needs 0 <= successes <= trials; check what was counted")
    z = z_value(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = k / n
        scale = 1.0 + z**2 / n
        centre = (share + z**2 / (2.0 * n)) / scale
        half = z * np.sqrt(share * (1.0 - share) / n + z**2 / (4.0 * n**2)) / scale
    low, high = np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
    return np.where(k == 0, np.where(n > 0, 0.0, np.nan), low), np.where(
        (k == n) & (n > 0), 1.0, high
    )
