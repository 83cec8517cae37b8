"""Any metric on stored predictions, on all people or on those of a condition: nothing is rerun.

People are resampled as for the board: the same weights over the whole cell, of which those who
meet the condition keep theirs. Without a condition every number is the board's own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS, Metric, get_metric
from benchmark.results.cell import Cell, CellEntry, build_cell
from benchmark.results.ledger import Gap, Ledger, RowKey
from benchmark.results.people import UnknownColumnError, known_columns, select_people
from benchmark.results.planned import PlanFilter, read_runs
from benchmark.results.schema import ROW_KEY
from benchmark.results.view import class_sizes, entry_view
from benchmark.stats import draw_resamples
from benchmark.tasks import TASKS, Task

__all__ = ["LEAST_PER_CLASS", "RESCORED", "Request", "rescore"]

Array = NDArray[Any]

LEAST_PER_CLASS: Final = 10  # fewer people in a class: the cell is suppressed
RESCORED: Final = (
    *ROW_KEY,
    *("metric", "score", "ci_low", "ci_high", "ci_method"),
    *("n", "n_smallest_class", "seeds", "status", "note"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What to compute.

    Attributes:
        metrics: Names of metrics; empty means the primary metric of each task.
        where: Condition on people; empty means everybody.
        cohorts: Which cohorts; None means all, as for the next two.
        tasks: Which tasks.
        methods: Which methods. The people of a cell are those of all methods in any case.
        n_resamples: Bootstrap resamples.
        seed: Seed of the resamples.
    """

    metrics: tuple[str, ...] = ()
    where: str = ""
    cohorts: Collection[str] | None = None
    tasks: Collection[str] | None = None
    methods: Collection[str] | None = None
    n_resamples: int = 2000
    seed: int = 0
    plans: tuple[str, ...] = ("plan.json",)


def rescore(
    runs: Path,
    request: Request,
    people: Mapping[str, pd.DataFrame],
    *,
    extra: Sequence[Ledger] = (),
    methods: Collection[str] | None = None,
    tasks: Mapping[str, Task] = TASKS,
) -> pd.DataFrame:
    """Computes metrics on stored predictions.

    Args:
        runs: ``runs/`` of a workspace.
        request: Which metrics, on whom.
        people: People by cohort, as ``read_people`` gives; needed for a condition only.
        extra: Ledgers that no run made, such as an oracle's.
        methods: Whose plans belong to the board; None means all that are there.
        tasks: Known tasks.

    Returns:
        One row per row of the board and metric, columns ``RESCORED``. ``status`` is "done",
        "suppressed" (fewer than 10 people in a class meet the condition), "undefined" (the metric
        does not fit the task, or has no value on these people), "failed" or "missing"; ``note``
        says why.

    Raises:
        UnknownNameError: No such metric, column, cohort, task or method.
        ResultError: There is no run, the condition cannot be read, no metric fits any task asked
            for, or a condition is given for a cohort whose people are not in the workspace.
    """
    named = [get_metric(name) for name in request.metrics]
    workspace = read_runs(
        runs,
        tasks,
        PlanFilter(methods, None, request.cohorts, request.tasks, request.plans),
    )
    ledgers = [*workspace.ledgers, *(x for x in extra if _asked(x, request))]
    keys = [*(x.key for x in ledgers), *(x.key for x in workspace.gaps)]
    _check_names(runs, request, keys, methods, tasks)
    _check_fit(named, {key.task for key in keys}, tasks)
    chosen = _chosen_people(request.where, {x.key.cohort for x in ledgers}, people)
    rows: list[dict[str, Any]] = []
    gaps = list(workspace.gaps)
    for key in sorted({x.key.cell for x in ledgers}):
        task = tasks[key[1]]
        cell = build_cell([x for x in ledgers if x.key.cell == key], task, key[2])
        gaps += cell.gaps
        scorer = _Rescorer(cell, task, named, chosen.get(key[0]), request)
        rows += scorer.rows()
    for gap in gaps:
        if request.methods is None or gap.key.method in request.methods:
            metrics = named or [METRICS[tasks[gap.key.task].primary_metric]]
            rows += [_row(gap, m.name, status=gap.status, note=gap.error) for m in metrics]
    table = pd.DataFrame(rows, columns=list(RESCORED))
    return table.sort_values([*ROW_KEY, "metric"], kind="stable", ignore_index=True)


def _asked(ledger: Ledger, request: Request) -> bool:
    return PlanFilter(cohorts=request.cohorts, tasks=request.tasks).keeps(ledger.key)


def _check_names(
    runs: Path,
    request: Request,
    found: Sequence[RowKey],
    methods: Collection[str] | None,
    tasks: Mapping[str, Task],
) -> None:
    for task in request.tasks or ():
        if task not in tasks:
            raise UnknownNameError("task", task, tasks, "neurodx list tasks")
    keys = list(found)
    if not keys:
        everything = read_runs(runs, tasks, PlanFilter(methods, plans=request.plans))
        keys = [*(x.key for x in everything.ledgers), *(x.key for x in everything.gaps)]
    _check_known("cohort", request.cohorts, (key.cohort for key in keys))
    _check_known("method", request.methods, (key.method for key in keys))
    if not found:
        raise ResultError(f"{runs}: no row of the current plans answers {request}")


