"""What must hold for every metric whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics import METRICS

NAMES = sorted(METRICS)
FIXED_ON_THE_SAMPLE = {"ece", "mae_predict_mean"}  # their bins and mean are those of the data


def _data(kind: str, seed: int, n: int, n_classes: int):
    rng = np.random.default_rng(seed)
    folds = rng.integers(0, 3, n)
    if kind == "regression":
        y = rng.integers(50, 90, n).astype(float)
        return y, np.round(y + rng.normal(size=n) * 6), folds
    y = rng.integers(0, n_classes, n)
    p = np.round(rng.dirichlet(np.ones(n_classes), n), 1) + 0.05  # coarse: many ties
    p[np.arange(n), y] += 0.2
    return y, p / p.sum(axis=1, keepdims=True), folds


def _classes(metric, k):
    return 2 if metric.binary_only else max(k, metric.min_classes)


def _close(a, b):
    np.testing.assert_allclose(a, b, rtol=3e-4, atol=3e-5, equal_nan=True)


cases = st.tuples(st.integers(0, 10_000), st.integers(8, 40), st.sampled_from([2, 3]))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(case=cases)
def test_order_of_people_does_not_matter(name, case):
    metric = METRICS[name]
    seed, n, k = case
    y, p, f = _data(metric.kind, seed, n, _classes(metric, k))
    order = np.random.default_rng(seed + 1).permutation(n)
    _close(metric.compute(y[order], p[order], f[order]), metric.compute(y, p, f))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(case=cases)
def test_unit_weights_change_nothing(name, case):
    metric = METRICS[name]
    seed, n, k = case
    y, p, f = _data(metric.kind, seed, n, _classes(metric, k))
    weighted = metric.compute(y, p, f, np.ones((2, n), dtype=np.uint8))
    assert weighted.shape == (2,)
    _close(weighted, np.repeat(metric.compute(y, p, f), 2))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in FIXED_ON_THE_SAMPLE])
@settings(max_examples=8, deadline=None)
@given(case=cases)
def test_integer_weights_equal_repetition(name, case):
    metric = METRICS[name]
    seed, n, k = case
    y, p, f = _data(metric.kind, seed, n, _classes(metric, k))
    w = np.random.default_rng(seed + 2).integers(0, 4, n)
    w[0] += 1
    kept = np.isin(f, f[w > 0])
    repeated = metric.compute(np.repeat(y, w), np.repeat(p, w, axis=0), np.repeat(f, w))
    _close(metric.compute(y[kept], p[kept], f[kept], w[kept][None])[0], repeated)


@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_auroc_is_symmetric_and_blind_to_monotone_change(case):
    seed, n, _ = case
    y, p, f = _data("classification", seed, n, 2)
    auc = METRICS["roc_auc"]
    here = auc.compute(y, p, f)
    _close(auc.compute(1 - y, p[:, ::-1], f), here)  # swapping the classes
    squared = np.stack([1 - p[:, 1] ** 2, p[:, 1] ** 2], axis=1)
    _close(auc.compute(y, squared, f), here)
    _close(auc.compute(1 - y, p, f), 1 - here)
