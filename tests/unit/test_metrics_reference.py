"""Every metric against an independent implementation or a hand-computed table."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import linregress
from sklearn import metrics as sk

from benchmark.metrics import METRICS, confusion, equal_mass_bins

RNG = np.random.default_rng(11)
N = 180
Y2 = (RNG.random(N) < 0.35).astype(int)
Z = RNG.normal(size=N) + 1.1 * Y2 - 0.8
P1 = np.round(1 / (1 + np.exp(-Z)), 2).clip(0.01, 0.99)  # rounded, so that there are ties
P2 = np.stack([1 - P1, P1], axis=1)
Y3 = RNG.integers(0, 3, N)
L3 = RNG.normal(size=(N, 3)) + 1.2 * np.eye(3)[Y3]
P3 = np.exp(L3) / np.exp(L3).sum(axis=1, keepdims=True)
AGE = RNG.uniform(50, 90, N)
PRED = 20 + 0.7 * AGE + RNG.normal(size=N) * 5
WEIGHTS = RNG.integers(0, 4, (6, N)).astype(np.float32)


def _net_benefit(threshold):
    def of(y, p, w):
        act = p[:, 1] >= threshold
        gain = (w * act * (y == 1)).sum() - (w * act * (y == 0)).sum() * threshold / (1 - threshold)
        return gain / w.sum()

    return of


def _sensitivity_at_90(y, p, w):
    fpr, tpr, _ = sk.roc_curve(y, p[:, 1], sample_weight=w, drop_intermediate=False)
    return tpr[fpr <= 0.1 + 1e-9].max()


BINARY = {
    "roc_auc": lambda y, p, w: sk.roc_auc_score(y, p[:, 1], sample_weight=w),
    "pr_auc": lambda y, p, w: sk.average_precision_score(y, p[:, 1], sample_weight=w),
    "balanced_accuracy": lambda y, p, w: sk.balanced_accuracy_score(
        y, p.argmax(1), sample_weight=w
    ),
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p.argmax(1), sample_weight=w),
    "macro_f1": lambda y, p, w: sk.f1_score(y, p.argmax(1), average="macro", sample_weight=w),
    "mcc": lambda y, p, w: sk.matthews_corrcoef(y, p.argmax(1), sample_weight=w),
    "sensitivity": lambda y, p, w: sk.recall_score(y, p.argmax(1), sample_weight=w),
    "specificity": lambda y, p, w: sk.recall_score(y, p.argmax(1), pos_label=0, sample_weight=w),
    "sensitivity_at_90_specificity": _sensitivity_at_90,
    "brier_score": lambda y, p, w: sk.brier_score_loss(y, p[:, 1], sample_weight=w),
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w),
    "net_benefit_10": _net_benefit(0.1),
    "net_benefit_20": _net_benefit(0.2),
    "net_benefit_30": _net_benefit(0.3),
    "net_benefit_50": _net_benefit(0.5),
}


def _macro(binary):
    return lambda y, p, w: np.mean(
        [binary((y == k).astype(int), np.stack([1 - p[:, k], p[:, k]], 1), w) for k in range(3)]
    )


MULTI = {
    "roc_auc": _macro(BINARY["roc_auc"]),
    "pr_auc": _macro(BINARY["pr_auc"]),
    **{name: BINARY[name] for name in ("balanced_accuracy", "accuracy", "macro_f1", "mcc")},
    "brier_score": lambda y, p, w: np.average(((p - np.eye(3)[y]) ** 2).sum(axis=1), weights=w),
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w),
}
REGRESSION = {
    "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: sk.r2_score(y, p, sample_weight=w),
    "pearson_r": lambda y, p, w: np.corrcoef(
        np.repeat(y, w.astype(int)), np.repeat(p, w.astype(int))
    )[0, 1],
    "age_bias_slope": lambda y, p, w: (
        linregress(np.repeat(y, w.astype(int)), np.repeat(p - y, w.astype(int))).slope
    ),
    "mae_predict_mean": lambda y, p, w: np.average(np.abs(y - y.mean()), weights=w),
}
CASES = [
    *((name, f, Y2, P2) for name, f in BINARY.items()),
    *((name, f, Y3, P3) for name, f in MULTI.items()),
    *((name, f, AGE, PRED) for name, f in REGRESSION.items()),
]


@pytest.mark.parametrize(("name", "reference", "y", "p"), CASES)
def test_metric_equals_its_reference_plain_and_weighted(name, reference, y, p):
    metric = METRICS[name]
    assert float(metric.compute(y, p)) == pytest.approx(reference(y, p, np.ones(N)), abs=1e-9)
    weighted = metric.compute(y, p, None, WEIGHTS)
    expected = [reference(y, p, w.astype(float)) for w in WEIGHTS]
    np.testing.assert_allclose(weighted, expected, rtol=2e-5, atol=2e-6)


def test_calibration_slope_and_intercept_equal_a_logistic_regression():
    logit = np.log(P1 / (1 - P1))
    family = sm.families.Binomial()
    slope = sm.GLM(Y2, sm.add_constant(logit), family=family).fit().params[1]
    intercept = sm.GLM(Y2, np.ones((N, 1)), family=family, offset=logit).fit().params[0]
    assert float(METRICS["calibration_slope"].compute(Y2, P2)) == pytest.approx(slope, abs=1e-5)
    assert float(METRICS["calibration_intercept"].compute(Y2, P2)) == pytest.approx(
        intercept, abs=1e-5
    )
    weighted = METRICS["calibration_slope"].compute(Y2, P2, None, WEIGHTS)
    for w, value in zip(WEIGHTS, weighted, strict=True):
        fit = sm.GLM(Y2, sm.add_constant(logit), family=family, freq_weights=w).fit()
        assert value == pytest.approx(fit.params[1], rel=1e-3)


def test_perfectly_calibrated_probabilities_have_slope_one_and_intercept_zero():
    levels = np.repeat([0.2, 0.5, 0.8], 10)
    y = np.concatenate([np.arange(10) < 10 * level for level in (0.2, 0.5, 0.8)]).astype(int)
    p = np.stack([1 - levels, levels], axis=1)
    assert float(METRICS["calibration_slope"].compute(y, p)) == pytest.approx(1.0, abs=1e-4)
    assert float(METRICS["calibration_intercept"].compute(y, p)) == pytest.approx(0.0, abs=1e-6)


def test_confusion_metrics_of_a_hand_computed_table():
    # rows are the truth: 5 2 1 / 1 6 1 / 0 2 4
    table = np.array([[5, 2, 1], [1, 6, 1], [0, 2, 4]])
    y = np.repeat(np.arange(3), table.sum(axis=1))
    decided = np.concatenate([np.repeat(np.arange(3), row) for row in table])
    p = np.where(np.eye(3)[decided] == 1, 0.8, 0.1)
    np.testing.assert_array_equal(confusion(y, p, np.ones((22, 1)))[..., 0], table)
    value = {name: float(METRICS[name].compute(y, p)) for name in MULTI}
    assert value["accuracy"] == pytest.approx(15 / 22)
    assert value["balanced_accuracy"] == pytest.approx((5 / 8 + 6 / 8 + 4 / 6) / 3)
    assert value["macro_f1"] == pytest.approx((10 / 14 + 12 / 18 + 8 / 12) / 3)
    # Gorodkin: (c s - sum t p) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)); t = 8 8 6, p = 6 10 6
    assert value["mcc"] == pytest.approx((15 * 22 - 164) / np.sqrt((484 - 172) * (484 - 164)))


def test_ece_of_a_hand_computed_table():
    # 15 bins of two people each; every bin states 0.5 and the first ten hold one case of two
    p1 = np.linspace(0.05, 0.92, 30)
    y = np.tile([0, 1], 15)
    p = np.stack([1 - p1, p1], axis=1)
    pairs = p1.reshape(15, 2).mean(axis=1)
    assert float(METRICS["ece"].compute(y, p)) == pytest.approx(np.abs(pairs - 0.5).mean())


def test_equal_values_share_a_bin_and_bins_have_equal_mass():
    np.testing.assert_array_equal(equal_mass_bins(np.full(10, 0.5)), np.zeros(10))
    counts = np.bincount(equal_mass_bins(RNG.random(150)), minlength=15)
    np.testing.assert_array_equal(counts, np.full(15, 10))


def test_only_pairs_of_one_fold_are_compared():
    # fold 0 ranks perfectly, fold 1 the wrong way round; pooled, the scores would mix
    y = np.array([0, 1, 0, 1, 1])
    p1 = np.array([0.1, 0.2, 0.9, 0.8, 0.7])
    folds = np.array([0, 0, 1, 1, 1])
    p = np.stack([1 - p1, p1], axis=1)
    assert float(METRICS["roc_auc"].compute(y, p, folds)) == pytest.approx(1 / 3)  # 1 of 3 pairs
    precision = (1 * 1.0 + 2 * (1 / 2 * (1 / 2) + 1 / 2 * (2 / 3))) / 3
    assert float(METRICS["pr_auc"].compute(y, p, folds)) == pytest.approx(precision)


def test_a_constant_predictor_scores_half_though_folds_differ_in_prevalence():
    y = np.repeat([0, 1, 0, 1, 0, 1], [9, 1, 5, 5, 1, 9])
    folds = np.repeat([0, 1, 2], 10)
    p1 = np.repeat([0.1, 0.5, 0.9], 10)  # each fold's model states its own prevalence
    p = np.stack([1 - p1, p1], axis=1)
    assert float(METRICS["roc_auc"].compute(y, p, folds)) == 0.5
    assert sk.roc_auc_score(y, p1) > 0.7  # what pooling would have claimed
    resampled = METRICS["roc_auc"].compute(y, p, folds, np.ones((3, 30), dtype=np.float32))
    np.testing.assert_array_equal(resampled, 0.5)


def test_mae_of_predicting_the_mean_uses_the_other_folds():
    y, folds = np.array([50.0, 60, 70, 80]), np.array([0, 0, 1, 1])
    # fold 0 is predicted as 75, fold 1 as 55
    assert float(METRICS["mae_predict_mean"].compute(y, y, folds)) == pytest.approx(20.0)
