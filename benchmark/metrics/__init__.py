"""Every metric, torch-free and vectorised over bootstrap weights.

``METRICS[name].compute(y_true, prediction, folds, weights)`` returns one value, or one per row of
the weight matrix. The positive class of a binary task is class index 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from benchmark.errors import UnknownNameError
from benchmark.metrics import (
    calibration,
    decisions,
    discrimination,
    probabilities,
    regression,
)
from benchmark.metrics.calibration import N_BINS, equal_mass_bins
from benchmark.metrics.decisions import confusion
from benchmark.metrics.metric import Array, Kernel, Metric
from benchmark.metrics.validation import check_participants

__all__ = [
    "METRICS",
    "NET_BENEFIT_THRESHOLDS",
    "N_BINS",
    "Metric",
    "check_participants",
    "confusion",
    "equal_mass_bins",
    "get_metric",
]

NET_BENEFIT_THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.5)

_classification = partial(Metric, kind="classification")
_regression = partial(Metric, kind="regression")


def _net_benefit(threshold: float) -> Metric:
    def kernel(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
        return probabilities.net_benefit(y_true, y_prob, weights, threshold)

    name, title = f"net_benefit_{threshold * 100:.0f}", f"Net benefit at {threshold:g}"
    return Metric(name, title, "classification", True, kernel, binary_only=True)


def _listed(kind_of: partial[Metric], rows: list[tuple[str, str, bool, Kernel]]) -> list[Metric]:
    return [kind_of(name, title, higher_is_better=up, kernel=k) for name, title, up, k in rows]


_ALL = (
    *_listed(
        _classification,
        [
            ("roc_auc", "AUROC", True, discrimination.roc_auc),
            ("pr_auc", "PR-AUC", True, discrimination.pr_auc),
            ("balanced_accuracy", "Balanced accuracy", True, decisions.balanced_accuracy),
            ("macro_f1", "Macro F1", True, decisions.macro_f1),
            ("mcc", "MCC", True, decisions.mcc),
            ("accuracy", "Accuracy", True, decisions.accuracy),
            ("brier_score", "Brier score", False, probabilities.brier_score),
            ("log_loss", "Log loss", False, probabilities.log_loss),
        ],
    ),
    _classification(
        "sensitivity",
        "Sensitivity",
        higher_is_better=True,
        kernel=decisions.sensitivity,
        binary_only=True,
    ),
    _classification(
        "specificity",
        "Specificity",
        higher_is_better=True,
        kernel=decisions.specificity,
        binary_only=True,
    ),
    _classification(
        "sensitivity_at_90_specificity",
        "Sensitivity at 90 % specificity",
        higher_is_better=True,
        kernel=discrimination.sensitivity_at_90_specificity,
        binary_only=True,
        descriptive=True,
        ranks=False,
    ),
    _classification(
        "ece",
        "ECE",
        higher_is_better=False,
        kernel=calibration.ece,
        descriptive=True,
        ranks=False,
        no_interval="none (biased upwards at small n)",
    ),
    _classification(
        "calibration_slope",
        "Calibration slope",
        higher_is_better=True,
        kernel=calibration.calibration_slope,
        ranks=False,
    ),
    _classification(
        "calibration_intercept",
        "Calibration intercept",
        higher_is_better=False,
        kernel=calibration.calibration_intercept,
        ranks=False,
    ),
    *(_net_benefit(threshold) for threshold in NET_BENEFIT_THRESHOLDS),
    *_listed(
        _regression,
        [
            ("mae", "MAE", False, regression.mae),
            ("rmse", "RMSE", False, regression.rmse),
            ("r2", "R2", True, regression.r2),
            ("pearson_r", "Pearson r", True, regression.pearson_r),
        ],
    ),
    _regression(
        "age_bias_slope",
        "Age-bias slope",
        higher_is_better=True,
        kernel=regression.age_bias_slope,
        ranks=False,
    ),
    _regression(
        "mae_predict_mean",
        "MAE of predicting the mean",
        higher_is_better=False,
        kernel=regression.mae_predict_mean,
        ranks=False,
    ),
)
METRICS: Final[Mapping[str, Metric]] = MappingProxyType({m.name: m for m in _ALL})


def get_metric(name: str) -> Metric:
    """Returns the metric of that name.

    Raises:
        UnknownNameError: No metric of that name; the nearest are suggested.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise UnknownNameError("metric", name, METRICS) from None
