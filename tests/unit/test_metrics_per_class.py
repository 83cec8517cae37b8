"""Per-class, weighted and prevalence-adjusted metrics against scikit-learn and hand computation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS, class_values
from benchmark.metrics.predictive_values import ppv_at_prevalence

RNG = np.random.default_rng(3)
N = 150
Y = RNG.choice(3, N, p=[0.5, 0.3, 0.2])
P = RNG.dirichlet(np.ones(3), N) + 0.3 * np.eye(3)[Y]
P /= P.sum(axis=1, keepdims=True)
WEIGHTS = RNG.integers(0, 4, (5, N)).astype(np.float32)
DECIDED = P.argmax(axis=1)


def _average(score, **options):
    return lambda w: score(Y, DECIDED, average=None, sample_weight=w, **options)


REFERENCES = {
    "recall": _average(sk.recall_score),
    "precision": _average(sk.precision_score),
    "f1": _average(sk.f1_score),
    "roc_auc": lambda w: [sk.roc_auc_score(k == Y, P[:, k], sample_weight=w) for k in range(3)],
    "pr_auc": lambda w: [
        sk.average_precision_score(k == Y, P[:, k], sample_weight=w) for k in range(3)
    ],
}
WEIGHTED = {
    "weighted_f1": lambda w: sk.f1_score(Y, DECIDED, average="weighted", sample_weight=w),
    "weighted_roc_auc": lambda w: np.average(
        REFERENCES["roc_auc"](w), weights=np.bincount(Y, w, minlength=3)
    ),
    "cohen_kappa": lambda w: sk.cohen_kappa_score(Y, DECIDED, sample_weight=w),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_per_class_values_equal_scikit_learn(name):
    ones = np.ones(N)
    np.testing.assert_allclose(class_values(name, Y, P), REFERENCES[name](ones), atol=1e-9)
    expected = [REFERENCES[name](w.astype(float)) for w in WEIGHTS]
    np.testing.assert_allclose(class_values(name, Y, P, None, WEIGHTS), expected, rtol=2e-5)
    for k in range(3):
        one = METRICS[f"{name}_class_{k}"].compute(Y, P, None, WEIGHTS)
        np.testing.assert_allclose(one, np.array(expected)[:, k], rtol=2e-5)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weighted_means_and_kappa_equal_scikit_learn(name):
    metric = METRICS[name]
    assert float(metric.compute(Y, P)) == pytest.approx(WEIGHTED[name](np.ones(N)), abs=1e-9)
    expected = [WEIGHTED[name](w.astype(float)) for w in WEIGHTS]
    np.testing.assert_allclose(metric.compute(Y, P, None, WEIGHTS), expected, rtol=2e-5)


def test_weighted_auroc_is_scikit_learns_own_average():
    theirs = sk.roc_auc_score(Y, P, multi_class="ovr", average="weighted")
    assert float(METRICS["weighted_roc_auc"].compute(Y, P)) == pytest.approx(theirs)


def test_the_mean_over_classes_is_the_macro_metric():
    folds = np.arange(N) % 3
    for name, macro in (
        ("roc_auc", "roc_auc"),
        ("f1", "macro_f1"),
        ("recall", "balanced_accuracy"),
    ):
        values = class_values(name, Y, P, folds)
        assert values.mean() == pytest.approx(float(METRICS[macro].compute(Y, P, folds)))


def test_a_class_that_is_absent_or_never_decided():
    two = np.where(Y == 2, 0, Y)
    for name in REFERENCES:
        assert np.isnan(class_values(name, two, P)[2])
    never = P * [1, 1, 0]
    never /= never.sum(axis=1, keepdims=True)
    assert np.isnan(class_values("precision", Y, never)[2])
    assert class_values("f1", Y, never)[2] == class_values("recall", Y, never)[2] == 0.0


def test_an_unknown_per_class_metric_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="recall"):
        class_values("recal", Y, P)


def test_predictive_values_by_bayes_on_a_screened_population():
    # sensitivity 0.8, specificity 0.9: of 1,000 people at 10 %, 80 true and 90 false alarms
    y = np.repeat([1, 1, 0, 0], [8, 2, 9, 1])
    p1 = np.repeat([0.9, 0.1, 0.1, 0.9], [8, 2, 9, 1])
    p = np.stack([1 - p1, p1], axis=1)
    value = {n: float(METRICS[n].compute(y, p)) for n in METRICS if "prevalence" in n}
    assert value["ppv_at_10_prevalence"] == pytest.approx(80 / 170)
    assert value["npv_at_10_prevalence"] == pytest.approx(810 / 830)
    assert value["ppv_at_30_prevalence"] == pytest.approx(240 / 310)
    assert value["npv_at_30_prevalence"] == pytest.approx(630 / 690)


def test_at_the_studys_own_prevalence_the_predictive_value_is_the_precision():
    y = (RNG.random(N) < 0.4).astype(int)
    p1 = (RNG.random(N) + 0.4 * y) / 1.4
    p = np.stack([1 - p1, p1], axis=1)
    ours = ppv_at_prevalence(y, p, np.ones((N, 1)), float(y.mean()))[0]
    assert ours == pytest.approx(sk.precision_score(y, p1 > 0.5))


@pytest.mark.parametrize("prevalence", [0.0, 1.0, 10.0])
def test_a_prevalence_in_percent_is_refused(prevalence):
    with pytest.raises(ResultError, match=r"0\.1 for 10 %"):
        ppv_at_prevalence(np.array([0, 1]), np.eye(2), np.ones((2, 1)), prevalence)


@pytest.mark.parametrize("percent", [80, 90, 95])
def test_sensitivity_at_any_specificity_equals_the_roc_curve(percent):
    y = (RNG.random(N) < 0.4).astype(int)
    p1 = np.round((RNG.random(N) + 0.5 * y) / 1.5, 2)
    fpr, tpr, _ = sk.roc_curve(y, p1, drop_intermediate=False)
    expected = tpr[fpr <= 1 - percent / 100 + 1e-9].max()
    metric = METRICS[f"sensitivity_at_{percent}_specificity"]
    assert float(metric.compute(y, np.stack([1 - p1, p1], 1))) == pytest.approx(expected)
