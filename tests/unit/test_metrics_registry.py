"""A new metric is one registered function."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import benchmark.metrics
import benchmark.stats
from benchmark.errors import ResultError
from benchmark.metrics import METRICS, confusion, register_metric, registry
from benchmark.stats import bootstrap_interval, draw_resamples


@pytest.fixture(autouse=True)
def _as_it_was():
    before = dict(METRICS)
    yield
    for name in set(METRICS) - set(before):
        del registry._registered[name]


def test_a_new_metric_in_ten_lines_with_its_interval():
    @register_metric("youden", "Youden's J", higher_is_better=True, binary_only=True)
    def youden(y_true, y_prob, folds, weights):
        table = confusion(y_true, y_prob, weights)
        right, people = np.einsum("kkb->kb", table), table.sum(axis=1)
        return (right / people).sum(axis=0) - 1.0

    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    p1 = (rng.random(120) + 0.5 * y) / 1.5
    p = np.stack([1 - p1, p1], axis=1)
    weights = draw_resamples(np.arange(120), y, n_resamples=2000)
    metric = METRICS["youden"]
    result = bootstrap_interval(lambda w: metric.compute(y, p, None, w), weights, y)
    parts = [float(METRICS[n].compute(y, p)) for n in ("sensitivity", "specificity")]
    assert result.score == pytest.approx(sum(parts) - 1)
    assert result.interval.low < result.score < result.interval.high
    assert result.interval.method == "BCa bootstrap 2000"


def test_a_name_is_taken_once_and_is_an_identifier():
    with pytest.raises(ResultError, match=r"'roc_auc' is registered already \(AUROC\)"):
        register_metric("roc_auc", "Mine", higher_is_better=True)(lambda *_: np.zeros(1))
    with pytest.raises(ResultError, match="lower-case identifier"):
        register_metric("My metric", "Mine", higher_is_better=True)(lambda *_: np.zeros(1))


def _modules():
    for package in (benchmark.metrics, benchmark.stats):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield found.name


@pytest.mark.parametrize("name", list(_modules()))
def test_examples_in_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
