"""What every robustness table is computed from: one scored row, on its people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics import METRICS, Metric
from benchmark.results.rescore import LEAST_PER_CLASS
from benchmark.results.score_cell import (
    EntryView,
    ScoredCell,
    ScoredEntry,
    class_sizes,
    entry_view,
)
from benchmark.stats import Interval
from benchmark.tasks import Task

__all__ = ["Subject", "percentile_interval", "subjects"]

Array = NDArray[Any]
_TAILS: Final = (0.025, 0.975)
_MOST_UNDEFINED: Final = 0.05


@dataclass(frozen=True, slots=True)
class Subject:
    """One row of the board with what its tables need.

    Attributes:
        scored: The cell.
        entry: The row.
        task: The task.
        people: Characteristics of the cell's people in the cell's order, one line each; no column
            where nothing is known of the cohort.
    """

    scored: ScoredCell
    entry: ScoredEntry
    task: Task
    people: pd.DataFrame

    @property
    def metric(self) -> Metric:
        """The task's primary metric."""
        return METRICS[self.task.primary_metric]

    @property
    def rows(self) -> Array:
        """Row numbers of its people in the cell."""
        return self.entry.entry.rows

    @property
    def sign(self) -> float:
        """1 where higher is better, -1 where lower is."""
        return 1.0 if self.metric.higher_is_better else -1.0

    @property
    def head(self) -> dict[str, Any]:
        """The leading columns of its lines."""
        return {**asdict(self.entry.key), "metric": self.metric.name}

    @property
    def y_true(self) -> Array:
        """Label of each of the cell's people."""
        return self.scored.cell.y_true

    def view(self, rows: Array) -> EntryView:
        """Its predictions on some of its people."""
        return entry_view(self.scored.cell, self.entry.entry, rows)

    def weights(self, rows: Array) -> Array:
        """The shared bootstrap weights of some people, shape (n, B)."""
        return np.ascontiguousarray(self.scored.weights[rows])

    def replicates(self, rows: Array) -> Array:
        """The primary metric of some of its people in the shared resamples, shape (B,)."""
        return self.view(rows).resampled(self.metric, self.weights(rows))

    def smallest_class(self, rows: Array) -> int:
        """People of the smallest class among some people."""
        return min(class_sizes(self.y_true[rows], self.task))

    def too_few(self, rows: Array) -> str:
        """Why a cell is suppressed; empty where it is not."""
        smallest = self.smallest_class(rows)
        if smallest >= LEAST_PER_CLASS:
            return ""
        return f"{smallest} people in the smallest class, fewer than {LEAST_PER_CLASS}"


def subjects(scored: ScoredCell, task: Task, people: pd.DataFrame | None) -> Iterator[Subject]:
    """The rows of a cell.

    Args:
        scored: The cell.
        task: Its task.
        people: As ``people_table`` returns, indexed by participant; None where not known.
    """
    known = pd.DataFrame() if people is None else people
    inside = known.reindex(pd.Index(scored.cell.participant_ids.astype(str)))
    for entry in scored.entries:
        yield Subject(scored, entry, task, inside)


def percentile_interval(replicates: Array) -> Interval:
    """Percentile interval; undefined where more than 5 % of the resamples are."""
    values = replicates[np.isfinite(replicates)]
    if not len(values) or len(values) < (1.0 - _MOST_UNDEFINED) * len(replicates):
        return Interval(math.nan, math.nan, "undefined")
    low, high = np.quantile(values, _TAILS)
    return Interval(float(low), float(high), f"percentile bootstrap {len(replicates)}")
