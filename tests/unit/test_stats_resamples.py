"""Bootstrap weights: shared, deterministic, stratified, of the right variance."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.errors import ResultError
from benchmark.stats import draw_resamples, jackknife_weights, seeded_generator, strata_codes

IDS = np.array([f"sub-{i:03d}" for i in range(40)])
STRATA = np.repeat([0, 1, 2], [10, 29, 1])


def test_weights_keep_each_stratum_total():
    weights = draw_resamples(IDS, STRATA, n_resamples=300, seed=1)
    assert weights.shape == (300, 40)
    assert weights.dtype == np.float32
    for stratum, size in ((0, 10), (1, 29), (2, 1)):
        np.testing.assert_allclose(weights[:, stratum == STRATA].sum(axis=1), size, rtol=1e-5)
    np.testing.assert_array_equal(weights[:, 39], 1.0)  # alone in its stratum


def test_weights_follow_the_person_whatever_the_order():
    weights = draw_resamples(IDS, STRATA, n_resamples=50, seed=3)
    order = np.random.default_rng(0).permutation(40)
    shuffled = draw_resamples(IDS[order], STRATA[order], n_resamples=50, seed=3)
    np.testing.assert_array_equal(shuffled, weights[:, order])


def test_another_seed_or_another_person_gives_another_draw():
    weights = draw_resamples(IDS, STRATA, n_resamples=50, seed=3)
    assert (weights != draw_resamples(IDS, STRATA, n_resamples=50, seed=4)).any()
    renamed = np.where(IDS == "sub-000", "sub-0000", IDS)
    assert (weights != draw_resamples(renamed, STRATA, n_resamples=50, seed=3)).any()


def test_bootstrap_variance_of_a_mean_is_the_unbiased_one():
    values = np.random.default_rng(2).normal(size=5)
    weights = draw_resamples(IDS[:5], np.zeros(5), n_resamples=40_000, seed=0)
    means = weights @ values / 5
    # drawing n of n would give (n - 1) / n of this: 0.8 where people are five
    assert means.var() == pytest.approx(values.var(ddof=1) / 5, rel=0.03)


def test_repeated_ids_are_refused():
    with pytest.raises(ResultError, match="1 distinct"):
        draw_resamples(np.array(["a", "a"]), np.zeros(2))


def test_jackknife_weights_leave_one_out_and_keep_totals():
    weights = jackknife_weights(np.array([0, 0, 0, 1, 1, 2]))
    np.testing.assert_allclose(weights[0], [0, 1.5, 1.5, 1, 1, 1])
    np.testing.assert_allclose(weights[4], [1, 1, 1, 2, 0, 1])
    np.testing.assert_allclose(weights[5], 1.0)
    some = jackknife_weights(np.array([0, 0, 0, 1, 1, 2]), slice(2, 5))
    np.testing.assert_array_equal(some, weights[2:5])


def test_strata_codes_number_distinct_rows():
    codes = strata_codes(np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 1.0, 1.0]))
    assert codes.tolist() == [0, 1, 2, 2]


def test_seeded_generator_depends_on_its_parts_only():
    assert seeded_generator("a", 1).random() == seeded_generator("a", 1).random()
    assert seeded_generator("a", 1).random() != seeded_generator("a", 2).random()
