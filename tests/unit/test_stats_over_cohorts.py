"""What is read over data sets: agreement of rules, win rates, pooling, critical differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from benchmark.errors import ResultError
from benchmark.stats import (
    critical_difference,
    pool_random_effects,
    rank_agreement,
    wilson_interval,
)

RNG = np.random.default_rng(13)


def test_tau_equals_scipy_with_ties_and_flips_are_counted():
    names = "abcdefgh"
    a, b = RNG.integers(1, 6, 8), RNG.integers(1, 6, 8)
    found = rank_agreement(dict(zip(names, a, strict=True)), dict(zip(names, b, strict=True)))
    assert found.tau == pytest.approx(stats.kendalltau(a, b).statistic)
    signs = [(np.sign(a[j] - a[i]), np.sign(b[j] - b[i])) for i in range(8) for j in range(i)]
    both = [s for s in signs if s[0] and s[1]]
    assert found.n_pairs == len(both)
    assert found.flips == pytest.approx(np.mean([x != y for x, y in both]))
    assert len(found.flipped) == round(found.flips * found.n_pairs)


def test_the_same_and_the_reverse_order():
    order = {n: i for i, n in enumerate("abcd")}
    reverse = {n: -i for n, i in order.items()}
    same, other = rank_agreement(order, order), rank_agreement(order, reverse)
    assert (same.tau, same.flips, same.flipped) == (1.0, 0.0, ())
    assert (other.tau, other.flips) == (pytest.approx(-1.0), 1.0)
    assert other.flipped[0] == ("a", "b")
    flat = rank_agreement(order, dict.fromkeys("abcd", 1))
    assert math.isnan(flat.tau)
    assert math.isnan(flat.flips)


def test_rules_over_other_methods_or_without_a_position_are_refused():
    with pytest.raises(ResultError, match="ranks c, d"):
        rank_agreement({"a": 1, "c": 2}, {"a": 1, "d": 2})
    with pytest.raises(ResultError, match="a position under both"):
        rank_agreement({"a": 1, "c": math.nan}, {"a": 1, "c": 2})


@pytest.mark.parametrize(
    ("between", "theirs"), [("paule-mandel", "iterated"), ("dersimonian-laird", "chi2")]
)
@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_pooling_equals_statsmodels(between, theirs, spread):
    rng = np.random.default_rng(3)
    se = rng.uniform(0.01, 0.04, 7)
    y = 0.03 + spread * rng.normal(size=7) + se * rng.normal(size=7)
    found = pool_random_effects(y, se, between=between, at_least_plain=False)
    with np.errstate(invalid="ignore"):  # statsmodels keeps a negative variance, and its root
        expected = combine_effects(y, se**2, method_re=theirs, atol=1e-12)
    if theirs == "iterated" and spread:
        # Where rounding takes its last step past the root, statsmodels answers 0: its own equation
        # is solved by bracketing instead.
        def surplus(tau2):
            w = 1 / (se**2 + tau2)
            return w @ (y - w @ y / w.sum()) ** 2 - 6

        root = brentq(surplus, 0.0, 1.0, xtol=1e-14)
        w = 1 / (se**2 + root)
        expected.tau2, expected.mean_effect_re = root, w @ y / w.sum()
        expected.var_hksj_re = w @ (y - expected.mean_effect_re) ** 2 / 6 / w.sum()
    assert found.tau**2 == pytest.approx(max(0.0, expected.tau2), abs=1e-8)
    if expected.tau2 >= 0:
        assert found.difference == pytest.approx(expected.mean_effect_re, abs=1e-7)
        assert found.standard_error == pytest.approx(math.sqrt(expected.var_hksj_re), rel=1e-5)
        half = stats.t.isf(0.025, 6) * math.sqrt(expected.var_hksj_re)
        assert found.high - found.difference == pytest.approx(half, rel=1e-5)
    assert found.i_squared == pytest.approx(max(0.0, expected.i2))
    assert found.n_cohorts == 7


def test_cohorts_that_agree_by_luck_are_not_rewarded():
    lucky = ([0.030, 0.031, 0.0305], [0.02, 0.02, 0.02])
    plain = pool_random_effects(*lucky, at_least_plain=False)
    kept = pool_random_effects(*lucky)
    assert plain.high - plain.low < 0.005
    assert kept.standard_error == pytest.approx(0.02 / math.sqrt(3))
    assert kept.new_high - kept.new_low > kept.high - kept.low


def test_the_interval_for_a_further_cohort_needs_three():
    assert math.isnan(pool_random_effects([0.1, 0.2], [0.1, 0.1]).new_low)


def test_pooled_intervals_cover_with_five_cohorts():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        se = rng.uniform(0.01, 0.04, 5)
        y = 0.02 + 0.03 * rng.normal(size=5) + se * rng.normal(size=5)
        found = pool_random_effects(y, se)
        covered += found.low <= 0.02 <= found.high
    assert 0.93 <= covered / 1000 <= 0.98


@pytest.mark.parametrize(
    ("y", "se", "message"),
    [
        ([0.1], [0.1], "a single cohort has its own interval"),
        ([0.1, math.nan], [0.1, 0.1], "leave out cohorts"),
        ([0.1, 0.2], [0.1, 0.0], "errors positive"),
    ],
)
def test_pooling_refuses_what_it_cannot_weigh(y, se, message):
    with pytest.raises(ResultError, match=message):
        pool_random_effects(y, se)


# Demsar 2006, table 6: AUC of four decision-tree variants on 14 data sets. The paper ranks
# unrounded figures: on voting it gives the third variant a better rank than the tied fourth.
DEMSAR_NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_nemenyi_of_the_published_example():
    found = critical_difference(DEMSAR, DEMSAR_NAMES, higher_is_better=True, test="nemenyi")
    assert found.names == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")
    np.testing.assert_allclose(found.mean_ranks, [1.964, 2.000, 2.893, 3.143], atol=5e-4)
    assert found.critical == pytest.approx(1.25, abs=0.005)
    assert found.friedman_p < 0.05
    assert found.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"),)
    at_ten_percent = critical_difference(
        DEMSAR, DEMSAR_NAMES, higher_is_better=True, test="nemenyi", alpha=0.1
    )
    assert at_ten_percent.critical == pytest.approx(1.12, abs=0.005)
    assert len(at_ten_percent.groups) == 2  # the paper: the best and the worst are told apart


def test_friedman_equals_scipy_through_the_f_form():
    found = critical_difference(DEMSAR, DEMSAR_NAMES, higher_is_better=True)
    chi2 = stats.friedmanchisquare(*DEMSAR.T).statistic
    f = 13 * chi2 / (14 * 3 - chi2)
    assert found.friedman_p == pytest.approx(stats.f.sf(f, 3, 39))


def test_wilcoxon_holm_equals_scipy_and_statsmodels():
    scores = RNG.random((12, 3)) + np.array([0.0, 0.02, 0.6])
    found = critical_difference(scores, "xyz", higher_is_better=True)
    order = [list("xyz").index(n) for n in found.names]
    pairs = [(0, 1), (0, 2), (1, 2)]
    raw = [stats.wilcoxon(scores[:, order[a]], scores[:, order[b]]).pvalue for a, b in pairs]
    for (a, b), p in zip(pairs, multipletests(raw, method="holm")[1], strict=True):
        assert found.p_values[a, b] == pytest.approx(p)
    assert found.names[0] == "z"
    assert found.groups == (found.names[1:],)
    assert math.isnan(found.critical)
    lower = critical_difference(scores, "xyz", higher_is_better=False)
    assert lower.names[-1] == "z"


def test_equal_methods_share_one_bar():
    scores = np.full((10, 3), 0.7)
    found = critical_difference(scores, "xyz", higher_is_better=True)
    assert found.friedman_p == 1.0
    assert found.groups == (("x", "y", "z"),)


@pytest.mark.parametrize(
    ("scores", "names", "message"),
    [
        (DEMSAR[:9], DEMSAR_NAMES, "from 10 data sets on, got 9; pool the paired differences"),
        (np.where(DEMSAR == 1.0, np.nan, DEMSAR), DEMSAR_NAMES, "4 scores are missing"),
        (DEMSAR, ("a", "a", "b", "c"), "distinct methods"),
        (DEMSAR[:, :1], ("a",), "at least two"),
    ],
)
def test_a_diagram_that_may_not_be_drawn_is_refused(scores, names, message):
    with pytest.raises(ResultError, match=message):
        critical_difference(scores, names, higher_is_better=True)


def test_wilson_equals_statsmodels():
    k, n = np.array([0, 1, 7, 20]), np.array([5, 30, 9, 20])
    low, high = wilson_interval(k, n)
    expected = proportion_confint(k, n, method="wilson")
    np.testing.assert_allclose((low, high), expected, atol=1e-12)
    with pytest.raises(ResultError, match="successes <= trials"):
        wilson_interval(3, 2)