def _check_known(kind: str, asked: Collection[str] | None, known: Iterable[str]) -> None:
    names = sorted(set(known))
    for name in asked or ():
        if name not in names:
            raise UnknownNameError(kind, name, names, f"neurodx list {kind}s")


def _check_fit(named: Sequence[Metric], task_names: Collection[str], tasks: Any) -> None:
    for metric in named:
        if not any(_misfit(metric, tasks[name]) == "" for name in task_names):
            reasons = sorted({f"{name}: {_misfit(metric, tasks[name])}" for name in task_names})
            raise ResultError(f"{metric.name} fits none of these tasks ({'; '.join(reasons)})")


def _misfit(metric: Metric, task: Task) -> str:
    """Why a metric says nothing of a task; empty where it fits."""
    if metric.kind != task.kind:
        return f"a metric of {metric.kind}, the task is a {task.kind}"
    if metric.binary_only and len(task.classes) != 2:
        return f"defined for two classes, the task has {len(task.classes)}"
    return ""


def _chosen_people(
    where: str, cohorts: Collection[str], people: Mapping[str, pd.DataFrame]
) -> dict[str, pd.Index]:
    """Who meets the condition, by cohort; a cohort without its column has nobody."""
    if not where:
        return {}
    absent = sorted(set(cohorts) - set(people))
    if absent:
        raise ResultError(
            f"a condition needs the people of {', '.join(absent)}: data/{absent[0]}/"
            f"participants.parquet is not there; make it with `neurodx prepare {absent[0]}`"
        )
    columns = known_columns(people)
    chosen = {}
    for name in sorted(cohorts):
        try:
            chosen[name] = select_people(people[name], where)
        except UnknownColumnError as error:
            if error.column not in columns:
                raise UnknownColumnError(error.column, columns) from None
            chosen[name] = pd.Index([], dtype="str")  # other cohorts have the column
    return chosen


@dataclass(frozen=True, slots=True)
class _Rescorer:
    cell: Cell
    task: Task
    named: Sequence[Metric]
    chosen: pd.Index | None
    request: Request

    def rows(self) -> list[dict[str, Any]]:
        metrics = self.named or [METRICS[self.task.primary_metric]]
        methods = self.request.methods
        entries = [
            e for e in self.cell.entries if methods is None or e.ledger.key.method in methods
        ]
        weights: Array | None = None
        rows: list[dict[str, Any]] = []
        for entry in entries:
            kept = self._kept(entry)
            refused = self._refused(kept)
            if not refused and weights is None:
                weights = draw_resamples(
                    self.cell.participant_ids,
                    self.cell.strata,
                    n_resamples=self.request.n_resamples,
                    seed=self.request.seed,
                ).T
            for metric in metrics:
                misfit = _misfit(metric, self.task)
                if misfit:
                    rows.append(_row(entry.ledger, metric.name, status="undefined", note=misfit))
                elif refused or weights is None:
                    facts = self._facts(entry, kept)
                    rows.append(_row(entry.ledger, metric.name, note=refused, **facts))
                else:
                    rows.append(self._scored(entry, kept, metric, weights))
        return rows

    def _kept(self, entry: CellEntry) -> Array:
        if self.chosen is None:
            return entry.rows
        ids = self.cell.participant_ids[entry.rows].astype(str)
        kept: Array = entry.rows[np.isin(ids, self.chosen.to_numpy(dtype=str))]
        return kept

    def _refused(self, kept: Array) -> str:
        if self.chosen is None:
            return ""
        if not len(kept):
            return "the condition keeps nobody here"
        smallest = min(class_sizes(self.cell.y_true[kept], self.task))
        if smallest >= LEAST_PER_CLASS:
            return ""
        return f"{smallest} people in the smallest class, fewer than {LEAST_PER_CLASS}"

    def _facts(self, entry: CellEntry, kept: Array) -> dict[str, Any]:
        sizes = class_sizes(self.cell.y_true[kept], self.task)
        seeds = len(np.unique(entry.seeds))
        smallest = min(sizes)
        return {
            "status": "suppressed",
            "n": len(kept),
            "n_smallest_class": smallest,
            "seeds": seeds,
        }

    def _scored(
        self, entry: CellEntry, kept: Array, metric: Metric, weights: Array
    ) -> dict[str, Any]:
        view = entry_view(self.cell, entry, kept)
        found = view.score(metric, np.ascontiguousarray(weights[kept]))
        defined = math.isfinite(found.score)
        facts = self._facts(entry, kept) | {
            "status": "done" if defined else "undefined",
            "note": "" if defined else "the metric has no value on these people",
            "score": found.score,
            "ci_low": found.interval.low,
            "ci_high": found.interval.high,
            "ci_method": found.interval.method,
        }
        return _row(entry.ledger, metric.name, **facts)


def _row(source: Ledger | Gap, metric: str, **facts: Any) -> dict[str, Any]:
    empty = {"score": math.nan, "ci_low": math.nan, "ci_high": math.nan, "ci_method": ""}
    counts = {"n": 0, "n_smallest_class": 0, "seeds": 0, "note": ""}
    return {**asdict(source.key), "metric": metric, **empty, **counts, **facts}
