"""Selective prediction: the error among those about whom the model is surest.

Confidence is the largest probability, the loss is a wrong decision. Confidence of different folds
comes from different models, so people are ordered within folds and folds count by their people.
People of equal confidence enter together, each in proportion, so no order among them is chosen.

References:
    El-Yaniv and Wiener 2010, jmlr.org/papers/v11/el-yaniv10a (risk and coverage).
    Geifman, Uziel and El-Yaniv 2019, arXiv 1805.08206 (AURC, and its excess over the best order).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.metric import Array
from benchmark.metrics.validation import check_classification

__all__ = ["RiskCoverage", "aurc", "excess_aurc", "risk_coverage"]


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Error among the most confident, at each distinct confidence from high to low.

    Attributes:
        confidence: Those at least this confident are kept, shape (T,).
        coverage: Their share of all people.
        risk: Share of them decided wrongly.
    """

    confidence: Array
    coverage: Array
    risk: Array


def risk_coverage(y_true: Array, y_prob: Array) -> RiskCoverage:
    """The risk-coverage curve of one fold.

    Args:
        y_true: Class index, shape (N,).
        y_prob: Class probabilities, shape (N, K).

    Raises:
        ResultError: Invalid input.

    Example:
        >>> curve = risk_coverage([1, 0, 0], [[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
        >>> curve.coverage.round(2).tolist(), curve.risk.round(2).tolist()
        ([0.33, 0.67, 1.0], [0.0, 0.0, 0.33])
        >>> risk_coverage([1, 0], [[0.5, 0.5], [0.5, 0.5]]).risk.tolist()  # one confidence
        [0.5]
    """
    labels, prob, _, _ = check_classification(y_true, y_prob, name="risk-coverage")
    confidence = prob.max(axis=1)
    wrong = (prob.argmax(axis=1) != labels).astype(np.float64)
    order = np.argsort(-confidence, kind="stable")
    ends = _block_ends(confidence[order])
    kept = ends + 1.0
    return RiskCoverage(
        confidence[order][ends], kept / len(labels), np.cumsum(wrong[order])[ends] / kept
    )


def aurc(y_true: Array, y_prob: Array, folds: Array, weights: Array) -> Array:
    """Area under the risk-coverage curve: the mean over all shares of people of the error in them.

    ``integral_0^1 E(c) / c dc`` where E, the error mass among the share c of surest people, is
    linear within people of equal confidence. A constant confidence scores the error rate; 0 is
    best. The sum over people that others use differs from it by the order of 1 / N.
    """
    return _over_folds(y_true, y_prob, folds, weights, excess=False)


def excess_aurc(y_true: Array, y_prob: Array, folds: Array, weights: Array) -> Array:
    """AURC above that of the best order for the same errors: ``AURC - (r + (1 - r) ln(1 - r))``.

    r is a fold's error rate. 0 where every error is less sure than every right decision.
    """
    return _over_folds(y_true, y_prob, folds, weights, excess=True)


def _over_folds(
    y_true: Array, y_prob: Array, folds: Array, weights: Array, *, excess: bool
) -> Array:
    confidence = y_prob.max(axis=1)
    wrong = y_prob.argmax(axis=1) != y_true
    area, people = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for rows in _by_confidence(confidence, folds):
        total, lost, integral = _integral(confidence[rows], wrong[rows], weights[rows])
        best = _best(lost / total) * total if excess else 0.0
        area += np.where(total > 0, integral - best, 0.0)
        people += total
    return area / people


def _by_confidence(confidence: Array, folds: Array) -> Iterator[Array]:
    order = np.argsort(-confidence, kind="stable")
    for fold in np.unique(folds):
        yield order[folds[order] == fold]


def _block_ends(descending: Array) -> Array:
    """Index of the last of each run of equal values."""
    ends: Array = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    return ends


def _integral(confidence: Array, wrong: Array, weights: Array) -> tuple[Array, Array, Array]:
    """People, errors and people times AURC, each (B,), of one fold sorted by confidence.

    Errors of weight w among the people from a to b are met in proportion between a and b and are
    counted in full from there to the end W: ``w (1 - a / (b - a) ln(b / a) + ln(W / b))``. So only
    the blocks of equal confidence that hold an error matter.
    """
    kept = np.cumsum(weights, axis=0, dtype=np.float64)
    ends = _block_ends(confidence)
    starts = np.append(-1, ends[:-1])
    errors = np.add.reduceat(wrong.astype(np.int64), starts + 1)
    ends, starts = ends[errors > 0], starts[errors > 0]
    total = kept[-1]
    if not len(ends):
        return total, np.zeros_like(total), np.zeros_like(total)
    block = np.repeat(np.arange(len(ends)), errors[errors > 0])
    lost = np.zeros((len(ends), weights.shape[1]))
    np.add.at(lost, block, weights[wrong])
    b = kept[ends]
    a = np.where(starts[:, None] >= 0, kept[starts], 0.0)
    width = b - a
    inside = np.divide(a, width, out=np.zeros_like(a), where=width > 0)
    inside *= np.log(np.divide(b, a, out=np.ones_like(a), where=a > 0))
    after = np.log(np.divide(total, b, out=np.ones_like(b), where=b > 0))
    return total, lost.sum(axis=0), (lost * (1.0 - inside + after)).sum(axis=0)


def _best(rate: Array) -> Array:
    right = 1.0 - rate
    log = np.log(np.where(right > 1e-12, right, 1.0))
    best: Array = rate + right * log
    return best
