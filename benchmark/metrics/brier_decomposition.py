"""The Brier score taken apart, with the terms that binning leaves over.

References:
    Murphy 1973, 10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2 (three terms).
    Stephenson, Coelho and Jolliffe 2008, 10.1175/2007WAF2006116.1 (the two within-bin terms,
    without which the sum is not the score as soon as a bin holds several probabilities).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.errors import ResultError
from benchmark.metrics.calibration import N_BINS, equal_mass_bins
from benchmark.metrics.metric import Array
from benchmark.metrics.validation import check_classification

__all__ = ["BrierDecomposition", "brier_decomposition"]


@dataclass(frozen=True, slots=True)
class BrierDecomposition:
    """Terms of the Brier score; ``total`` is exactly the metric ``brier_score``.

    Attributes:
        reliability: Squared distance of a bin's mean probability from its observed share; best 0.
        resolution: Squared distance of the bins' shares from the overall share; best large.
        uncertainty: Variance of the outcome; the same for every method.
        within_bin_variance: Variance of the probabilities inside bins.
        within_bin_covariance: Twice the covariance of probability and outcome inside bins.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bin_variance: float
    within_bin_covariance: float

    @property
    def total(self) -> float:
        """``reliability - resolution + uncertainty + variance - covariance`` within bins."""
        between = self.reliability - self.resolution + self.uncertainty
        return between + self.within_bin_variance - self.within_bin_covariance


def brier_decomposition(
    y_true: Array, y_prob: Array, *, n_bins: int = N_BINS
) -> BrierDecomposition:
    """Takes the Brier score apart over bins of equal mass.

    Two classes: of the probability of class 1. More: each term is the sum over the one-vs-rest
    problems, as the score itself is. All terms are descriptive: like ECE, reliability is biased
    upwards and so is resolution (Ferro and Fricker 2012), more so with more bins.

    Args:
        y_true: Class index, shape (N,).
        y_prob: Class probabilities, shape (N, K).
        n_bins: Number of bins; equal values share a bin.

    Raises:
        ResultError: Invalid input, or fewer than one bin.

    Example:
        >>> y_prob = [[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.2, 0.8]]
        >>> terms = brier_decomposition([0, 1, 1, 1], y_prob)
        >>> round(terms.reliability, 3), round(terms.resolution, 4), round(terms.uncertainty, 4)
        (0.065, 0.0625, 0.1875)
        >>> round(brier_decomposition([1, 1], [[0.5, 0.5], [0.5, 0.5]]).total, 3)  # one class only
        0.25
    """
    if n_bins < 1:
        raise ResultError(f"Brier decomposition: expected at least one bin, got {n_bins}")
    labels, prob, _, _ = check_classification(y_true, y_prob, name="Brier decomposition")
    classes = [1] if prob.shape[1] == 2 else range(prob.shape[1])
    parts = [_terms((labels == k).astype(np.float64), prob[:, k], n_bins) for k in classes]
    return BrierDecomposition(*(float(x) for x in np.sum(parts, axis=0)))


def _terms(outcome: Array, stated: Array, n_bins: int) -> Array:
    code = np.unique(equal_mass_bins(stated, n_bins), return_inverse=True)[1]
    count = np.bincount(code)
    share = count / len(outcome)
    mean_stated = np.bincount(code, stated) / count
    mean_outcome = np.bincount(code, outcome) / count
    overall = outcome.mean()
    off_stated, off_outcome = stated - mean_stated[code], outcome - mean_outcome[code]
    return np.array(
        [
            share @ (mean_stated - mean_outcome) ** 2,
            share @ (mean_outcome - overall) ** 2,
            overall * (1.0 - overall),
            (off_stated**2).mean(),
            2.0 * (off_stated * off_outcome).mean(),
        ]
    )
