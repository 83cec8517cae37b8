"""The reliability diagram: what was stated against what happened, bin by bin.

References:
    Murphy and Winkler 1977, 10.2307/2346866.
    Nguyen and O'Connor 2015, 10.18653/v1/D15-1182 (bins of equal mass).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.errors import ResultError
from benchmark.metrics.calibration import N_BINS, equal_mass_bins
from benchmark.metrics.metric import Array
from benchmark.metrics.validation import check_classification
from benchmark.stats.wilson import wilson_interval

__all__ = ["ReliabilityBins", "reliability_bins", "stated_and_true"]


@dataclass(frozen=True, slots=True)
class ReliabilityBins:
    """One entry per bin that holds anybody, in order of the stated probability.

    Attributes:
        count: People.
        low: Smallest stated probability.
        high: Largest.
        stated: Mean stated probability.
        observed: Share for whom it came true.
        observed_low: Wilson's 95 % bound of that share.
        observed_high: The upper one.
    """

    count: Array
    low: Array
    high: Array
    stated: Array
    observed: Array
    observed_low: Array
    observed_high: Array


def reliability_bins(
    y_true: Array,
    y_prob: Array,
    *,
    class_index: int | None = None,
    n_bins: int = N_BINS,
    cut: Literal["mass", "width"] = "mass",
) -> ReliabilityBins:
    """Bins people by stated probability and counts how often it came true.

    Args:
        y_true: Class index, shape (N,).
        y_prob: Class probabilities, shape (N, K).
        class_index: Whose probability; None means class 1 of two, and of more the highest
            probability against whether that class was right (as ``ece`` does).
        n_bins: Number of bins asked for; equal values share a bin, so there may be fewer.
        cut: "mass" for bins of equal counts, "width" for bins of equal width.

    Returns:
        The bins that hold anybody. With bins of equal mass, the mean of ``|stated - observed|``
        weighted by ``count`` is the metric ``ece``.

    Raises:
        ResultError: Invalid input, fewer than one bin, or no such class.

    Example:
        >>> y_prob = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8]]
        >>> bins = reliability_bins([0, 0, 1, 1], y_prob, n_bins=2)
        >>> bins.count.tolist(), bins.observed.tolist()
        ([2, 2], [0.0, 1.0])
        >>> reliability_bins([0], [[0.9, 0.1]]).count.tolist()
        [1]
    """
    if n_bins < 1:
        raise ResultError(f"reliability: expected at least one bin, got {n_bins}")
    stated, true = stated_and_true(y_true, y_prob, class_index)
    if cut == "mass":
        bins = equal_mass_bins(stated, n_bins)
    else:
        bins = np.minimum((stated * n_bins).astype(np.int64), n_bins - 1)
    used, code, count = np.unique(bins, return_inverse=True, return_counts=True)
    order = np.argsort(stated, kind="stable")
    first = np.searchsorted(code[order], np.arange(len(used)), side="left")
    last = np.searchsorted(code[order], np.arange(len(used)), side="right") - 1
    hits = np.bincount(code, true)
    observed_low, observed_high = wilson_interval(hits, count)
    return ReliabilityBins(
        count=count,
        low=stated[order][first],
        high=stated[order][last],
        stated=np.bincount(code, stated) / count,
        observed=hits / count,
        observed_low=observed_low,
        observed_high=observed_high,
    )


def stated_and_true(
    y_true: Array, y_prob: Array, class_index: int | None = None
) -> tuple[Array, Array]:
    """Stated probability and whether it came true, both (N,) float64; see ``reliability_bins``.

    Raises:
        ResultError: Invalid input, or no such class.
    """
    labels, prob, _, _ = check_classification(y_true, y_prob, name="reliability")
    n_classes = prob.shape[1]
    if class_index is None and n_classes > 2:
        return prob.max(axis=1), (prob.argmax(axis=1) == labels).astype(np.float64)
    k = 1 if class_index is None else class_index
    if not 0 <= k < n_classes:
        raise ResultError(f"reliability: expected a class index 0 to {n_classes - 1}, got {k}")
    return prob[:, k], (labels == k).astype(np.float64)
