"""DeLong and BCa against independent implementations, closed forms and coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.metrics import METRICS
from benchmark.stats import (
    auroc_components,
    bca_interval,
    bootstrap_interval,
    delong_interval,
    delong_test,
    delong_variance,
    draw_resamples,
    jackknife_weights,
    strata_codes,
    with_seed_variance,
)
from benchmark.stats.interval import Interval

RNG = np.random.default_rng(5)
Y = np.repeat([0, 1], [45, 30])
A = np.round(RNG.normal(size=75) + Y, 1)
B = np.round(RNG.normal(size=75) + 0.6 * Y + 0.5 * A, 1)


def _prob(score):
    p = 1 / (1 + np.exp(-score))
    return np.stack([1 - p, p], axis=1)


def _slow_delong(y, *scores):
    """AUROCs and their covariance by the definition, pair by pair."""
    v10, v01 = [], []
    for s in scores:
        psi = (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0])
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    cov = np.cov(v10) / (y == 1).sum() + np.cov(v01) / (y == 0).sum()
    return np.mean(v10, axis=1), np.atleast_2d(cov)


def test_delong_equals_the_definition_with_ties():
    aucs, cov = _slow_delong(Y, A, B)
    a, b = auroc_components(Y, _prob(A)), auroc_components(Y, _prob(B))
    assert (a.auroc, b.auroc) == (pytest.approx(aucs[0]), pytest.approx(aucs[1]))
    assert delong_variance(a.influence, Y) == pytest.approx(cov[0, 0])
    test = delong_test(a, b, Y)
    error = math.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    assert test.standard_error == pytest.approx(error)
    assert test.p_value == pytest.approx(2 * stats.norm.sf(abs(aucs[0] - aucs[1]) / error))


def test_delong_over_folds_weighs_by_pairs():
    folds = np.arange(75) % 3
    components = auroc_components(Y, _prob(A), folds)
    pairs, aucs, variances = [], [], []
    for fold in range(3):
        inside = folds == fold
        auc, cov = _slow_delong(Y[inside], A[inside])
        pairs.append((Y[inside] == 1).sum() * (Y[inside] == 0).sum())
        aucs.append(auc[0])
        variances.append(cov[0, 0])
    share = np.array(pairs) / sum(pairs)
    assert components.auroc == pytest.approx(share @ aucs)
    assert components.auroc == pytest.approx(float(METRICS["roc_auc"].compute(Y, _prob(A), folds)))
    variance = delong_variance(components.influence, strata_codes(folds, Y))
    assert variance == pytest.approx(share**2 @ variances)


def test_delong_error_agrees_with_the_bootstrap_for_three_classes():
    y = np.tile([0, 1, 2], 60)
    p = RNG.dirichlet(np.ones(3), 180) + 0.25 * np.eye(3)[y]
    p /= p.sum(axis=1, keepdims=True)
    folds = np.repeat(np.arange(3), 60)
    strata = strata_codes(folds, y)
    weights = draw_resamples(np.arange(180).astype(str), strata, n_resamples=4000)
    spread = METRICS["roc_auc"].compute(y, p, folds, weights).std()
    components = auroc_components(y, p, folds)
    assert components.auroc == pytest.approx(float(METRICS["roc_auc"].compute(y, p, folds)))
    assert math.sqrt(delong_variance(components.influence, strata)) == pytest.approx(
        spread, rel=0.05
    )


def test_logit_interval_closed_form_and_limits():
    interval = delong_interval(0.8, 0.05**2, 30)
    half = 1.959964 * 0.05 / (0.8 * 0.2)
    logit = math.log(4)
    assert interval.low == pytest.approx(1 / (1 + math.exp(half - logit)))
    assert interval.high == pytest.approx(1 / (1 + math.exp(-half - logit)))
    perfect = delong_interval(1.0, 0.0, 20)
    exact = stats.binomtest(20, 20).proportion_ci(0.95, method="exact")
    assert (perfect.low, perfect.high) == (pytest.approx(exact.low), 1.0)
    assert "limit" in perfect.method
    assert delong_interval(0.5, 0.0, 20).low == 0.5  # a constant prediction: no doubt
    assert delong_interval(math.nan, math.nan, 20).method == "undefined"


def test_bca_equals_scipy():
    sample = RNG.lognormal(size=40)
    n = len(sample)
    replicates = sample[RNG.integers(0, n, (5000, n))].mean(axis=1)
    left_out = jackknife_weights(np.zeros(n)) @ sample / n
    ours = bca_interval(sample.mean(), replicates, left_out, np.zeros(n))
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=0, bootstrap_result=_Given(replicates), method="BCa"
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, rel=2e-3)
    assert ours.high == pytest.approx(theirs.high, rel=2e-3)
    assert ours.method == "BCa bootstrap 5000"


def test_the_stratified_bootstrap_agrees_with_scipys_two_samples():
    """Mean difference of two groups: scipy draws n of n in each, we n - 1, rescaled."""
    rng = np.random.default_rng(12)
    a, b = rng.lognormal(size=60), rng.normal(size=80)
    values, strata = np.concatenate([a, b]), np.repeat([0, 1], [60, 80])

    def difference(w):
        w = np.ones((1, 140)) if w is None else w
        return w[:, :60] @ a / w[:, :60].sum(axis=1) - w[:, 60:] @ b / w[:, 60:].sum(axis=1)

    weights = draw_resamples(np.arange(140), strata, n_resamples=20_000)
    for method, name in (("bca", "BCa"), ("percentile", "percentile")):
        ours = bootstrap_interval(difference, weights, strata, method=method)
        theirs = stats.bootstrap(
            (a, b),
            lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
            n_resamples=20_000,
            method=name,
            rng=np.random.default_rng(1),
        )
        assert ours.score == pytest.approx(values[:60].mean() - values[60:].mean())
        assert ours.replicates.std() == pytest.approx(
            theirs.standard_error * math.sqrt(60 / 59), rel=0.02
        )
        width = theirs.confidence_interval.high - theirs.confidence_interval.low
        for side in ("low", "high"):
            expected = getattr(theirs.confidence_interval, side)
            assert getattr(ours.interval, side) == pytest.approx(expected, abs=0.03 * width)
        assert ours.interval.method.startswith(name)


class _Given:
    """Replicates that scipy takes over instead of drawing its own."""

    def __init__(self, replicates):
        self.bootstrap_distribution = replicates


@pytest.mark.parametrize(
    ("score", "replicates", "jackknife"),
    [
        (2.0, np.linspace(0, 1, 100), np.arange(5.0)),  # all resamples on one side
        (0.5, np.linspace(0, 1, 100), np.ones(5)),  # nobody matters
    ],
)
def test_percentile_is_used_and_said_where_bca_is_undefined(score, replicates, jackknife):
    interval = bca_interval(score, replicates, jackknife, np.zeros(5))
    assert "BCa undefined" in interval.method
    assert interval.low == pytest.approx(np.quantile(replicates, 0.025))
    assert interval.high == pytest.approx(np.quantile(replicates, 0.975))


def test_no_interval_where_the_metric_is_often_undefined():
    replicates = np.where(np.arange(100) < 10, np.nan, 0.5)
    interval = bca_interval(0.5, replicates, np.arange(5.0), np.zeros(5))
    assert interval.method == "undefined"
    assert math.isnan(interval.low)


def test_seed_variance_widens_from_three_seeds_on():
    given = Interval(0.7, 0.9, "x")
    assert with_seed_variance(given, 0.8, 0.05, 2) is given
    wide = with_seed_variance(given, 0.8, 0.05, 4)
    people, seeds = (0.1 / 1.959964) ** 2, 0.05**2 / 4
    df = (people + seeds) ** 2 / (seeds**2 / 3)
    expected = stats.t.ppf(0.975, df) * math.sqrt(people + seeds)
    assert wide.high - 0.8 == pytest.approx(expected)
    assert wide.low == pytest.approx(1.6 - wide.high)
    assert "seed variance" in wide.method


def test_three_seeds_alone_take_students_quantile():
    point = Interval(0.8, 0.8, "x")
    wide = with_seed_variance(point, 0.8, 0.03, 3)
    assert wide.high - 0.8 == pytest.approx(stats.t.ppf(0.975, 2) * 0.03 / math.sqrt(3))


@pytest.mark.parametrize("people_sd", [0.0, 0.5, 2.0])
def test_an_interval_with_few_seeds_covers(people_sd):
    """The mean of three seeds (sd 1 each), known but for an error of the people."""
    rng = np.random.default_rng(1)
    side = 1.959964 * people_sd
    covered = 0
    for values in rng.normal(size=(4000, 3)) + people_sd * rng.normal(size=(4000, 1)):
        mean = values.mean()
        given = Interval(mean - side, mean + side, "x")
        wide = with_seed_variance(given, mean, values.std(ddof=1), 3)
        covered += wide.low <= 0.0 <= wide.high
    assert 0.94 <= covered / 4000 <= 0.975


def test_an_interval_ends_where_its_metric_does():
    given = Interval(-0.1, 1.2, "x")
    assert given.within(0.0, 1.0) == Interval(0.0, 1.0, "x")
    assert given.within(-1.0, math.inf) is given
    assert math.isnan(Interval(math.nan, math.nan, "x").within(0.0, 1.0).low)


def test_delong_interval_covers_at_small_prevalence():
    """Binormal AUROC 0.76, n = 100, prevalence 0.15, where percentile intervals covered 86 %."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [85, 15])
    truth = stats.norm.cdf(1.0 / math.sqrt(2))
    covered = 0
    for _ in range(400):
        parts = auroc_components(y, _prob(rng.normal(size=100) + y))
        interval = delong_interval(parts.auroc, delong_variance(parts.influence, y), 15)
        covered += interval.low <= truth <= interval.high
    assert covered / 400 >= 0.92
