"""Brain-age errors: uncorrected first, corrected from validation people only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from benchmark.errors import LeakageError, ResultError
from benchmark.metrics import METRICS, brain_age_errors, fit_bias_correction

RNG = np.random.default_rng(17)


def _people(n, prefix, slope=0.6):
    age = RNG.uniform(45, 90, n)
    ids = np.array([f"{prefix}-{i:03d}" for i in range(n)])
    return age, 26 + slope * age + RNG.normal(size=n) * 3, ids


VAL, TEST = _people(80, "val"), _people(200, "test")


def test_the_line_is_least_squares():
    line = fit_bias_correction(*VAL)
    expected = linregress(VAL[0], VAL[1])
    assert line.slope == pytest.approx(expected.slope)
    assert line.intercept == pytest.approx(expected.intercept)
    assert line.fitted_on == frozenset(VAL[2])


def test_corrected_errors_stand_beside_the_uncorrected():
    folds = np.arange(200) % 2
    lines = {0: fit_bias_correction(*VAL), 1: fit_bias_correction(*_people(60, "val1"))}
    errors = brain_age_errors(*TEST, folds, lines)
    age, predicted, _ = TEST
    assert errors.mae == pytest.approx(float(METRICS["mae"].compute(age, predicted)))
    assert errors.age_bias_slope == pytest.approx(
        float(METRICS["age_bias_slope"].compute(age, predicted))
    )
    by_hand = np.empty(200)
    for fold, line in lines.items():
        rows = folds == fold
        by_hand[rows] = (predicted[rows] - line.intercept) / line.slope
    assert errors.mae_corrected == pytest.approx(np.abs(by_hand - age).mean())
    assert abs(errors.age_bias_slope_corrected) < 0.1 < abs(errors.age_bias_slope)
    assert errors.n == 200


def test_the_correction_needs_no_test_age():
    line = fit_bias_correction(*VAL)
    corrected = line.apply(TEST[1], TEST[2])
    np.testing.assert_allclose(corrected, (TEST[1] - line.intercept) / line.slope)


def test_a_correction_fitted_on_test_people_is_refused_by_name():
    own = fit_bias_correction(*TEST)
    with pytest.raises(LeakageError, match=r"200 of 200.*test-000.*validation people only"):
        brain_age_errors(*TEST, np.zeros(200), {0: own})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, p, i: (a, np.full(80, 70.0), i), "not clearly above 0"),
        (lambda a, p, i: (a, 140 - p, i), "not clearly above 0"),
        (lambda a, p, i: (np.full(80, 60.0), p, i), "not clearly above 0"),
        (lambda a, p, i: (a[:5], p[:5], i[:5]), "at least 10 validation people"),
        (lambda a, p, i: (a, p, np.append(i[:-1], i[0])), "several for 1: val-000"),
        (lambda a, p, i: (a, np.where(a > 80, np.nan, p), i), "finite"),
    ],
)
def test_a_line_that_cannot_be_inverted_is_refused(change, message):
    with pytest.raises(ResultError, match=message):
        fit_bias_correction(*change(*VAL))


def test_a_fold_without_its_own_correction_is_refused():
    with pytest.raises(ResultError, match=r"no correction for folds \[1\]"):
        brain_age_errors(*TEST, np.arange(200) % 2, {0: fit_bias_correction(*VAL)})
