"""Decision curves: what acting on the model is worth, against acting on all or on none.

References:
    Vickers and Elkin 2006, 10.1177/0272989X06295361.
    Vickers, van Calster and Steyerberg 2019, 10.1186/s41512-019-0064-7 (how to read one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import ResultError
from benchmark.metrics.metric import Array
from benchmark.metrics.validation import check_classification

__all__ = ["DEFAULT_THRESHOLDS", "DecisionCurve", "decision_curve"]

DEFAULT_THRESHOLDS = tuple(round(0.01 * i, 2) for i in range(1, 100))


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit by threshold probability; acting on nobody is 0 everywhere.

    Attributes:
        thresholds: Shape (T,).
        model: Acting where ``p_1 >= t``, shape (T,), or (B, T) under weights.
        treat_all: Acting on everybody, same shape.
    """

    thresholds: Array
    model: Array
    treat_all: Array

    @property
    def treat_none(self) -> Array:
        """Acting on nobody: zeros."""
        return np.zeros_like(self.model)

    @property
    def gain(self) -> Array:
        """Net benefit over the better of acting on all and on none."""
        return self.model - np.maximum(self.treat_all, 0.0)


def decision_curve(
    y_true: Array,
    y_prob: Array,
    thresholds: Sequence[float] = DEFAULT_THRESHOLDS,
    weights: Array | None = None,
) -> DecisionCurve:
    """Computes ``TP / n - FP / n * t / (1 - t)`` over thresholds t; class 1 is acted on.

    Args:
        y_true: Class index 0 or 1, shape (N,).
        y_prob: Class probabilities, shape (N, 2).
        thresholds: Between 0 and 1, both excluded.
        weights: Bootstrap weights, shape (B, N), for a band around the curve.

    Returns:
        The curve. A class that is absent is no error: without cases the net benefit is what false
        alarms cost.

    Raises:
        ResultError: Invalid input, more than two classes, or a threshold outside (0, 1).

    Example:
        >>> curve = decision_curve([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]],
        ...                        [0.5])
        >>> curve.model.tolist(), curve.treat_all.tolist()
        ([0.25], [0.0])
        >>> decision_curve([0, 0], [[1, 0], [1, 0]], [0.5]).model.tolist()
        [0.0]
    """
    cut = np.asarray(thresholds, dtype=np.float64)
    if cut.ndim != 1 or not len(cut) or not ((cut > 0.0) & (cut < 1.0)).all():
        raise ResultError(f"decision curve: thresholds must lie between 0 and 1, got {thresholds}")
    labels, prob, _, by_row = check_classification(
        y_true, y_prob, None, weights, name="decision curve", binary_only=True
    )
    gain = np.where(labels == 1, 1.0, -(cut / (1.0 - cut))[:, None])  # (T, N)
    acted = gain * (prob[:, 1] >= cut[:, None])
    total = by_row.sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        model = ((acted.astype(by_row.dtype) @ by_row) / total).T
        treat_all = ((gain.astype(by_row.dtype) @ by_row) / total).T
    if weights is None:
        model, treat_all = model[0], treat_all[0]
    return DecisionCurve(cut, model, treat_all)
