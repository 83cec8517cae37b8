"""Proper scores: mean loss of the stated probabilities, and clinical net benefit.

References:
    Brier 1950, 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    Vickers and Elkin 2006, 10.1177/0272989X06295361 (net benefit).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["brier_score", "log_loss", "net_benefit", "weighted_mean"]

Array = NDArray[Any]


def weighted_mean(values: Array, weights: Array) -> Array:
    """Mean of values (N,) under each column of weights (N, B), shape (B,)."""
    total = weights.sum(axis=0, dtype=np.float64)
    summed: Array = values.astype(weights.dtype) @ weights
    return np.where(total > 0, summed / total, np.nan)


def brier_score(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Mean squared distance of the probabilities from the outcome.

    ``(p_1 - y)^2`` for two classes (0 to 1), ``sum_k (p_k - [y = k])^2`` for more (0 to 2).
    """
    outcome = y_true[:, None] == np.arange(y_prob.shape[1])
    loss = ((y_prob - outcome) ** 2).sum(axis=1)
    return weighted_mean(loss / 2 if y_prob.shape[1] == 2 else loss, weights)


def log_loss(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Mean of ``-log p`` of the true class, natural log.

    Probabilities are kept at least 2.2e-16 from 0 and 1, so a certain error costs 36, not infinity.
    """
    eps = np.finfo(np.float64).eps
    true = np.take_along_axis(y_prob, y_true[:, None], axis=1)[:, 0]
    return weighted_mean(-np.log(np.clip(true, eps, 1.0 - eps)), weights)


def net_benefit(y_true: Array, y_prob: Array, weights: Array, threshold: float) -> Array:
    """``TP / n - FP / n * t / (1 - t)`` where class 1 is acted on at ``p_1 >= t``."""
    gain = np.where(y_true == 1, 1.0, -threshold / (1.0 - threshold))
    return weighted_mean(gain * (y_prob[:, 1] >= threshold), weights)
