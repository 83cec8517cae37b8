"""What holds of robustness figures whatever the numbers are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.results.robustness.age_matching import age_matched
from benchmark.results.robustness.duplicates import likeness
from benchmark.results.robustness.site_trace import guessed_balanced_accuracy
from benchmark.results.robustness.subgroups import group_gap

FEW = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@FEW
@given(seeds, st.integers(2, 6))
def test_the_gap_does_not_depend_on_the_order_of_groups(seed, n_groups):
    rng = np.random.default_rng(seed)
    scores = rng.random(n_groups)
    replicates = scores[:, None] + 0.1 * rng.normal(size=(n_groups, 100))
    order = rng.permutation(n_groups)
    ours = group_gap(scores, replicates, sign=1.0)
    other = group_gap(scores[order], replicates[order], sign=1.0)
    for name in ("gap", "gap_low", "gap_high"):
        assert other[name] == pytest.approx(ours[name])
    assert order[other["worst"]] == ours["worst"]
    assert ours["gap_low"] <= ours["gap"] <= ours["gap_high"]


@FEW
@given(seeds)
def test_a_loss_is_a_score_upside_down(seed):
    rng = np.random.default_rng(seed)
    scores, replicates = rng.random(4), rng.random((4, 60))
    up = group_gap(scores, replicates, sign=1.0)
    down = group_gap(-scores, -replicates, sign=-1.0)
    assert up == down


@FEW
@given(seeds)
def test_a_floor_never_narrows_the_gap_or_separates(seed):
    rng = np.random.default_rng(seed)
    scores = rng.random(3)
    replicates = scores[:, None] + 0.05 * rng.normal(size=(3, 100))
    free = group_gap(scores, replicates, sign=1.0)
    held = group_gap(scores, replicates, sign=1.0, floors=np.full(3, 0.2))
    assert held["gap"] == free["gap"]
    assert not held["separated"] or free["separated"]
    assert held["gap_high"] - held["gap_low"] >= 2 * 1.95 * 0.2


@FEW
@given(seeds, st.floats(-30, 30))
def test_matching_sees_differences_of_age_only(seed, shift):
    rng = np.random.default_rng(seed)
    ages, classes = rng.integers(50, 90, 30).astype(float), rng.integers(0, 2, 30)
    if len(set(classes)) < 2:
        return
    shift = float(np.round(shift))
    moved = age_matched(ages + shift, classes)
    assert len(moved) == len(age_matched(ages, classes))


@FEW
@given(seeds, st.floats(0.1, 50), st.floats(-5, 5))
def test_guessing_the_site_does_not_depend_on_the_scale_of_outputs(seed, factor, shift):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(60, 2))
    sites, folds = np.arange(60)[None] % 3, np.arange(60) // 3 % 5
    ours = guessed_balanced_accuracy(features, sites, folds)
    other = guessed_balanced_accuracy(features * factor + shift, sites, folds)
    np.testing.assert_allclose(other, ours, atol=1e-9)
    assert 0.0 <= ours[0] <= 1.0


@FEW
@given(seeds)
def test_likeness_is_symmetric(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 20, 3))
    assert likeness(a, b) == pytest.approx(likeness(b, a))
    assert likeness(a, a) == (pytest.approx(1.0), 0.0)
