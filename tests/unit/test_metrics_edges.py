"""Input that is invalid is refused; a metric that is undefined is NaN, never a wrong number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS, check_participants, get_metric

Y = np.array([0, 0, 1, 1, 0, 1])
P1 = np.array([0.1, 0.4, 0.6, 0.9, 0.7, 0.3])
P = np.stack([1 - P1, P1], axis=1)
CLASSIFICATION = [m for m in METRICS.values() if m.kind == "classification" and m.min_classes == 2]
REGRESSION = [m for m in METRICS.values() if m.kind == "regression"]


@pytest.mark.parametrize("metric", CLASSIFICATION, ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, p: (y, np.where(p == p[0, 0], np.nan, p)), "finite.*row 0"),
        (lambda y, p: (y, p * 0.9), "do not sum to 1"),
        (lambda y, p: (y, p * 40 - 20), r"\[0, 1\].*logits"),
        (lambda y, p: (y + 1, p), "class indices 0 to 1"),
        (lambda y, p: (y + 0.5, p), "class indices"),
        (lambda y, p: (y[:-1], p), "expected 6 labels"),
        (lambda y, p: (y, p[:, 1]), r"shape \(N, K\)"),
        (lambda y, p: (y[:0], p[:0]), "no prediction"),
    ],
)
def test_invalid_classification_input_is_refused(metric, change, message):
    with pytest.raises(ResultError, match=message):
        metric.compute(*change(Y, P))


@pytest.mark.parametrize("metric", REGRESSION, ids=lambda m: m.name)
def test_invalid_regression_input_is_refused(metric):
    y = np.array([50.0, 60.0])
    with pytest.raises(ResultError, match="finite"):
        metric.compute(y, np.array([50.0, np.inf]))
    with pytest.raises(ResultError, match="shape"):
        metric.compute(y, P[:2])


@pytest.mark.parametrize("weights", [np.ones((2, 5)), np.ones(6), -np.ones((1, 6))])
def test_invalid_weights_are_refused(weights):
    with pytest.raises(ResultError, match="weights"):
        METRICS["roc_auc"].compute(Y, P, None, weights)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_that_are_not_finite_are_refused(bad, dtype):
    weights = np.ones((2, 6), dtype=dtype)
    weights[1, 2] = bad
    with pytest.raises(ResultError, match="weights must be finite and not negative"):
        METRICS["accuracy"].compute(Y, P, None, weights)
    with pytest.raises(ResultError, match="weights must be finite and not negative"):
        METRICS["mae"].compute(Y, P1, None, weights)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([0, 0, np.nan, np.nan], r"folds must be finite.*2 of 4 rows \(first: row 2\)"),
        ([0, 0, 1, np.inf], r"folds must be finite.*1 of 4 rows \(first: row 3\)"),
        (np.array(["a", "a", None, "b"], dtype=object), "1 of 4 rows have no fold"),
        (pd.array(["a", "a", None, "b"], dtype="str"), "1 of 4 rows have no fold"),
    ],
)
def test_people_without_a_fold_are_refused(folds, message):
    """The first pair is right, the second wrong: without a fold the second was not counted."""
    y, p1 = np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.9, 0.1])
    p = np.stack([1 - p1, p1], axis=1)
    assert float(METRICS["roc_auc"].compute(y, p, [0, 0, 1, 1])) == 0.5
    assert float(METRICS["roc_auc"].compute(y, p, [0.0, 0.0, 1.0, 1.0])) == 0.5
    assert float(METRICS["roc_auc"].compute(y, p, ["a", "a", "b", "b"])) == 0.5
    with pytest.raises(ResultError, match=message):
        METRICS["roc_auc"].compute(y, p, folds)
    with pytest.raises(ResultError, match=message):
        METRICS["mae_predict_mean"].compute(y, p1, folds)


@pytest.mark.parametrize(
    "metric", [m for m in CLASSIFICATION if m.binary_only], ids=lambda m: m.name
)
def test_binary_metrics_refuse_three_classes(metric):
    with pytest.raises(ResultError, match="two classes, got 3"):
        metric.compute(np.array([0, 1, 2]), np.full((3, 3), 1 / 3))


def test_a_metric_of_the_third_class_refuses_two():
    with pytest.raises(ResultError, match="recall_class_2: defined for 3 classes or more, got 2"):
        METRICS["recall_class_2"].compute(Y, P)


NEEDS_BOTH = [
    "roc_auc",
    "pr_auc",
    "pr_auc_class_0",
    "weighted_roc_auc",
    "weighted_f1",
    "cohen_kappa",
    "roc_auc_class_0",
    "ppv_at_10_prevalence",
    "npv_at_10_prevalence",
    "sensitivity_at_80_specificity",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "sensitivity_at_90_specificity",
    "calibration_slope",
    "calibration_intercept",
]


@pytest.mark.parametrize("name", NEEDS_BOTH)
@pytest.mark.parametrize("label", [0, 1])
def test_a_metric_of_two_classes_is_undefined_where_one_is_absent(name, label):
    assert np.isnan(METRICS[name].compute(np.full(6, label), P))


@pytest.mark.parametrize("name", NEEDS_BOTH)
def test_a_class_whose_weights_are_all_zero_counts_as_absent(name):
    weights = np.stack([(Y == 0).astype(np.float32), np.ones(6, dtype=np.float32)])
    values = METRICS[name].compute(Y, P, None, weights)
    assert np.isnan(values[0])
    assert np.isfinite(values[1])


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "sensitivity_at_90_specificity"])
def test_a_fold_of_one_class_does_not_count(name):
    folds = np.array([0, 0, 0, 0, 1, 1])
    y = np.array([0, 1, 0, 1, 1, 1])
    alone = float(METRICS[name].compute(y[:4], P[:4]))
    assert float(METRICS[name].compute(y, P, folds)) == alone < 1.0
    without = np.array([[1, 1, 1, 1, 0, 1], [0, 1, 0, 1, 1, 1]], dtype=np.float32)
    values = METRICS[name].compute(y, P, folds, without)
    assert values[0] == pytest.approx(alone)
    assert np.isnan(values[1])


def test_a_fold_without_pairs_adds_none():
    folds = np.array([0, 0, 0, 0, 1, 1])
    y = np.array([0, 0, 1, 1, 1, 1])
    assert float(METRICS["roc_auc"].compute(y, P, folds)) == 1.0
    assert np.isnan(METRICS["roc_auc"].compute(np.array([0, 0, 1, 1]), P[:4], [0, 0, 1, 1]))


def test_a_constant_prediction():
    p = np.full((6, 2), 0.5)
    value = {m.name: float(m.compute(Y, p)) for m in CLASSIFICATION}
    assert value["roc_auc"] == value["pr_auc"] == value["balanced_accuracy"] == 0.5
    assert value["mcc"] == value["cohen_kappa"] == 0.0
    assert value["aurc"] == 0.5  # nobody is surer than others: the error rate
    assert value["excess_aurc"] == pytest.approx(-0.5 * np.log(0.5))
    assert value["recall_class_0"] == 1.0
    assert value["precision_class_0"] == 0.5
    assert np.isnan(value["precision_class_1"])  # nobody is decided to be of class 1
    assert value["f1_class_1"] == 0.0
    assert np.isnan(value["ppv_at_10_prevalence"])
    assert value["npv_at_10_prevalence"] == pytest.approx(0.9)
    assert (value["sensitivity"], value["specificity"]) == (0.0, 1.0)  # a tie is read as class 0
    assert value["sensitivity_at_90_specificity"] == 0.0
    assert np.isnan(value["calibration_slope"])
    assert value["calibration_intercept"] == pytest.approx(0.0)
    assert value["log_loss"] == pytest.approx(np.log(2))


def test_separated_classes_have_no_calibration_slope():
    y = np.array([0, 0, 1, 1])
    p1 = np.array([0.1, 0.2, 0.8, 0.9])
    assert np.isnan(METRICS["calibration_slope"].compute(y, np.stack([1 - p1, p1], 1)))


def test_classes_tied_at_the_boundary_have_no_calibration_slope_either():
    # quasi-separation: one positive and one negative at 0.4, all else apart
    y = np.array([0, 0, 0, 1, 1, 1])
    p1 = np.array([0.1, 0.2, 0.4, 0.4, 0.7, 0.9])
    slope = METRICS["calibration_slope"]
    p = np.stack([1 - p1, p1], axis=1)
    assert np.isnan(slope.compute(y, p))
    assert np.isnan(slope.compute(y, p[:, ::-1]))
    overlapping = np.array([0, 1, 0, 0, 1, 1])
    assert np.isfinite(slope.compute(overlapping, p))
    without = np.array([[1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], dtype=np.float32)
    values = slope.compute(overlapping, p, None, without)  # without the one that overlaps
    assert np.isnan(values[0])
    assert np.isfinite(values[1])


def test_a_certain_error_costs_a_finite_log_loss():
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert float(METRICS["log_loss"].compute([1, 0], p)) == pytest.approx(36.04, abs=0.01)


def test_constant_targets_and_predictions_of_a_regression():
    y, constant = np.array([50.0, 60, 70]), np.full(3, 60.0)
    assert np.isnan(METRICS["r2"].compute(constant, y))
    assert np.isnan(METRICS["pearson_r"].compute(y, constant))
    assert np.isnan(METRICS["age_bias_slope"].compute(constant, y))
    assert float(METRICS["age_bias_slope"].compute(y, constant)) == pytest.approx(-1.0)
    assert float(METRICS["r2"].compute(y, constant)) == pytest.approx(0.0)


def test_half_precision_probabilities_are_renormalised():
    p = P.astype(np.float16)
    assert float(METRICS["log_loss"].compute(Y, p)) == pytest.approx(
        float(METRICS["log_loss"].compute(Y, P)), abs=1e-3
    )


def test_a_participant_who_appears_twice_is_named():
    with pytest.raises(ResultError, match="several for 1: sub-02"):
        check_participants(np.array(["sub-01", "sub-02", "sub-02"]), "svm on memory")


def test_an_unknown_metric_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="roc_auc"):
        get_metric("roc_auk")
