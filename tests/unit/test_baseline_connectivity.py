"""Functional connectivity, linear: its features are what numpy gives, missing regions are told."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.connectivity_linear.model import MOST_CORRELATED, fisher_z


@pytest.fixture
def series() -> np.ndarray:
    rng = np.random.default_rng(3)
    made = rng.normal(size=(4, 50, 5))
    made[:, :, 1] += made[:, :, 0]
    return made * 7 + 300  # any scale and offset


def test_features_are_fisher_z_of_numpys_correlations(series: np.ndarray) -> None:
    first, second = np.triu_indices(5, k=1)
    expected = [np.arctanh(np.corrcoef(one.T)[first, second]) for one in series]
    np.testing.assert_allclose(fisher_z(series), expected, rtol=1e-9)


def test_regions_that_tell_nothing_are_missing_and_the_others_stay(series: np.ndarray) -> None:
    whole = fisher_z(series)
    series[0, :, 2] = 300.0
    series[1, 7, 4] = np.nan
    found = fisher_z(series)
    pairs = np.stack(np.triu_indices(5, k=1))
    np.testing.assert_array_equal(np.isnan(found[0]), (pairs == 2).any(axis=0))
    np.testing.assert_array_equal(np.isnan(found[1]), (pairs == 4).any(axis=0))
    told = ~np.isnan(found)
    np.testing.assert_array_equal(found[told], whole[told])


def test_two_regions_that_are_the_same_stay_finite(series: np.ndarray) -> None:
    series[:, :, 1] = -series[:, :, 0]
    assert fisher_z(series)[:, 0] == pytest.approx(-np.arctanh(MOST_CORRELATED))
