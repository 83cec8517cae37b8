"""Metrics that rank people: AUROC, average precision, sensitivity at a fixed specificity.

Scores of different folds come from different models and are not on one scale, so only pairs of
people of the same fold are compared. Ties count one half (AUROC) or enter together (the others).
With more than two classes each is the mean over one-vs-rest problems.

References:
    Hand and Till 2001, 10.1023/A:1010920819831 (several classes; here one-vs-rest).
    Forman and Scholz 2010, 10.1145/1882471.1882479 (why not to pool scores over folds).
    Davis and Goadrich 2006, 10.1145/1143844.1143874 (no linear interpolation of precision).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["class_pr_auc", "class_roc_auc", "pr_auc", "roc_auc", "sensitivity_at_specificity"]

Array = NDArray[Any]


def roc_auc(y_true: Array, y_prob: Array, folds: Array, weights: Array) -> Array:
    """Area under the ROC curve from within-fold pairs.

    ``sum_f sum_(i pos, j neg) w_i w_j [s_i > s_j] + [s_i = s_j] / 2``, divided by the sum of
    ``w_i w_j``: folds count by their number of pairs. NaN where no fold has a pair.
    """
    return _one_vs_rest(_pair_auc, y_true, y_prob, folds, weights)


def pr_auc(y_true: Array, y_prob: Array, folds: Array, weights: Array) -> Array:
    """Average precision within each fold, averaged with the number of positives as weight.

    ``sum_t (R_t - R_(t-1)) P_t`` over the distinct scores. A constant prediction scores the
    prevalence. A fold of one class says nothing and does not count; NaN where no fold has both.
    """
    return _one_vs_rest(_average_precision, y_true, y_prob, folds, weights)


def class_roc_auc(y_true: Array, y_prob: Array, folds: Array, weights: Array, k: int) -> Array:
    """AUROC of class k against the rest by its own probability; see ``roc_auc``."""
    return _pair_auc(y_true == k, y_prob[:, k], folds, weights)


def class_pr_auc(y_true: Array, y_prob: Array, folds: Array, weights: Array, k: int) -> Array:
    """Average precision of class k against the rest by its own probability; see ``pr_auc``."""
    return _average_precision(y_true == k, y_prob[:, k], folds, weights)


def sensitivity_at_specificity(
    y_true: Array, y_prob: Array, folds: Array, weights: Array, specificity: float
) -> Array:
    """Largest sensitivity for class 1 at a specificity of at least the one given, in each fold.

    The threshold is read from the test fold itself, so the value is descriptive. Folds count by
    their positives. NaN where a class is absent.
    """
    return _sensitivity_at(y_true == 1, y_prob[:, 1], folds, weights, specificity)


def _one_vs_rest(
    binary: Callable[[Array, Array, Array, Array], Array],
    y_true: Array,
    y_prob: Array,
    folds: Array,
    weights: Array,
) -> Array:
    n_classes = y_prob.shape[1]
    if n_classes == 2:
        return binary(y_true == 1, y_prob[:, 1], folds, weights)
    values = [binary(y_true == k, y_prob[:, k], folds, weights) for k in range(n_classes)]
    mean: Array = np.mean(values, axis=0)
    return mean


def _sorted_folds(positive: Array, score: Array, folds: Array) -> Iterator[tuple[Array, Array]]:
    """Yields row numbers of each fold's positives and negatives, by descending score."""
    order = np.argsort(-score, kind="stable")
    for fold in np.unique(folds):
        rows = order[folds[order] == fold]
        yield rows[positive[rows]], rows[~positive[rows]]


def _running(weights: Array) -> Array:
    """Cumulative sums over rows, with a leading row of zeros: shape (n + 1, B)."""
    total = np.zeros((len(weights) + 1, weights.shape[1]), dtype=weights.dtype)
    np.cumsum(weights, axis=0, out=total[1:])
    return total


def _pair_auc(positive: Array, score: Array, folds: Array, weights: Array) -> Array:
    wins = np.zeros(weights.shape[1])
    pairs = np.zeros(weights.shape[1])
    for pos, neg in _sorted_folds(positive, score, folds):
        if not len(pos) or not len(neg):
            continue
        above = _running(weights[neg])  # row m: weight of the m highest negatives
        w_pos = weights[pos]
        first = np.searchsorted(-score[neg], -score[pos], side="left")
        last = np.searchsorted(-score[neg], -score[pos], side="right")
        lost = np.einsum("nb,nb->b", w_pos, above[first])
        tied = lost if (first == last).all() else np.einsum("nb,nb->b", w_pos, above[last])
        fold_pairs = w_pos.sum(axis=0, dtype=np.float64) * above[-1]
        wins += fold_pairs - 0.5 * (lost + tied.astype(np.float64))
        pairs += fold_pairs
    return np.where(pairs > 0, wins / pairs, np.nan)


def _curve(pos: Array, neg: Array, score: Array, weights: Array) -> tuple[Array, Array]:
    """Weight of positives and negatives at or above each distinct positive score, (G, B) each."""
    values = score[pos]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    true = np.cumsum(weights[pos], axis=0)
    if len(ends) < len(pos):
        true = true[ends]
    counts = np.searchsorted(-score[neg], -values[ends], side="right")
    return true, _running(weights[neg])[counts]


def _average_precision(positive: Array, score: Array, folds: Array, weights: Array) -> Array:
    total = np.zeros(weights.shape[1])
    positives = np.zeros(weights.shape[1])
    for pos, neg in _sorted_folds(positive, score, folds):
        if not len(pos) or not len(neg):
            continue
        true, false = _curve(pos, neg, score, weights)
        usable = weights[neg].sum(axis=0) > 0
        false += true
        precision = np.divide(true, false, out=np.zeros_like(true), where=false > 0)
        steps = np.diff(true, axis=0, prepend=np.zeros_like(true[:1]))
        total += usable * np.einsum("gb,gb->b", steps, precision)
        positives += usable * true[-1]
    return np.where(positives > 0, total / positives, np.nan)


def _sensitivity_at(
    positive: Array, score: Array, folds: Array, weights: Array, specificity: float
) -> Array:
    found = np.zeros(weights.shape[1])
    positives = np.zeros(weights.shape[1])
    for pos, neg in _sorted_folds(positive, score, folds):
        if not len(pos) or not len(neg):
            continue
        true, false = _curve(pos, neg, score, weights)
        negatives = weights[neg].sum(axis=0)
        allowed = (1.0 - specificity) * negatives * (1.0 + 1e-6)
        usable = (negatives > 0).astype(np.float64)
        found += usable * np.where(false <= allowed, true, 0.0).max(axis=0)
        positives += usable * true[-1]
    return np.where(positives > 0, found / positives, np.nan)
