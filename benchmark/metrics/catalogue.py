"""Every metric of the benchmark, registered on import of ``benchmark.metrics``.

Families (per class, at a threshold, at a prevalence, at a specificity) are registered for the
values that protocol and tasks name; another value is one more line.
"""

from __future__ import annotations

import math
from typing import Any, Final

from benchmark.metrics import (
    calibration,
    decisions,
    discrimination,
    per_class,
    predictive_values,
    probabilities,
    regression,
    selective,
)
from benchmark.metrics.metric import Array, Kernel, Metric
from benchmark.metrics.registry import add_metric

__all__ = ["CLASSES_WITH_METRICS", "NET_BENEFIT_THRESHOLDS", "PREVALENCES", "SPECIFICITIES"]

NET_BENEFIT_THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.5)
SPECIFICITIES: Final = (0.8, 0.9, 0.95)
PREVALENCES: Final = (0.1, 0.3)  # a screened population of that age; a memory clinic
CLASSES_WITH_METRICS: Final = 3  # as many as the largest task has

_UP, _DOWN = True, False
_SHARE: Final = (0.0, 1.0)
_CORRELATION: Final = (-1.0, 1.0)
_POSITIVE: Final = (0.0, math.inf)
_FREE: Final = (-math.inf, math.inf)
_AT_MOST_1: Final = (-math.inf, 1.0)


def _classification(
    name: str,
    title: str,
    up: bool,
    kernel: Kernel,
    bounds: tuple[float, float] = _SHARE,
    **options: Any,
) -> None:
    add_metric(Metric(name, title, "classification", up, kernel, bounds=bounds, **options))


def _regression(
    name: str,
    title: str,
    up: bool,
    kernel: Kernel,
    bounds: tuple[float, float] = _POSITIVE,
    **options: Any,
) -> None:
    add_metric(Metric(name, title, "regression", up, kernel, bounds=bounds, **options))


def _net_benefit(threshold: float) -> None:
    def kernel(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
        return probabilities.net_benefit(y_true, y_prob, weights, threshold)

    name, title = f"net_benefit_{threshold * 100:.0f}", f"Net benefit at {threshold:g}"
    _classification(name, title, _UP, kernel, _AT_MOST_1, binary_only=True)


def _sensitivity_at(specificity: float) -> None:
    def kernel(y_true: Array, y_prob: Array, folds: Array, weights: Array) -> Array:
        return discrimination.sensitivity_at_specificity(
            y_true, y_prob, folds, weights, specificity
        )

    percent = f"{specificity * 100:.0f}"
    _classification(
        f"sensitivity_at_{percent}_specificity",
        f"Sensitivity at {percent} % specificity",
        _UP,
        kernel,
        binary_only=True,
        descriptive=True,
        ranks=False,
    )


def _predictive_values(prevalence: float) -> None:
    def ppv(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
        return predictive_values.ppv_at_prevalence(y_true, y_prob, weights, prevalence)

    def npv(y_true: Array, y_prob: Array, _folds: Array, weights: Array) -> Array:
        return predictive_values.npv_at_prevalence(y_true, y_prob, weights, prevalence)

    percent = f"{prevalence * 100:.0f}"
    for short, kernel in (("ppv", ppv), ("npv", npv)):
        _classification(
            f"{short}_at_{percent}_prevalence",
            f"{short.upper()} at {percent} % prevalence",
            _UP,
            kernel,
            binary_only=True,
            ranks=False,
        )


def _of_class(k: int) -> None:
    for name, title in per_class.NAMES.items():
        _classification(
            f"{name}_class_{k}",
            f"{title} of class {k}",
            _UP,
            per_class.kernel(name, k),
            min_classes=max(2, k + 1),
            ranks=False,
        )


_classification("roc_auc", "AUROC", _UP, discrimination.roc_auc)
_classification("pr_auc", "PR-AUC", _UP, discrimination.pr_auc)
_classification("balanced_accuracy", "Balanced accuracy", _UP, decisions.balanced_accuracy)
_classification("macro_f1", "Macro F1", _UP, decisions.macro_f1)
_classification("mcc", "MCC", _UP, decisions.mcc, _CORRELATION)
_classification("accuracy", "Accuracy", _UP, decisions.accuracy)
_classification("brier_score", "Brier score", _DOWN, probabilities.brier_score, (0.0, 2.0))
_classification("log_loss", "Log loss", _DOWN, probabilities.log_loss, _POSITIVE)
_classification("sensitivity", "Sensitivity", _UP, decisions.sensitivity, binary_only=True)
_classification("specificity", "Specificity", _UP, decisions.specificity, binary_only=True)
_classification(
    "ece",
    "ECE",
    _DOWN,
    calibration.ece,
    descriptive=True,
    ranks=False,
    no_interval="none (biased upwards at small n)",
)
_classification(
    "calibration_slope", "Calibration slope", _UP, calibration.calibration_slope, _FREE, ranks=False
)
_classification(
    "calibration_intercept",
    "Calibration intercept",
    _DOWN,
    calibration.calibration_intercept,
    _FREE,
    ranks=False,
)
_classification("weighted_roc_auc", "Weighted AUROC", _UP, per_class.weighted_roc_auc)
_classification("weighted_f1", "Weighted F1", _UP, per_class.weighted_f1)
_classification("cohen_kappa", "Cohen's kappa", _UP, decisions.cohen_kappa, _CORRELATION)
_classification("aurc", "AURC", _DOWN, selective.aurc)
_classification("excess_aurc", "Excess AURC", _DOWN, selective.excess_aurc, ranks=False)
for _threshold in NET_BENEFIT_THRESHOLDS:
    _net_benefit(_threshold)
for _specificity in SPECIFICITIES:
    _sensitivity_at(_specificity)
for _prevalence in PREVALENCES:
    _predictive_values(_prevalence)
for _k in range(CLASSES_WITH_METRICS):
    _of_class(_k)

_regression("mae", "MAE", _DOWN, regression.mae)
_regression("rmse", "RMSE", _DOWN, regression.rmse)
_regression("r2", "R2", _UP, regression.r2, _AT_MOST_1)
_regression("pearson_r", "Pearson r", _UP, regression.pearson_r, _CORRELATION)
_regression("age_bias_slope", "Age-bias slope", _UP, regression.age_bias_slope, _FREE, ranks=False)
_regression(
    "mae_predict_mean",
    "MAE of predicting the mean",
    _DOWN,
    regression.mae_predict_mean,
    ranks=False,
)
