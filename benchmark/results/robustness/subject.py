"""What every robustness table is computed from: one scored row, on its people."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics import METRICS, Metric
from benchmark.results.cell import Cell, CellEntry
from benchmark.results.ledger import RowKey
from benchmark.results.rescore import LEAST_PER_CLASS
from benchmark.results.view import EntryView, class_sizes, entry_view
from benchmark.stats import Candidate, Interval, SetScore
from benchmark.tasks import Task

__all__ = ["Subject", "percentile_interval"]

Array = NDArray[Any]
_TAILS: Final = (0.025, 0.975)
_MOST_UNDEFINED: Final = 0.05


@dataclass(frozen=True, slots=True)
class Subject:
    """One row of the board with what its tables need.

    Attributes:
        cell: The cell.
        entry: The row's predictions.
        candidate: Its primary metric with replicates, as scoring stored it.
        interval: The interval of the primary metric, as scoring stored it.
        task: The task.
        bootstrap: The cell's shared bootstrap weights, shape (N, B).
        people: Characteristics of the cell's people in the cell's order, one line each; no column
            where nothing is known of the cohort.
    """

    cell: Cell
    entry: CellEntry
    candidate: Candidate
    interval: Interval
    task: Task
    bootstrap: Array
    people: pd.DataFrame

    @property
    def key(self) -> RowKey:
        """The row's key."""
        return self.entry.ledger.key

    @property
    def own(self) -> SetScore:
        """The primary metric on all its people."""
        return self.candidate.own

    @property
    def metric(self) -> Metric:
        """The task's primary metric."""
        return METRICS[self.task.primary_metric]

    @property
    def rows(self) -> Array:
        """Row numbers of its people in the cell."""
        return self.entry.rows

    @property
    def sign(self) -> float:
        """1 where higher is better, -1 where lower is."""
        return 1.0 if self.metric.higher_is_better else -1.0

    @property
    def head(self) -> dict[str, Any]:
        """The leading columns of its lines."""
        return {**asdict(self.key), "metric": self.metric.name}

    @property
    def y_true(self) -> Array:
        """Label of each of the cell's people."""
        return self.cell.y_true

    def view(self, rows: Array) -> EntryView:
        """Its predictions on some of its people."""
        return entry_view(self.cell, self.entry, rows)

    def weights(self, rows: Array) -> Array:
        """The shared bootstrap weights of some people, shape (n, B)."""
        return np.ascontiguousarray(self.bootstrap[rows])

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


def percentile_interval(replicates: Array) -> Interval:
    """Percentile interval; undefined where more than 5 % of the resamples are."""
    values = replicates[np.isfinite(replicates)]
    if not len(values) or len(values) < (1.0 - _MOST_UNDEFINED) * len(replicates):
        return Interval(math.nan, math.nan, "undefined")
    low, high = np.quantile(values, _TAILS)
    return Interval(float(low), float(high), f"percentile bootstrap {len(replicates)}")
