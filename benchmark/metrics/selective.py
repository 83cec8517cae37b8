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
    """The risk-coverage curve of one fold, or of folds pooled for a drawing.

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
    wrong = (y_prob.argmax(axis=1) != y_true).astype(np.float64)
    area, people = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for rows in _by_confidence(confidence, folds):
        w = weights[rows].astype(np.float64)
        kept, lost = _cumulative(confidence[rows], wrong[rows], w)
        total = kept[-1]
        value = _area(kept, lost) - (_best(lost[-1] / total) if excess else 0.0)
        area += np.where(total > 0, value * total, 0.0)
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


def _cumulative(confidence: Array, wrong: Array, weights: Array) -> tuple[Array, Array]:
    """Weight kept and error weight up to the end of each block of equal confidence, (T, B)."""
    ends = _block_ends(confidence)
    kept = np.cumsum(weights, axis=0)[ends]
    lost = np.cumsum(weights * wrong[:, None], axis=0)[ends]
    return kept, lost


def _area(kept: Array, lost: Array) -> Array:
    """``1/W sum over blocks of (E_a - r a) ln(b / a) + r (b - a)``, r the error rate in a block."""
    a = np.vstack([np.zeros_like(kept[:1]), kept[:-1]])
    e = np.vstack([np.zeros_like(lost[:1]), lost[:-1]])
    width = kept - a
    rate = np.divide(lost - e, width, out=np.zeros_like(width), where=width > 0)
    ratio = np.divide(kept, a, out=np.ones_like(kept), where=a > 0)
    blocks = (e - rate * a) * np.log(ratio) + rate * width
    area: Array = blocks.sum(axis=0) / kept[-1]
    return area


def _best(rate: Array) -> Array:
    right = 1.0 - rate
    log = np.log(np.where(right > 1e-12, right, 1.0))
    best: Array = rate + right * log
    return best
