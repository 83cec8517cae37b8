"""Metrics of a predicted value, such as age in years.

References:
    Smith et al. 2019, 10.1016/j.neuroimage.2019.06.017 (brain-age bias).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.probabilities import weighted_mean

__all__ = ["age_bias_slope", "mae", "mae_predict_mean", "pearson_r", "r2", "rmse"]

Array = NDArray[Any]


def mae(y_true: Array, y_pred: Array, _folds: Array, weights: Array) -> Array:
    """Mean absolute error, in the target's unit."""
    return weighted_mean(np.abs(y_pred - y_true), weights)


def rmse(y_true: Array, y_pred: Array, _folds: Array, weights: Array) -> Array:
    """Root mean squared error, in the target's unit."""
    root: Array = np.sqrt(weighted_mean((y_pred - y_true) ** 2, weights))
    return root


def r2(y_true: Array, y_pred: Array, _folds: Array, weights: Array) -> Array:
    """``1 - sum (y - p)^2 / sum (y - mean y)^2``; NaN where the target is constant."""
    variance, _, _ = _moments(y_true, y_pred, weights)
    error = weighted_mean((y_pred - y_true) ** 2, weights)
    return 1.0 - error / variance


def pearson_r(y_true: Array, y_pred: Array, _folds: Array, weights: Array) -> Array:
    """Pearson correlation; NaN where the target or the prediction is constant."""
    variance_true, variance_pred, covariance = _moments(y_true, y_pred, weights)
    r: Array = covariance / np.sqrt(variance_true * variance_pred)
    return r


def age_bias_slope(y_true: Array, y_pred: Array, _folds: Array, weights: Array) -> Array:
    """Least-squares slope of the error ``p - y`` on y, best at 0; -1 for a constant prediction."""
    variance, _, covariance = _moments(y_true, y_pred, weights)
    return covariance / variance - 1.0


def mae_predict_mean(y_true: Array, _y_pred: Array, folds: Array, weights: Array) -> Array:
    """MAE of predicting one mean for everybody: the mean of the other folds' people.

    With one fold there are no others and its own mean is used, which flatters this reference.
    """
    reference = np.empty_like(y_true)
    for fold in np.unique(folds):
        inside = folds == fold
        reference[inside] = y_true[inside if inside.all() else ~inside].mean()
    return weighted_mean(np.abs(reference - y_true), weights)


def _moments(y_true: Array, y_pred: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Weighted variances of target and prediction, and their covariance; NaN for zero variance."""
    t, p = y_true - y_true.mean(), y_pred - y_pred.mean()
    mean_t, mean_p = weighted_mean(t, weights), weighted_mean(p, weights)
    var_t = weighted_mean(t * t, weights) - mean_t**2
    var_p = weighted_mean(p * p, weights) - mean_p**2
    covariance = weighted_mean(t * p, weights) - mean_t * mean_p
    return _positive(var_t, y_true), _positive(var_p, y_pred), covariance


def _positive(variance: Array, values: Array) -> Array:
    """NaN where a variance is zero up to rounding."""
    floor = 1e-6 * float(values.var()) + 1e-12 * float((values**2).mean())
    return np.where(variance > floor, variance, np.nan)
