"""Scores the rows of one cell: every metric with its interval, and the replicates that rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import METRICS, Metric
from benchmark.results.cell import Cell, CellEntry
from benchmark.results.ledger import RowKey
from benchmark.stats import (
    Candidate,
    Interval,
    SetScore,
    auroc_components,
    bca_interval,
    delong_interval,
    delong_variance,
    draw_resamples,
    jackknife_weights,
    with_seed_variance,
)
from benchmark.tasks import Task

__all__ = [
    "SMALL_CLASS",
    "EntryView",
    "MetricScore",
    "ScoredCell",
    "ScoredEntry",
    "class_sizes",
    "entry_view",
    "score_cell",
]

Array = NDArray[Any]

SMALL_CLASS = 30  # fewer people in a class carry the small-sample warning
_MOST_WEIGHTS = 4_000_000  # weights held by one metric call: 16 MiB


@dataclass(frozen=True, slots=True)
class MetricScore:
    """One metric of one row: mean over replicas, interval, spread between seeds."""

    metric: str
    score: float
    interval: Interval
    seed_sd: float


@dataclass(frozen=True, slots=True)
class ScoredEntry:
    """A scored row.

    Attributes:
        entry: Its predictions.
        metrics: Every metric of the task.
        candidate: What ranking needs.
        class_sizes: People by class, or their number for a regression.
        seeds: Number of seeds.
    """

    entry: CellEntry
    metrics: tuple[MetricScore, ...]
    candidate: Candidate
    class_sizes: tuple[int, ...]
    seeds: int

    @property
    def key(self) -> RowKey:
        """The row's key."""
        return self.entry.ledger.key


@dataclass(frozen=True, slots=True)
class ScoredCell:
    """All scored rows of a cell, and the bootstrap weights that they share, shape (N, B)."""

    cell: Cell
    entries: tuple[ScoredEntry, ...]
    weights: Array


def score_cell(cell: Cell, task: Task, *, n_resamples: int = 2000, seed: int = 0) -> ScoredCell:
    """Scores every row of a cell with shared resamples.

    Args:
        cell: Aligned ledgers.
        task: The task, which names the metrics.
        n_resamples: Bootstrap resamples.
        seed: Seed of the resamples.
    """
    if not cell.entries:
        return ScoredCell(cell, (), np.empty((0, n_resamples), dtype=np.float32))
    weights = draw_resamples(
        cell.participant_ids, cell.strata, n_resamples=n_resamples, seed=seed
    ).T
    sets = _distinct_sets(cell.entries)
    scorer = _CellScorer(cell, task, weights, sets)
    return ScoredCell(cell, tuple(scorer.score(entry) for entry in cell.entries), weights)


def _distinct_sets(entries: Sequence[CellEntry]) -> dict[str, Array]:
    """The distinct sets of people, named s0, s1, ... by falling size."""
    distinct = {entry.rows.tobytes(): entry.rows for entry in entries}
    ordered = sorted(distinct.values(), key=lambda rows: (-len(rows), rows.tobytes()))
    return {f"s{i}": rows for i, rows in enumerate(ordered)}


@dataclass(frozen=True, slots=True)
class _CellScorer:
    cell: Cell
    task: Task
    weights: Array  # (N, B), a row per person of the cell
    sets: dict[str, Array]

    def score(self, entry: CellEntry) -> ScoredEntry:
        view = entry_view(self.cell, entry, entry.rows)
        bootstrap = np.ascontiguousarray(self.weights[entry.rows])
        metrics = tuple(view.score(METRICS[name], bootstrap) for name in self.task.metrics)
        seed_sd = next(m.seed_sd for m in metrics if m.metric == self.task.primary_metric)
        sizes = class_sizes(view.y_true, self.task)
        seeds = len(np.unique(entry.seeds))
        return ScoredEntry(entry, metrics, self._candidate(entry, seeds, seed_sd), sizes, seeds)

    def _candidate(self, entry: CellEntry, seeds: int, seed_sd: float) -> Candidate:
        own_set = next(n for n, rows in self.sets.items() if np.array_equal(rows, entry.rows))
        done: dict[bytes, SetScore] = {}
        scores: dict[str, SetScore] = {}
        for name, rows in self.sets.items():
            common = np.intersect1d(entry.rows, rows, assume_unique=True)
            signature = common.tobytes()
            if signature not in done:
                done[signature] = self._set_score(entry, common)
            scores[name] = done[signature]
        known = seed_sd if math.isfinite(seed_sd) else 0.0
        return Candidate(entry.ledger.key.candidate, own_set, scores, seeds, known)

    def _set_score(self, entry: CellEntry, rows: Array) -> SetScore:
        if not len(rows):
            return SetScore(math.nan, np.full(self.weights.shape[1], np.nan), 0, 0)
        view = entry_view(self.cell, entry, rows)
        metric = METRICS[self.task.primary_metric]
        replicates = view.resampled(metric, np.ascontiguousarray(self.weights[rows]))
        smallest = min(class_sizes(view.y_true, self.task))
        return SetScore(float(view.plain(metric).mean()), replicates, len(rows), smallest)


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

    def score(self, metric: Metric, bootstrap: Array) -> MetricScore:
        """The metric with its interval.

        Args:
            metric: The metric.
            bootstrap: Weights of these people, shape (n, B).
        """
        values = self.plain(metric)
        score = float(values.mean())
        if metric.name == "roc_auc":
            interval = self._delong(score)
        elif metric.no_interval:
            interval = Interval(math.nan, math.nan, metric.no_interval)
        else:
            replicates = self.resampled(metric, bootstrap)
            interval = bca_interval(score, replicates, self._jackknife(metric), self.strata)
        by_seed = [values[self.seeds == s].mean() for s in np.unique(self.seeds)]
        seed_sd = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else math.nan
        widened = with_seed_variance(interval, score, seed_sd, len(by_seed))
        return MetricScore(metric.name, score, widened, seed_sd)

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
