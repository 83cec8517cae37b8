"""One row's predictions on some of its people: any metric, plain, resampled or with interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import Metric
from benchmark.results.cell import Cell, CellEntry
from benchmark.stats import (
    Interval,
    auroc_components,
    bca_interval,
    delong_interval,
    delong_variance,
    jackknife_weights,
    with_seed_variance,
)
from benchmark.tasks import Task

__all__ = ["EntryView", "MetricScore", "class_sizes", "entry_view"]

Array = NDArray[Any]

_MOST_WEIGHTS = 4_000_000  # weights held by one metric call: 16 MiB


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric of one row: mean over replicas, interval, spread between seeds."""

    metric: str
    score: float
    interval: Interval
    seed_sd: float


@dataclass(frozen=True, slots=True)
class EntryView:
    """One row's replicas on some people: (n,), (n,), (R, n, ...), (R, n), (R,)."""

    y_true: Array
    strata: Array
    predictions: Array
    folds: Array
    seeds: Array

    def plain(self, metric: Metric) -> Array:
        """The metric of each replica, shape (R,)."""
        return np.array(
            [
                float(metric.compute(self.y_true, p, f))
                for p, f in zip(self.predictions, self.folds, strict=True)
            ]
        )

    def resampled(self, metric: Metric, weights: Array) -> Array:
        """Mean over replicas under each column of weights (n, B), shape (B,)."""
        parts = [
            self._mean(metric, np.ascontiguousarray(weights[:, part]).T)
            for part in self._parts(weights.shape[1])
        ]
        return np.concatenate(parts)

    def _jackknife(self, metric: Metric) -> Array:
        """Mean over replicas with each person left out, shape (n,)."""
        parts = self._parts(len(self.y_true))
        return np.concatenate(
            [self._mean(metric, jackknife_weights(self.strata, part)) for part in parts]
        )

    def _parts(self, columns: int) -> list[slice]:
        step = max(1, _MOST_WEIGHTS // len(self.y_true))
        return [slice(start, start + step) for start in range(0, columns, step)]

    def _mean(self, metric: Metric, weights: Array) -> Array:
        replicas = zip(self.predictions, self.folds, strict=True)
        values = [metric.compute(self.y_true, p, f, weights) for p, f in replicas]
        mean: Array = np.mean(values, axis=0)
        return mean

    def score(
        self, metric: Metric, bootstrap: Array, replicates: Array | None = None
    ) -> MetricScore:
        """The metric with its interval.

        Args:
            metric: The metric.
            bootstrap: Weights of these people, shape (n, B).
            replicates: What :meth:`resampled` gives for them, where it is known already.
        """
        values = self.plain(metric)
        score = float(values.mean())
        if metric.name == "roc_auc":
            interval = self._delong(score)
        elif metric.no_interval:
            interval = Interval(math.nan, math.nan, metric.no_interval)
        else:
            if replicates is None:
                replicates = self.resampled(metric, bootstrap)
            interval = bca_interval(score, replicates, self._jackknife(metric), self.strata)
        by_seed = [values[self.seeds == s].mean() for s in np.unique(self.seeds)]
        seed_sd = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else math.nan
        widened = with_seed_variance(interval, score, seed_sd, len(by_seed))
        return MetricScore(metric.name, score, widened.within(*metric.bounds), seed_sd)

    def _delong(self, score: float) -> Interval:
        influence = np.mean(
            [
                auroc_components(self.y_true, p, f).influence
                for p, f in zip(self.predictions, self.folds, strict=True)
            ],
            axis=0,
        )
        variance = delong_variance(influence, self.strata)
        smallest = int(np.unique(self.y_true, return_counts=True)[1].min())
        return delong_interval(score, variance, smallest)


def entry_view(cell: Cell, entry: CellEntry, rows: Array) -> EntryView:
    """A row's predictions on some of its people.

    Args:
        cell: The cell.
        entry: One of its entries.
        rows: Row numbers in the cell, ascending, each one of ``entry.rows``.
    """
    inside = np.searchsorted(entry.rows, rows)
    return EntryView(
        cell.y_true[rows],
        cell.strata[rows],
        entry.predictions[:, inside],
        entry.folds[:, inside],
        entry.seeds,
    )


def class_sizes(y_true: Array, task: Task) -> tuple[int, ...]:
    """People by class in label order; their number for a regression."""
    if not task.classes:
        return (len(y_true),)
    return tuple(int((y_true == k).sum()) for k in range(len(task.classes)))
