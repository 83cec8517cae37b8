"""Tests beside the one that ranks: permutation, corrected t, Holm, Benjamini-Hochberg."""

from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.stats import (
    benjamini_hochberg,
    corrected_resampled_t,
    holm,
    paired_permutation_test,
    sign_flip_test,
)

RNG = np.random.default_rng(6)


@settings(max_examples=25, deadline=None)
@given(
    p=st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), min_size=1, max_size=12)
)
@pytest.mark.parametrize(("ours", "theirs"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjusted_p_values_equal_statsmodels(ours, theirs, p):
    with patch("gc.collect"):  # statsmodels collects garbage at each call, in all of this process
        expected = multipletests(p, method=theirs)[1]
    np.testing.assert_allclose(ours(np.array(p)), expected, atol=1e-12)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_a_test_that_could_not_be_made_is_not_counted(adjust):
    with_gap = adjust(np.array([0.01, np.nan, 0.03]))
    assert np.isnan(with_gap[1])
    np.testing.assert_allclose(with_gap[[0, 2]], adjust(np.array([0.01, 0.03])))
    with pytest.raises(ResultError, match=r"in \[0, 1\].*1 outside"):
        adjust(np.array([0.5, 1.2]))


def test_the_corrected_t_without_overlap_is_the_plain_paired_t():
    d = RNG.normal(size=25) * 0.03 + 0.01
    test = corrected_resampled_t(d, 1e-15)
    plain = stats.ttest_1samp(d, 0.0)
    assert test.t == pytest.approx(plain.statistic)
    assert test.p_value == pytest.approx(plain.pvalue)
    bounds = plain.confidence_interval()
    assert (test.low, test.high) == (pytest.approx(bounds.low), pytest.approx(bounds.high))


def test_the_corrected_t_of_repeated_folds_by_its_formula():
    d = RNG.normal(size=25) * 0.03 + 0.01
    test = corrected_resampled_t(d, 0.25)  # five folds: 20 % tested, 80 % trained on
    t = d.mean() / math.sqrt((1 / 25 + 0.25) * d.var(ddof=1))
    assert test.t == pytest.approx(t)
    assert test.p_value == pytest.approx(2 * stats.t.sf(abs(t), 24))
    assert test.standard_error > 2.6 * d.std(ddof=1) / 5  # sqrt(1 + 25 / 4) times the naive one


def test_the_corrected_t_keeps_its_level_where_the_plain_one_does_not():
    """5 x 5 folds of 100 people, two learners that are equally good: each fits noise of its own."""
    rng = np.random.default_rng(4)
    naive = corrected = 0
    n_sets = 300
    for _ in range(n_sets):
        x, y = rng.normal(size=(100, 2)), rng.normal(size=100)
        d = []
        for _repeat in range(5):
            folds = rng.permutation(100) % 5
            for fold in range(5):
                test, train = folds == fold, folds != fold
                loss = []
                for j in (0, 1):
                    slope = x[train, j] @ y[train] / (x[train, j] @ x[train, j])
                    loss.append(((y[test] - slope * x[test, j]) ** 2).mean())
                d.append(loss[0] - loss[1])
        naive += stats.ttest_1samp(d, 0.0).pvalue < 0.05
        corrected += corrected_resampled_t(np.array(d), 0.25).p_value < 0.05
    assert corrected / n_sets <= 0.05
    assert naive / n_sets > 0.1


@pytest.mark.parametrize(
    ("d", "share", "message"),
    [
        ([0.1], 0.25, "two folds or more"),
        ([0.1, np.nan], 0.25, "1 missing; score every fold"),
        ([0.1, 0.2], 0.0, "people tested / people trained on"),
    ],
)
def test_a_corrected_t_that_cannot_be_made_is_refused(d, share, message):
    with pytest.raises(ResultError, match=message):
        corrected_resampled_t(np.array(d), share)


def test_folds_that_all_agree_on_a_difference_have_no_p():
    test = corrected_resampled_t(np.array([0.5, 0.5, 0.5]), 0.25)
    assert math.isnan(test.p_value)
    assert test.t == math.inf


def test_the_exact_sign_flip_test_equals_scipy():
    d = RNG.normal(size=10) + 0.4
    ours = sign_flip_test(d)
    theirs = stats.permutation_test(
        (d, np.zeros(10)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert ours.exact
    assert ours.n_permutations == 1024
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_the_drawn_test_nears_the_exact_one_and_is_never_zero():
    d = RNG.normal(size=14) + 0.5
    exact = sign_flip_test(d).p_value
    drawn = sign_flip_test(np.append(d, 0.0), n_permutations=20_000)  # too many to go through
    assert not drawn.exact
    assert drawn.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))
    assert sign_flip_test(np.ones(200), n_permutations=99).p_value == 0.01
    assert sign_flip_test(d[:5]).p_value == sign_flip_test(-d[:5]).p_value


def test_the_permutation_test_of_an_auroc_equals_brute_force():
    y = np.repeat([0, 1], 4)
    a, b = (stats.rankdata(RNG.normal(size=8) + y) for _ in range(2))

    def auroc(scores):
        p = np.clip(scores / 9, 0, 1)
        return METRICS["roc_auc"].compute(y, np.stack([1 - p, p], 1))

    def difference(swaps):
        return np.array([auroc(np.where(s, b, a)) - auroc(np.where(s, a, b)) for s in swaps])

    def by_pairs(scores):
        gap = scores[y == 1][:, None] - scores[y == 0]
        return (0.5 + 0.5 * np.sign(gap)).mean()

    ways = [np.array([code >> i & 1 for i in range(8)], dtype=bool) for code in range(256)]
    every = [by_pairs(np.where(s, b, a)) - by_pairs(np.where(s, a, b)) for s in ways]
    ours = paired_permutation_test(difference, 8)
    assert ours.difference == pytest.approx(every[0])
    assert ours.p_value == (np.abs(every) >= abs(every[0]) - 1e-12).mean()


def test_the_permutation_test_keeps_its_level():
    rng = np.random.default_rng(9)
    p = [
        sign_flip_test(rng.normal(size=30), n_permutations=199, seed=i).p_value for i in range(400)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_a_permutation_test_without_people_or_value_is_refused():
    with pytest.raises(ResultError, match="one finite difference per person"):
        sign_flip_test(np.array([1.0, np.nan]))
    with pytest.raises(ResultError, match="got 0 and 9999"):
        paired_permutation_test(lambda s: s.sum(axis=1), 0)
    with pytest.raises(ResultError, match="not defined on these people"):
        paired_permutation_test(lambda s: np.full(len(s), np.nan), 5)
