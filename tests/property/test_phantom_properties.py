"""Properties of the phantom's parts that hold for any input."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cohorts.phantom import ROLES, PhantomConfig
from benchmark.cohorts.phantom.deformation import interpolation_matrix
from benchmark.cohorts.phantom.genetics import dosage
from benchmark.cohorts.phantom.people import sample_people
from benchmark.cohorts.phantom.severity_prior import severity_density
from benchmark.cohorts.phantom.timeseries import make_series
from benchmark.imaging.regions import measure_regions


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(ROLES)), st.lists(st.integers(1, 10**6), min_size=2, max_size=5))
def test_a_person_does_not_depend_on_the_batch(role: str, numbers: list[int]) -> None:
    config = PhantomConfig("x", role, 10, 3)
    together = sample_people(config, numbers)
    alone = pd.concat([sample_people(config, [n]) for n in numbers], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.2, 0.2), st.floats(-3, 3), st.integers(5, 30))
def test_interpolation_reproduces_straight_lines(slope: float, level: float, count: int) -> None:
    axis = np.arange(12) * 4.0
    points = np.linspace(4.0, 40.0, count)
    weights = interpolation_matrix(axis, points)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(weights @ (level + slope * axis), level + slope * points, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 0.99))
def test_dosages_are_in_hardy_weinberg_proportions(frequency: float) -> None:
    uniform = (np.arange(20_000) + 0.5) / 20_000
    counts = np.bincount(dosage(uniform, np.array(frequency)), minlength=3) / 20_000
    expected = [(1 - frequency) ** 2, 2 * frequency * (1 - frequency), frequency**2]
    np.testing.assert_allclose(counts, expected, atol=2e-4)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(["ad", "pd"]), st.booleans(), st.booleans())
def test_the_severity_prior_is_a_centred_density(axis: str, education: bool, genes: bool) -> None:
    x = np.arange(-8, 8, 0.01)
    density = severity_density(axis, x, education_seen=education, genetics_seen=genes)
    assert abs(density.sum() * 0.01 - 1) < 1e-4
    assert abs((density * x).sum() * 0.01) < 5e-3


@settings(max_examples=15, deadline=None)
@given(st.floats(-6, 6), st.floats(-6, 6), st.integers(0, 1000))
def test_series_are_finite_for_any_coupling(dmn: float, motor: float, seed: int) -> None:
    series = make_series(np.array([dmn, motor]), np.random.default_rng(seed))
    assert np.isfinite(series).all()


@settings(max_examples=10, deadline=None)
@given(st.floats(0.2, 8.0))
def test_measured_volumes_ignore_the_intensity_scale(factor: float) -> None:
    rng = np.random.default_rng(0)
    volume = np.zeros((16, 20, 16))
    volume[3:13, 3:17, 3:13] = rng.uniform(0.3, 1.1, (10, 14, 10))
    one, other = measure_regions(volume, 10.0), measure_regions(volume * factor, 10.0)
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-4)
