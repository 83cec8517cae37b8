"""Do stated probabilities come true: ECE, calibration slope and intercept.

References:
    Cox 1958, 10.1093/biomet/45.3-4.562 (slope and intercept).
    Van Calster et al. 2019, 10.1186/s12916-019-1466-7.
    Albert and Anderson 1984, 10.1093/biomet/71.1.1 (separation).
    Naeini et al. 2015, 10.1609/aaai.v29i1.9602 (ECE); Nguyen and O'Connor 2015,
    10.18653/v1/D15-1182 (bins of equal mass).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_BINS", "calibration_intercept", "calibration_slope", "ece", "equal_mass_bins"]

Array = NDArray[Any]

N_BINS = 15
_CLIP = 1e-6  # logits lie within +/- 13.8
_ITERATIONS = 30
_TOLERANCE = 1e-5
_LARGEST_SLOPE = 1e3


def ece(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Expected calibration error over 15 bins of equal mass; biased upwards at small n.

    Two classes: ``sum_bins share * |mean p_1 - share of class 1|``. More: the same with the
    highest probability and whether that class was right. Bins are those of the sample at hand and
    stay as they are under resampling; equal values share a bin.
    """
    if y_prob.shape[1] == 2:
        stated, true = y_prob[:, 1], y_true == 1
    else:
        stated, true = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true
    bins = equal_mass_bins(stated)
    member = bins == np.arange(N_BINS)[:, None]
    gap: Array = (member * (stated - true)).astype(weights.dtype) @ weights
    error: Array = np.abs(gap).sum(axis=0) / weights.sum(axis=0, dtype=np.float64)
    return error


def equal_mass_bins(values: Array, n_bins: int = N_BINS) -> Array:
    """Bin of each value, shape (N,): the value's lowest rank cut into bins of equal counts."""
    first_rank = np.searchsorted(np.sort(values), values, side="left")
    bins: Array = first_rank * n_bins // len(values)
    return bins


def calibration_slope(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Slope b of ``logit P(y) = a + b logit(p)``, best at 1; below 1 means overconfident.

    More than two classes: the mean over one-vs-rest. NaN where the logits are constant, a class is
    absent, or the classes are separated (the slope is infinite).
    """
    return _mean_over_classes(y_true, y_prob, weights, with_slope=True)


def calibration_intercept(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
    """Intercept a of ``logit P(y) = a + logit(p)`` (calibration in the large), best at 0.

    Above 0 means that class 1 is more frequent than stated. More than two classes: the mean over
    one-vs-rest. NaN where a class is absent.
    """
    return _mean_over_classes(y_true, y_prob, weights, with_slope=False)


def _mean_over_classes(y_true: Array, y_prob: Array, weights: Array, with_slope: bool) -> Array:
    n_classes = y_prob.shape[1]
    values = []
    for k in [1] if n_classes == 2 else range(n_classes):
        clipped = np.clip(y_prob[:, k], _CLIP, 1.0 - _CLIP)
        logit = np.log(clipped / (1.0 - clipped))
        values.append(_recalibrate((y_true == k).astype(np.float64), logit, weights, with_slope))
    mean: Array = np.mean(values, axis=0)
    return mean


def _recalibrate(y: Array, logit: Array, weights: Array, with_slope: bool) -> Array:
    """Newton's method for every column of weights at once, started at the unweighted solution."""
    if with_slope and np.ptp(logit) < 1e-9:
        return np.full(weights.shape[1], np.nan)
    separated = _separated(y > 0.5, logit, weights) if with_slope else False
    design = np.stack([np.ones_like(logit), logit]) if with_slope else np.ones((1, len(logit)))
    offset = np.zeros_like(logit) if with_slope else logit
    start = np.zeros((len(design), 1))
    start = _newton(y, design, offset, np.ones((len(y), 1)), start)
    start = np.where(np.isfinite(start), start, 0.0)
    tiled = np.repeat(start, weights.shape[1], axis=1)
    last: Array = _newton(y, design, offset, weights, tiled)[-1]
    return np.where(separated, np.nan, last)


def _separated(positive: Array, logit: Array, weights: Array) -> Array:
    """Whether one class lies wholly at or above the other, so that the slope is infinite.

    Ties at the boundary do not help (Albert and Anderson 1984). Newton's method alone would stop
    at some large slope that depends on rounding.
    """
    extremes = []
    for members in (positive, ~positive):
        present = weights[members] > 0
        values = logit[members][:, None]
        least = np.where(present, values, np.inf).min(axis=0, initial=np.inf)
        extremes.append((least, np.where(present, values, -np.inf).max(axis=0, initial=-np.inf)))
    (low_pos, high_pos), (low_neg, high_neg) = extremes
    apart: Array = (low_pos >= high_neg) | (low_neg >= high_pos)
    return apart


def _newton(y: Array, design: Array, offset: Array, weights: Array, start: Array) -> Array:
    """Coefficients (P, B) of a logistic regression, P = 1 or 2; NaN where not converged."""
    dtype = weights.dtype
    result = np.full(start.shape, np.nan)
    products = (design[:, None] * design[None]).reshape(-1, len(y)).astype(dtype)
    rows, shift, target = design.astype(dtype), offset.astype(dtype)[:, None], y.astype(dtype)
    active = np.flatnonzero(_both_classes(y, weights))
    current, w = start[:, active], weights[:, active]
    for _ in range(_ITERATIONS):
        if not len(active):
            break
        eta = rows.T @ current.astype(dtype) + shift
        mu = 0.5 + 0.5 * np.tanh(0.5 * eta)
        gradient = (rows @ ((target[:, None] - mu) * w)).astype(np.float64)
        step = _solve((products @ (mu * (1.0 - mu) * w)).astype(np.float64), gradient)
        step = np.clip(step, -5.0, 5.0)
        current = current + step
        done = np.abs(step).max(axis=0) < _TOLERANCE * (1.0 + np.abs(current).max(axis=0))
        result[:, active[done]] = current[:, done]
        alive = ~done & np.isfinite(current).all(axis=0)
        alive &= np.abs(current).max(axis=0) < _LARGEST_SLOPE
        if not alive.all():
            active, current, w = active[alive], current[:, alive], w[:, alive]
    return result


def _both_classes(y: Array, weights: Array) -> Array:
    positive: Array = y.astype(weights.dtype) @ weights
    negative: Array = (1.0 - y).astype(weights.dtype) @ weights
    return (positive > 0) & (negative > 0)


def _solve(hessian: Array, gradient: Array) -> Array:
    """Solves the 1 x 1 or 2 x 2 system of each column."""
    if len(gradient) == 1:
        return gradient / hessian
    a, b, _, d = hessian
    determinant = a * d - b * b
    determinant = np.where(determinant > 1e-12 * a * d, determinant, np.nan)
    first = (d * gradient[0] - b * gradient[1]) / determinant
    second = (a * gradient[1] - b * gradient[0]) / determinant
    return np.stack([first, second])
