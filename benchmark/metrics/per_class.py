"""One value per class: recall, precision, F1, AUROC and average precision; and weighted means.

The class is set against the rest. Recall, precision and F1 are of the decision (the most probable
class); AUROC and average precision are of the class's own probability, within folds.

References:
    Sokolova and Lapalme 2009, 10.1016/j.ipm.2009.03.002 (per class, macro and weighted).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from benchmark.errors import UnknownNameError
from benchmark.metrics import discrimination
from benchmark.metrics.decisions import confusion, recalls
from benchmark.metrics.metric import Array, Kernel
from benchmark.metrics.validation import check_classification

__all__ = ["NAMES", "class_values", "f1_scores", "kernel", "precisions"]

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recall": "Recall",
        "precision": "Precision",
        "f1": "F1",
        "roc_auc": "AUROC",
        "pr_auc": "PR-AUC",
    }
)


def precisions(table: Array) -> Array:
    """Share of the decisions for each class that are right, (K, B).

    NaN where nobody was decided to be of the class, or the class is absent.
    """
    decided = table.sum(axis=0)
    known = (decided > 0) & (table.sum(axis=1) > 0)
    return np.where(known, np.einsum("kkb->kb", table) / decided, np.nan)


def f1_scores(table: Array) -> Array:
    """``2 TP / (2 TP + FP + FN)`` of each class, (K, B); 0 where never decided, NaN if absent."""
    truth = table.sum(axis=1)
    f1 = 2.0 * np.einsum("kkb->kb", table) / (truth + table.sum(axis=0))
    return np.where(truth > 0, f1, np.nan)


def weighted_f1(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Mean of the classes' F1, each counted by its people. NaN where a class is absent."""
    table = confusion(y_true, y_prob, weights)
    truth = table.sum(axis=1)
    mean: Array = (f1_scores(table) * truth).sum(axis=0) / truth.sum(axis=0)
    return mean


def weighted_roc_auc(y_true: Array, y_prob: Array, folds: Array, weights: Array) -> Array:
    """Mean of the one-vs-rest AUROCs, each class counted by its people.

    With two classes both AUROCs are the same and this is ``roc_auc``. NaN where a class is absent.
    """
    if y_prob.shape[1] == 2:
        return discrimination.roc_auc(y_true, y_prob, folds, weights)
    total = np.zeros(weights.shape[1])
    for k in range(y_prob.shape[1]):
        people = weights[y_true == k].sum(axis=0, dtype=np.float64)
        total += people * discrimination.class_roc_auc(y_true, y_prob, folds, weights, k)
    mean: Array = total / weights.sum(axis=0, dtype=np.float64)
    return mean


_OF_TABLE: Final[Mapping[str, Callable[[Array], Array]]] = {
    "recall": recalls,
    "precision": precisions,
    "f1": f1_scores,
}
_OF_SCORES: Final[Mapping[str, Callable[[Array, Array, Array, Array, int], Array]]] = {
    "roc_auc": discrimination.class_roc_auc,
    "pr_auc": discrimination.class_pr_auc,
}


def kernel(name: str, k: int) -> Kernel:
    """The kernel of one per-class metric for class k."""

    def of_class(y_true: Array, y_prob: Array, folds: Array, weights: Array) -> Array:
        if name in _OF_SCORES:
            return _OF_SCORES[name](y_true, y_prob, folds, weights, k)
        value: Array = _OF_TABLE[name](confusion(y_true, y_prob, weights))[k]
        return value

    return of_class


def class_values(
    name: str,
    y_true: Array,
    y_prob: Array,
    folds: Array | None = None,
    weights: Array | None = None,
) -> Array:
    """Computes one per-class metric for every class.

    Args:
        name: "recall", "precision", "f1", "roc_auc" or "pr_auc".
        y_true: Class index, shape (N,).
        y_prob: Class probabilities, shape (N, K).
        folds: Fold of each row, shape (N,); None means one fold.
        weights: Bootstrap weights, shape (B, N); None means every row counts once.

    Returns:
        Shape (K,) without weights, (B, K) with.

    Raises:
        UnknownNameError: No per-class metric of that name.
        ResultError: Invalid input.

    Example:
        >>> y_prob = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.6, 0.3]]
        >>> class_values("recall", [0, 1, 2], y_prob).tolist()
        [1.0, 1.0, 0.0]
        >>> class_values("precision", [0, 1, 2], y_prob).tolist()  # class 2 is never decided
        [1.0, 0.5, nan]
    """
    if name not in NAMES:
        raise UnknownNameError("per-class metric", name, NAMES)
    labels, prob, by_fold, by_row = check_classification(y_true, y_prob, folds, weights, name=name)
    with np.errstate(invalid="ignore", divide="ignore"):
        if name in _OF_TABLE:
            values = _OF_TABLE[name](confusion(labels, prob, by_row)).T
        else:
            of_class = [kernel(name, k)(labels, prob, by_fold, by_row) for k in range(len(prob[0]))]
            values = np.stack(of_class, axis=1)
    return values if weights is not None else values[0]
