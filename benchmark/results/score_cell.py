"""Scores the rows of one cell: every metric with its interval, and the replicates that rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import METRICS
from benchmark.results.cell import Cell, CellEntry
from benchmark.results.ledger import RowKey
from benchmark.results.view import MetricScore, class_sizes, entry_view
from benchmark.stats import (
    Candidate,
    SetScore,
    draw_resamples,
)
from benchmark.tasks import Task

__all__ = [
    "SMALL_CLASS",
    "MetricScore",
    "ScoredCell",
    "ScoredEntry",
    "distinct_sets",
    "score_cell",
]

Array = NDArray[Any]

SMALL_CLASS = 30  # fewer people in a class carry the small-sample warning


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
    """All scored rows of a cell."""

    cell: Cell
    entries: tuple[ScoredEntry, ...]


def score_cell(
    cell: Cell,
    task: Task,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    sets: Mapping[str, Array] | None = None,
    skip: str = "",
) -> ScoredCell:
    """Scores every row of a cell with shared resamples.

    Args:
        cell: Aligned ledgers.
        task: The task, which names the metrics.
        n_resamples: Bootstrap resamples.
        seed: Seed of the resamples.
        sets: Distinct sets of people, by name, where more rows than these belong to the cell.
        skip: A candidate that is not to be scored.
    """
    entries = [e for e in cell.entries if e.ledger.key.candidate != skip]
    if not entries:
        return ScoredCell(cell, ())
    weights = draw_resamples(
        cell.participant_ids, cell.strata, n_resamples=n_resamples, seed=seed
    ).T
    scorer = _CellScorer(cell, task, weights, dict(sets or distinct_sets(cell.entries)))
    return ScoredCell(cell, tuple(scorer.score(entry) for entry in entries))


def distinct_sets(entries: Sequence[CellEntry]) -> dict[str, Array]:
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
