"""Curves and tables: reliability bins, Brier terms, decision curves, risk and coverage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from sklearn.calibration import calibration_curve

from benchmark.errors import ResultError
from benchmark.metrics import (
    METRICS,
    brier_decomposition,
    class_values,
    decision_curve,
    reliability_bins,
    risk_coverage,
)

RNG = np.random.default_rng(21)
N = 240
Y2 = (RNG.random(N) < 0.4).astype(int)
P1 = np.round(1 / (1 + np.exp(-(RNG.normal(size=N) + Y2 - 0.5))), 2)
P2 = np.stack([1 - P1, P1], axis=1)
Y3 = RNG.integers(0, 3, N)
P3 = RNG.dirichlet(np.ones(3), N) + 0.3 * np.eye(3)[Y3]
P3 /= P3.sum(axis=1, keepdims=True)


def test_bins_of_equal_width_equal_scikit_learn():
    bins = reliability_bins(Y2, P2, n_bins=10, cut="width")
    observed, stated = calibration_curve(Y2, P1, n_bins=10, strategy="uniform")
    # scikit-learn puts a value on an edge into the bin below; ours into the one above
    inside = np.abs(P1 * 10 - np.round(P1 * 10)) > 1e-9
    observed, stated = calibration_curve(Y2[inside], P1[inside], n_bins=10, strategy="uniform")
    bins = reliability_bins(Y2[inside], P2[inside], n_bins=10, cut="width")
    np.testing.assert_allclose(bins.observed, observed)
    np.testing.assert_allclose(bins.stated, stated)
    assert bins.count.sum() == inside.sum()


@pytest.mark.parametrize(("y", "p"), [(Y2, P2), (Y3, P3)])
def test_the_weighted_gap_of_the_bins_is_the_ece(y, p):
    bins = reliability_bins(y, p)
    gap = np.average(np.abs(bins.stated - bins.observed), weights=bins.count)
    assert gap == pytest.approx(float(METRICS["ece"].compute(y, p)))
    assert (bins.low <= bins.stated).all()
    assert (bins.stated <= bins.high).all()
    assert (bins.observed_low <= bins.observed).all()
    assert (bins.observed <= bins.observed_high).all()


def test_bins_of_one_class_of_three():
    bins = reliability_bins(Y3, P3, class_index=2, n_bins=5)
    assert bins.count @ bins.observed == pytest.approx((Y3 == 2).sum())
    assert bins.count @ bins.stated == pytest.approx(P3[:, 2].sum())


def test_invalid_bins_and_classes_are_refused():
    with pytest.raises(ResultError, match="at least one bin, got 0"):
        reliability_bins(Y2, P2, n_bins=0)
    with pytest.raises(ResultError, match="at least one bin, got 0"):
        brier_decomposition(Y2, P2, n_bins=0)
    with pytest.raises(ResultError, match="class index 0 to 1, got 2"):
        reliability_bins(Y2, P2, class_index=2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), k=st.integers(2, 4), b=st.integers(1, 20))
def test_the_terms_sum_to_the_brier_score(seed, n, k, b):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    p = np.round(rng.dirichlet(np.ones(k), n), 1) + 0.02
    p /= p.sum(axis=1, keepdims=True)
    terms = brier_decomposition(y, p, n_bins=b)
    assert terms.total == pytest.approx(float(METRICS["brier_score"].compute(y, p)), abs=1e-12)
    assert min(terms.reliability, terms.resolution, terms.within_bin_variance) >= 0


def test_murphys_three_terms_where_a_bin_holds_one_probability():
    # 5 people at 0.2 with 1 case, 5 at 0.6 with 4 cases
    p1 = np.repeat([0.2, 0.6], 5)
    y = np.array([1, 0, 0, 0, 0, 1, 1, 1, 1, 0])
    terms = brier_decomposition(y, np.stack([1 - p1, p1], 1))
    assert terms.reliability == pytest.approx(0.5 * 0.0 + 0.5 * 0.2**2)
    assert terms.resolution == pytest.approx(0.3**2)
    assert terms.uncertainty == pytest.approx(0.25)
    assert terms.within_bin_variance == pytest.approx(0.0)
    assert terms.within_bin_covariance == pytest.approx(0.0)


def test_a_decision_curve_at_the_metrics_thresholds():
    weights = RNG.integers(0, 4, (3, N)).astype(np.float32)
    curve = decision_curve(Y2, P2, (0.1, 0.2, 0.3, 0.5), weights)
    assert curve.model.shape == (3, 4)
    for i, percent in enumerate((10, 20, 30, 50)):
        expected = METRICS[f"net_benefit_{percent}"].compute(Y2, P2, None, weights)
        np.testing.assert_allclose(curve.model[:, i], expected, rtol=1e-5, atol=1e-7)


def test_acting_on_all_by_its_closed_form_and_on_none():
    curve = decision_curve(Y2, P2)
    q, t = Y2.mean(), curve.thresholds
    np.testing.assert_allclose(curve.treat_all, q - (1 - q) * t / (1 - t))
    np.testing.assert_array_equal(curve.treat_none, 0.0)
    everybody = decision_curve(Y2, np.tile([0.0, 1.0], (N, 1)))
    np.testing.assert_allclose(everybody.model, everybody.treat_all)
    nobody = decision_curve(Y2, np.tile([1.0, 0.0], (N, 1)))
    np.testing.assert_array_equal(nobody.model, 0.0)
    assert (nobody.gain <= 0).all()


@pytest.mark.parametrize("thresholds", [[0.0], [1.0], [], [20.0]])
def test_impossible_thresholds_are_refused(thresholds):
    with pytest.raises(ResultError, match="thresholds must lie between 0 and 1"):
        decision_curve(Y2, P2, thresholds)


def test_risk_at_full_coverage_is_the_error_rate_and_coverage_grows():
    curve = risk_coverage(Y3, P3)
    assert curve.coverage[-1] == 1.0
    assert curve.risk[-1] == pytest.approx(1 - float(METRICS["accuracy"].compute(Y3, P3)))
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.confidence) < 0).all()


def test_aurc_equals_the_integral_by_quadrature():
    confidence, wrong = P2.max(axis=1), (P2.argmax(axis=1) != Y2).astype(float)
    levels = np.unique(confidence)[::-1]
    share = np.array([0.0, *[(confidence >= c).mean() for c in levels]])
    lost = np.array([0.0, *[(wrong * (confidence >= c)).mean() for c in levels]])
    area = sum(quad(lambda c: np.interp(c, share, lost) / c, a, b)[0] for a, b in pairwise(share))
    assert float(METRICS["aurc"].compute(Y2, P2)) == pytest.approx(area, abs=1e-8)


def test_aurc_nears_the_sum_over_people():
    rng = np.random.default_rng(0)
    n = 20_000
    p1 = rng.random(n)
    y = (rng.random(n) < p1).astype(int)
    p = np.stack([1 - p1, p1], axis=1)
    order = np.argsort(-p.max(axis=1))
    risk = np.cumsum((p.argmax(axis=1) != y)[order]) / np.arange(1, n + 1)
    assert float(METRICS["aurc"].compute(y, p)) == pytest.approx(risk.mean(), abs=2e-4)


def test_the_best_order_of_errors_has_no_excess():
    # the two errors are the least sure of ten people
    p1 = np.array([0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.6, 0.55])
    y = np.array([1] * 8 + [0] * 2)
    p = np.stack([1 - p1, p1], axis=1)
    best = 0.2 + 0.8 * np.log(0.8)
    assert float(METRICS["aurc"].compute(y, p)) == pytest.approx(best)
    assert float(METRICS["excess_aurc"].compute(y, p)) == pytest.approx(0.0, abs=1e-12)
    assert float(METRICS["excess_aurc"].compute(1 - y, p)) > 0.1  # everything sure is wrong


def test_confidence_is_compared_within_folds_only():
    folds = np.arange(N) % 2
    parts = [float(METRICS["aurc"].compute(Y2[folds == f], P2[folds == f])) for f in (0, 1)]
    assert float(METRICS["aurc"].compute(Y2, P2, folds)) == pytest.approx(np.mean(parts))


TABLES = {
    "reliability_bins": reliability_bins,
    "brier_decomposition": brier_decomposition,
    "decision_curve": decision_curve,
    "risk_coverage": risk_coverage,
    "class_values": lambda y, p: class_values("recall", y, p),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, p: (y, np.where(p == p[0, 0], np.nan, p)), "finite"),
        (lambda y, p: (y, p * 0.9), "do not sum to 1"),
        (lambda y, p: (y + 1, p), "class indices 0 to 1"),
        (lambda y, p: (y[:-1], p), "expected 240 labels"),
        (lambda y, p: (y[:0], p[:0]), "no prediction"),
    ],
)
def test_curves_and_tables_refuse_what_metrics_refuse(name, change, message):
    with pytest.raises(ResultError, match=message):
        TABLES[name](*change(Y2, P2))


@pytest.mark.parametrize("name", TABLES)
def test_curves_and_tables_of_one_class_or_one_probability(name):
    TABLES[name](np.zeros(5, dtype=int), P2[:5])
    TABLES[name](Y2[:5], np.full((5, 2), 0.5))
