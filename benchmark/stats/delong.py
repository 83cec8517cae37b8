"""DeLong's variance of the AUROC, for within-fold pairs and any number of classes.

Each person's *influence* on the AUROC is kept, so the variance of an AUROC, of a difference, of a
mean over seeds or of a macro average over classes is one formula: the sum over strata (fold and
class) of ``n / (n - 1)`` times the centred sum of squares of the influences. For two classes and
one fold it equals DeLong's variance exactly.

References:
    DeLong et al. 1988, 10.2307/2531595.
    Sun and Xu 2014, 10.1109/LSP.2014.2337313 (by mid-ranks, O(n log n)).
    Pepe 2003, The Statistical Evaluation of Medical Tests, section 5.2 (interval on the logit).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.interval import LEVEL, UNDEFINED, Interval, z_value

__all__ = [
    "AurocComponents",
    "DelongTest",
    "auroc_components",
    "delong_interval",
    "delong_test",
    "delong_variance",
]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class AurocComponents:
    """Attributes: the AUROC, and each person's influence on it, shape (N,)."""

    auroc: float
    influence: Array


@dataclass(frozen=True, slots=True)
class DelongTest:
    """A paired comparison of two AUROCs: difference a - b, its standard error, two-sided p."""

    difference: float
    standard_error: float
    p_value: float


def auroc_components(y_true: Array, y_prob: Array, folds: Array | None = None) -> AurocComponents:
    """Computes the AUROC and each person's influence on it.

    Args:
        y_true: Class index, shape (N,).
        y_prob: Class probabilities, shape (N, K); macro one-vs-rest where K > 2.
        folds: Fold of each person, shape (N,); pairs are formed within folds, folds count by their
            number of pairs. None means one fold.

    Returns:
        The same AUROC as the metric ``roc_auc``; NaN where a class has no pair.
    """
    folds = np.zeros(len(y_true)) if folds is None else np.asarray(folds)
    n_classes = y_prob.shape[1]
    parts = [
        _binary_components(np.asarray(y_true) == k, y_prob[:, k], folds)
        for k in ([1] if n_classes == 2 else range(n_classes))
    ]
    auroc = float(np.mean([part.auroc for part in parts]))
    return AurocComponents(auroc, np.mean([part.influence for part in parts], axis=0))


def _binary_components(positive: Array, score: Array, folds: Array) -> AurocComponents:
    influence = np.zeros(len(score))
    wins, pairs = 0.0, 0.0
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        pos, neg = rows[positive[rows]], rows[~positive[rows]]
        m, n = len(pos), len(neg)
        if not m or not n:
            continue
        below = _midrank(score[pos], np.sort(score[neg])) / n
        above = 1.0 - _midrank(score[neg], np.sort(score[pos])) / m
        auroc = below.mean()
        influence[pos] = n * (below - auroc)  # m n (V10 - AUROC) / m
        influence[neg] = m * (above - auroc)
        wins += auroc * m * n
        pairs += m * n
    if not pairs:
        return AurocComponents(math.nan, np.full(len(score), np.nan))
    return AurocComponents(wins / pairs, influence / pairs)


def _midrank(values: Array, ordered: Array) -> Array:
    """How many of some sorted values lie below each value, ties counting one half."""
    below = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    midrank: Array = 0.5 * (below + not_above)
    return midrank


def delong_variance(influence: Array, strata: Array) -> float:
    """Variance of an estimate from its influences within strata.

    A stratum of one person contributes its square uncorrected, which is conservative.
    """
    codes, sizes = np.unique(strata, return_inverse=True, return_counts=True)[1:]
    means = np.bincount(codes, influence) / sizes
    centre = np.where(sizes > 1, means, 0.0)[codes]
    squares = np.bincount(codes, (influence - centre) ** 2)
    return float((squares * sizes / np.maximum(sizes - 1, 1)).sum())


def delong_interval(
    auroc: float, variance: float, n_smallest_class: int, level: float = LEVEL
) -> Interval:
    """Interval of an AUROC, symmetric on the logit scale.

    At exactly 0 or 1 the variance is zero and the logit infinite; there the bound is that of a
    share of 0 or 1 among the people of the smallest class (Clopper-Pearson), which is conservative.
    """
    if not math.isfinite(auroc) or not math.isfinite(variance):
        return UNDEFINED
    if min(auroc, 1.0 - auroc) < 1e-12:
        reach = ((1.0 - level) / 2.0) ** (1.0 / n_smallest_class)
        low, high = (reach, 1.0) if auroc > 0.5 else (0.0, 1.0 - reach)
        return Interval(low, high, "Clopper-Pearson bound (AUROC at its limit)")
    logit = math.log(auroc / (1.0 - auroc))
    half = z_value(level) * math.sqrt(variance) / (auroc * (1.0 - auroc))
    return Interval(_expit(logit - half), _expit(logit + half), "logit-DeLong")


def delong_test(a: AurocComponents, b: AurocComponents, strata: Array) -> DelongTest:
    """Compares two fixed models on the same people; a cross-check that never decides ranks."""
    difference = a.auroc - b.auroc
    error = math.sqrt(delong_variance(a.influence - b.influence, strata))
    if not error > 0.0:
        return DelongTest(difference, error, 1.0 if difference == 0.0 else math.nan)
    return DelongTest(difference, error, 2.0 * NormalDist().cdf(-abs(difference) / error))


def _expit(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))
