"""What a positive and a negative answer mean where the disease is as frequent as stated.

The share of cases in a study is chosen by its design; a predictive value read off the study is a
statement about that design. Sensitivity and specificity carry over to another prevalence as far as
the spectrum of patients is the same, which a study cannot show by itself.

References:
    Altman and Bland 1994, 10.1136/bmj.309.6947.102.
"""

from __future__ import annotations

import numpy as np

from benchmark.errors import ResultError
from benchmark.metrics.decisions import confusion, recalls
from benchmark.metrics.metric import Array

__all__ = ["npv_at_prevalence", "ppv_at_prevalence"]


def ppv_at_prevalence(y_true: Array, y_prob: Array, weights: Array, prevalence: float) -> Array:
    """``se q / (se q + (1 - sp)(1 - q))`` at prevalence q, of the decision for class 1.

    NaN where nobody is decided to be of class 1, or a class is absent.

    Raises:
        ResultError: The prevalence does not lie between 0 and 1.
    """
    right, wrong = _shares(y_true, y_prob, weights, prevalence, decided=1)
    return np.where(right + wrong > 0, right / (right + wrong), np.nan)


def npv_at_prevalence(y_true: Array, y_prob: Array, weights: Array, prevalence: float) -> Array:
    """``sp (1 - q) / (sp (1 - q) + (1 - se) q)`` at prevalence q, of the decision for class 0.

    NaN where nobody is decided to be of class 0, or a class is absent.

    Raises:
        ResultError: The prevalence does not lie between 0 and 1.
    """
    right, wrong = _shares(y_true, y_prob, weights, prevalence, decided=0)
    return np.where(right + wrong > 0, right / (right + wrong), np.nan)


def _shares(
    y_true: Array, y_prob: Array, weights: Array, prevalence: float, decided: int
) -> tuple[Array, Array]:
    """Share of the population decided so, rightly and wrongly."""
    if not 0.0 < prevalence < 1.0:
        raise ResultError(
            f"prevalence: expected a share between 0 and 1 (0.1 for 10 %), got {prevalence:g}"
        )
    specificity, sensitivity = recalls(confusion(y_true, y_prob, weights))
    if decided == 1:
        return sensitivity * prevalence, (1.0 - specificity) * (1.0 - prevalence)
    return specificity * (1.0 - prevalence), (1.0 - sensitivity) * prevalence
