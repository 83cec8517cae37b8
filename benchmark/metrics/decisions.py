"""Metrics of the decision: all are functions of one confusion table.

The decision is the class of highest probability (the lowest index where several tie: an exact
0.5 / 0.5 is read as class 0). Decisions of different folds are on one scale, so tables are pooled.

References:
    Gorodkin 2004, 10.1016/j.compbiolchem.2004.09.006 (MCC of several classes).
    Cohen 1960, 10.1177/001316446002000104 (kappa).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "accuracy",
    "balanced_accuracy",
    "cohen_kappa",
    "confusion",
    "macro_f1",
    "mcc",
    "recalls",
    "sensitivity",
    "specificity",
]

Array = NDArray[Any]


def confusion(y_true: Array, y_prob: Array, weights: Array) -> Array:
    """Weight of each (true class, decided class), shape (K, K, B)."""
    n_classes = y_prob.shape[1]
    cell = y_true * n_classes + y_prob.argmax(axis=1)
    member = (cell == np.arange(n_classes**2)[:, None]).astype(weights.dtype)
    table: Array = (member @ weights).astype(np.float64)
    return table.reshape(n_classes, n_classes, -1)


def balanced_accuracy(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Mean over classes of the share decided rightly. NaN where a class is absent."""
    mean: Array = recalls(confusion(y_true, y_prob, weights)).mean(axis=0)
    return mean


def accuracy(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Share decided rightly."""
    table = confusion(y_true, y_prob, weights)
    share: Array = np.einsum("kkb->b", table) / table.sum(axis=(0, 1))
    return share


def sensitivity(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Share of class 1 decided rightly. NaN where class 1 is absent."""
    recall: Array = recalls(confusion(y_true, y_prob, weights))[1]
    return recall


def specificity(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Share of class 0 decided rightly. NaN where class 0 is absent."""
    recall: Array = recalls(confusion(y_true, y_prob, weights))[0]
    return recall


def macro_f1(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Mean over classes of ``2 TP / (2 TP + FP + FN)``.

    0 for a class that is never decided. NaN where a class is absent.
    """
    table = confusion(y_true, y_prob, weights)
    right = np.einsum("kkb->kb", table)
    truth = table.sum(axis=1)
    f1 = 2.0 * right / (truth + table.sum(axis=0))
    mean: Array = np.where(truth > 0, f1, np.nan).mean(axis=0)
    return mean


def mcc(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Matthews correlation coefficient (Gorodkin's R_K for several classes).

    0 where every decision is the same. NaN where a class is absent.
    """
    table = confusion(y_true, y_prob, weights)
    truth, decided = table.sum(axis=1), table.sum(axis=0)
    total = truth.sum(axis=0)
    covariance = np.einsum("kkb->b", table) * total - (truth * decided).sum(axis=0)
    spread_decided = total**2 - (decided**2).sum(axis=0)
    spread_truth = total**2 - (truth**2).sum(axis=0)
    product = spread_decided * spread_truth
    constant = spread_decided <= 1e-9 * total**2
    value = np.where(constant, 0.0, covariance / np.sqrt(np.where(constant, 1.0, product)))
    return np.where((truth > 0).all(axis=0), value, np.nan)


def cohen_kappa(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Cohen's kappa, unweighted: ``(observed - expected agreement) / (1 - expected)``.

    0 where every decision is the same. NaN where a class is absent.
    """
    table = confusion(y_true, y_prob, weights)
    truth, decided = table.sum(axis=1), table.sum(axis=0)
    total = truth.sum(axis=0)
    expected = (truth * decided).sum(axis=0) / total**2
    kappa = (np.einsum("kkb->b", table) / total - expected) / (1.0 - expected)
    return np.where((truth > 0).all(axis=0), kappa, np.nan)


def recalls(table: Array) -> Array:
    """Share of each class decided rightly, (K, B); NaN where the class is absent."""
    truth = table.sum(axis=1)
    return np.where(truth > 0, np.einsum("kkb->kb", table) / truth, np.nan)
