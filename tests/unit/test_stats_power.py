"""Sample sizes against a published table and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.errors import ResultError
from benchmark.stats import (
    auroc_components,
    auroc_correlation,
    auroc_difference_power,
    delong_test,
    more_to_separate,
    people_for_auroc_difference,
)


@pytest.mark.parametrize(
    ("auc_a", "auc_b", "power", "per_class"),
    [
        # Hanley and McNeil 1982, table III: one-sided 5 %, people per class
        (0.70, 0.75, 0.80, 652),
        (0.70, 0.75, 0.90, 897),
        (0.70, 0.75, 0.95, 1131),
        (0.70, 0.80, 0.80, 158),
    ],
)
def test_sample_size_of_the_published_table(auc_a, auc_b, power, per_class):
    found = people_for_auroc_difference(auc_a, auc_b, alpha=0.10, power=power)
    assert found / 2 == pytest.approx(per_class, abs=3)  # the table rounds its normal quantiles


def test_the_size_found_is_the_smallest_with_that_power():
    n = people_for_auroc_difference(0.75, 0.85, prevalence=0.3, correlation=0.4)

    def power(people):
        positive = round(0.3 * people)
        return auroc_difference_power(0.75, 0.85, positive, people - positive, correlation=0.4)

    assert power(n) >= 0.8 > power(n - 4)


def test_correlated_estimates_need_fewer_people():
    sizes = [people_for_auroc_difference(0.8, 0.85, correlation=r) for r in (0.0, 0.4, 0.8)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_power_agrees_with_a_simulation_of_delongs_test():
    """Two binormal markers on the same 2 x 120 people; correlation read from the data."""
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], 120)
    found, correlations, aurocs = 0, [], []
    n_sets = 300
    for _ in range(n_sets):
        shared = rng.normal(size=240)
        parts = []
        for effect in (0.9, 1.3):
            z = 0.7 * shared + math.sqrt(0.51) * rng.normal(size=240) + effect * y
            p = 1 / (1 + np.exp(-z))
            parts.append(auroc_components(y, np.stack([1 - p, p], 1)))
        found += delong_test(*parts, y).p_value < 0.05
        correlations.append(auroc_correlation(*parts, y))
        aurocs.append([x.auroc for x in parts])
    expected = auroc_difference_power(
        *np.mean(aurocs, axis=0), 120, 120, correlation=float(np.mean(correlations))
    )
    assert found / n_sets == pytest.approx(expected, abs=0.08)


def test_correlation_of_a_method_with_itself_and_with_a_certain_one():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    p = rng.random(60)
    one = auroc_components(y, np.stack([1 - p, p], 1))
    perfect = auroc_components(y, np.eye(2)[y])
    assert auroc_correlation(one, one, y) == pytest.approx(1.0)
    assert math.isnan(auroc_correlation(one, perfect, y))


def test_more_people_are_needed_to_be_sure_of_a_separation():
    assert more_to_separate(1.0, 2.0, 100) == 300  # an even chance
    assert more_to_separate(1.0, 2.0, 100, power=0.8) == math.ceil(100 * ((2 + 0.8416212) ** 2 - 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: people_for_auroc_difference(0.8, 0.8), "two different AUROCs"),
        (lambda: people_for_auroc_difference(0.8, 0.9, prevalence=30), "prevalence and power"),
        (lambda: people_for_auroc_difference(80, 90), "between 0 and 1"),
        (lambda: people_for_auroc_difference(0.8, 0.9, correlation=1.0), "correlation in"),
        (lambda: people_for_auroc_difference(0.8, 0.80001), "not worth a study"),
        (lambda: auroc_difference_power(0.8, 0.9, 0, 10), "people of both classes"),
    ],
)
def test_impossible_designs_are_refused(call, message):
    with pytest.raises(ResultError, match=message):
        call()
