"""The corrected resampled t-test, for repeated cross-validation (``5x5fold``) only.

Fold scores of repeated cross-validation share training people, so their plain variance is far too
small. The correction adds the share of people that training and test sets have in common. It
answers "is the *procedure* better", with training randomness; it cross-checks the bootstrap, which
holds given the fitted models, and never decides ranks.

References:
    Nadeau and Bengio 2003, 10.1023/A:1024068626366.
    Bouckaert and Frank 2004, 10.1007/978-3-540-24775-3_3 (repeated k-fold).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmark.errors import ResultError
from benchmark.stats.interval import LEVEL

__all__ = ["CorrectedTest", "corrected_resampled_t"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class CorrectedTest:
    """A paired comparison over repeated folds.

    Attributes:
        difference: Mean difference over folds.
        standard_error: With the correction.
        t: Their ratio; 0 where both are 0.
        p_value: Two-sided, ``n_folds - 1`` degrees of freedom; NaN where folds do not differ but
            the mean does.
        low: Lower 95 % bound of the difference.
        high: Upper bound.
        n_folds: Folds over all repeats.
    """

    difference: float
    standard_error: float
    t: float
    p_value: float
    low: float
    high: float
    n_folds: int


def corrected_resampled_t(
    differences: Array, test_share: float, *, level: float = LEVEL
) -> CorrectedTest:
    """Tests paired differences of fold scores.

    ``t = mean / sqrt((1 / J + n_test / n_train) var)`` with J - 1 degrees of freedom.

    Args:
        differences: Score of one method minus that of the other on each fold of each repeat,
            shape (J,).
        test_share: People tested over people trained on, in a fold: 0.25 for five folds.
        level: Confidence level.

    Raises:
        ResultError: Fewer than two folds, a NaN, or a share that is not positive.

    Example:
        >>> test = corrected_resampled_t([0.02, 0.04, 0.03, 0.05, 0.01], 0.25)
        >>> round(test.t, 3), round(test.p_value, 3)
        (2.828, 0.047)
        >>> corrected_resampled_t([0.0, 0.0], 0.25).p_value  # never a difference
        1.0
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or len(d) < 2 or not np.isfinite(d).all():
        raise ResultError(
            f"corrected t-test: expected finite differences of two folds or more, got shape "
            f"{d.shape} with {int((~np.isfinite(d)).sum())} missing; score every fold first"
        )
    if not test_share > 0.0:
        raise ResultError(
            f"corrected t-test: expected people tested / people trained on, got {test_share:g}"
        )
    mean, variance = float(d.mean()), float(d.var(ddof=1))
    error = math.sqrt((1.0 / len(d) + test_share) * variance)
    half = float(student.isf((1.0 - level) / 2.0, len(d) - 1)) * error
    if error > 0.0:
        ratio = mean / error
        p = 2.0 * float(student.sf(abs(ratio), len(d) - 1))
    else:
        ratio, p = (0.0, 1.0) if mean == 0.0 else (math.copysign(math.inf, mean), math.nan)
    return CorrectedTest(mean, error, ratio, p, mean - half, mean + half, len(d))
