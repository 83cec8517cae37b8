"""The one place where the input of every metric is checked.

A metric is computed on clean input or not at all: there is no silent repair.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError

__all__ = ["SUM_TOLERANCE", "check_classification", "check_participants", "check_regression"]

Array = NDArray[Any]
Checked = tuple[Array, Array, Array, Array]

SUM_TOLERANCE = 1e-3  # float16 probabilities of 20 classes still sum to 1 within this


def check_classification(
    y_true: Array,
    y_prob: Array,
    folds: Array | None = None,
    weights: Array | None = None,
    *,
    name: str = "metric",
    binary_only: bool = False,
) -> Checked:
    """Validates class labels and probabilities.

    Args:
        y_true: Class index, shape (N,).
        y_prob: Probability of each class, shape (N, K), rows sum to 1.
        folds: Shape (N,) or None.
        weights: Shape (B, N) or None.
        name: The metric, for messages.
        binary_only: Refuse more than two classes.

    Returns:
        Labels as int64, probabilities as float64, folds, weights with one row per participant
        (N, B). Rows whose sum is off by less than the tolerance are renormalised exactly.

    Raises:
        ResultError: Wrong shape, no row, NaN or infinite value (folds and weights included),
            probability outside [0, 1], rows that do not sum to 1, a label that is no class index,
            or more than two classes.
    """
    y_prob = np.asarray(y_prob, dtype=np.float64)
    if y_prob.ndim != 2 or y_prob.shape[1] < 2:
        raise ResultError(
            f"{name}: expected class probabilities of shape (N, K) with K >= 2, "
            f"got shape {y_prob.shape}"
        )
    if binary_only and y_prob.shape[1] != 2:
        raise ResultError(f"{name}: defined for two classes, got {y_prob.shape[1]}")
    y_true, folds, by_row = _check_common(y_true, len(y_prob), folds, weights, name)
    _check_finite(y_prob, "probabilities", name)
    if y_prob.min() < 0.0 or y_prob.max() > 1.0 + SUM_TOLERANCE:
        raise ResultError(
            f"{name}: probabilities must lie in [0, 1], got {y_prob.min():g} to {y_prob.max():g}; "
            "return probabilities, not logits"
        )
    sums = y_prob.sum(axis=1, keepdims=True)
    off = np.abs(sums - 1.0).ravel()
    if off.max() > SUM_TOLERANCE:
        row = int(off.argmax())
        raise ResultError(
            f"{name}: the probabilities of {int((off > SUM_TOLERANCE).sum())} of {len(off)} rows "
            f"do not sum to 1 within {SUM_TOLERANCE:g}; row {row} sums to {sums[row, 0]:g}"
        )
    labels = y_true.astype(np.int64)
    if (labels != y_true).any() or labels.min() < 0 or labels.max() >= y_prob.shape[1]:
        raise ResultError(
            f"{name}: labels must be class indices 0 to {y_prob.shape[1] - 1}, "
            f"got {sorted({float(v) for v in y_true})[:6]}"
        )
    return labels, y_prob / sums, folds, by_row


def check_regression(
    y_true: Array,
    y_pred: Array,
    folds: Array | None = None,
    weights: Array | None = None,
    *,
    name: str = "metric",
    binary_only: bool = False,
) -> Checked:
    """Validates targets and predicted values; see ``check_classification``.

    Raises:
        ResultError: Wrong shape, no row, or a NaN or infinite value.
    """
    del binary_only
    y_pred = np.asarray(y_pred, dtype=np.float64)
    if y_pred.ndim != 1:
        raise ResultError(f"{name}: expected predictions of shape (N,), got {y_pred.shape}")
    y_true, folds, by_row = _check_common(y_true, len(y_pred), folds, weights, name)
    _check_finite(y_pred, "predictions", name)
    return y_true, y_pred, folds, by_row


def check_participants(participant_ids: Array, context: str) -> None:
    """Refuses a participant who appears twice.

    Args:
        participant_ids: Shape (N,).
        context: Where the ids come from, for the message.

    Raises:
        ResultError: Some id appears more than once; up to five are named.
    """
    ids, counts = np.unique(np.asarray(participant_ids, dtype=str), return_counts=True)
    twice = ids[counts > 1]
    if len(twice):
        raise ResultError(
            f"{context}: expected one prediction per participant, got several for {len(twice)}: "
            f"{', '.join(twice[:5])}"
        )


def _check_common(
    y_true: Array, n: int, folds: Array | None, weights: Array | None, name: str
) -> tuple[Array, Array, Array]:
    y_true = np.asarray(y_true, dtype=np.float64)
    folds = np.zeros(n, dtype=np.int64) if folds is None else np.asarray(folds)
    if n == 0:
        raise ResultError(f"{name}: there is no prediction to score")
    if y_true.shape != (n,) or folds.shape != (n,):
        raise ResultError(
            f"{name}: expected {n} labels and folds, got shapes {y_true.shape} and {folds.shape}"
        )
    _check_finite(y_true, "labels", name)
    if folds.dtype.kind == "f":
        _check_finite(folds, "folds", name)
    elif pd.isna(folds).any():
        raise ResultError(f"{name}: {int(pd.isna(folds).sum())} of {n} rows have no fold")
    return y_true, folds, _check_weights(weights, n, name)


def _check_weights(weights: Array | None, n: int, name: str) -> Array:
    if weights is None:
        return np.ones((n, 1))
    weights = np.asarray(weights)
    if weights.ndim != 2 or weights.shape[1] != n:
        raise ResultError(f"{name}: expected weights of shape (B, {n}), got {weights.shape}")
    if not np.issubdtype(weights.dtype, np.floating):
        weights = weights.astype(np.float32)
    if not (weights.min(initial=0.0) >= 0.0 and weights.max(initial=0.0) < np.inf):  # nor NaN
        raise ResultError(f"{name}: weights must be finite and not negative")
    by_row: Array = weights.T
    return by_row


def _check_finite(values: Array, what: str, name: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        rows = np.unique(np.nonzero(bad)[0])
        raise ResultError(
            f"{name}: {what} must be finite, got NaN or infinity in {len(rows)} of "
            f"{len(values)} rows (first: row {rows[0]})"
        )
