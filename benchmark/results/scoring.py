"""From runs to scores: every metric of every row with its interval."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS
from benchmark.results.cell import CellEntry, anonymous_index, build_cell
from benchmark.results.digests import file_digest, ledger_digest, settings_digest
from benchmark.results.folders import cell_file, replaced_folder, write_json, write_table
from benchmark.results.ledger import Gap, Ledger, RowFacts, RowKey, first_line, prediction_columns
from benchmark.results.planned import EVERYTHING, PlanFilter, Workspace, read_runs
from benchmark.results.replicates import replicate_rows
from benchmark.results.reuse import (
    CellMemory,
    Kept,
    Memory,
    remember,
    rows_of,
)
from benchmark.results.schema import LEADERBOARD_DTYPES, ROW_KEY, typed
from benchmark.results.score_cell import (
    SMALL_CLASS,
    ScoredCell,
    ScoredEntry,
    distinct_sets,
    score_cell,
)
from benchmark.tasks import TASKS, Task

__all__ = ["score_workspace"]


def score_workspace(
    runs: Path | Workspace,
    out: Path,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    extra: Sequence[Ledger] = (),
    only: PlanFilter = EVERYTHING,
    tasks: Mapping[str, Task] = TASKS,
) -> pd.DataFrame:
    """Scores all runs of the current plans and writes ``out/`` whole.

    Args:
        runs: ``runs/`` of a workspace, one folder per method with its ``plan.json``; or what
            ``read_runs`` read there, which ``only`` then does not narrow.
        out: ``scores/``, replaced when everything is written.
        n_resamples: Bootstrap resamples, shared within each cohort, task and protocol.
        seed: Seed of the resamples.
        extra: Ledgers that no run made, such as an oracle's.
        only: Which methods and protocols of the plans.
        tasks: Known tasks.

    Returns:
        ``scores.parquet``: one row per cohort, task, track, protocol, method and metric. Beside it:
        ``entries.parquet`` (one row per row of the board, gaps included), ``runs.parquet``,
        ``replicates/`` and ``predictions/`` (one file per cell) and ``scores.json``.
        Rows that have not changed since ``out/`` was written are taken from it
        (``benchmark.results.reuse``); ``reuse.json`` says what they rest on.

    Raises:
        ResultError: There is no plan or no run, or a plan cannot be read. A faulty run is a gap.
        UnknownNameError: A plan names an unknown task.
    """
    workspace = runs if isinstance(runs, Workspace) else read_runs(runs, tasks, only, scores=out)
    ledgers = [*workspace.ledgers, *extra]
    if not ledgers and not workspace.gaps:
        raise ResultError(
            f"{workspace.folder}: the plans name no run that passes {only}; make runs with "
            "`neurodx run`"
        )
    _check_keys([*(x.key for x in ledgers), *(g.key for g in workspace.gaps)], tasks)
    settings = settings_digest(n_resamples=n_resamples, seed=seed)
    before = _Before(out, Memory.read(out, settings))
    with replaced_folder(out) as fresh:
        memory = Memory(settings)
        scored = [pd.DataFrame([], columns=_SCORE_COLUMNS)]
        entries = [_typed_entries(_gap_row(gap, tasks) for gap in workspace.gaps)]
        for cell in sorted({x.key.cell for x in ledgers}):
            inside = [x for x in ledgers if x.key.cell == cell]
            parts = _CellParts(fresh, cell, tasks[cell[1]])
            memory.cells[cell_file(*cell)] = parts.fill(inside, before, n_resamples, seed)
            scored += parts.scores
            entries += parts.entries
        table = _joined(scored)
        write_table(table, fresh / "scores.parquet", *ROW_KEY, "metric")
        write_table(_joined(entries), fresh / "entries.parquet", *ROW_KEY)
        write_table(workspace.runs, fresh / "runs.parquet", *_present(workspace.runs))
        write_json({"n_resamples": n_resamples, "seed": seed}, fresh / "scores.json")
        memory.write(fresh, ("scores.parquet", "entries.parquet"))
    workspace.known.write(workspace.methods, workspace.ledgers)
    return table


_ENTRY_DTYPES = {
    name: LEADERBOARD_DTYPES[name]
    for name in (
        *ROW_KEY,
        *("metric", "n", "seeds", "folds", "provenance", "tuned", "fit_seconds", "params"),
        *(
            "title",
            "status",
            "error",
            "small_sample",
            "n_by_class",
            "test_evaluations",
            "cpu_seconds",
        ),
        *("peak_memory_mib", "higher_is_better"),
    )
} | {"kind": "str", "profile": "str"}
_SCORE_COLUMNS = [
    *ROW_KEY,
    "metric",
    "title",
    "score",
    "ci_low",
    "ci_high",
    "ci_method",
    "n",
    "seed_sd",
    "primary",
    "descriptive",
    "higher_is_better",
]


def _present(runs: pd.DataFrame) -> list[str]:
    return [c for c in ("method", "cohort", "protocol", "seed", "fold", "run_id") if c in runs]


def _check_keys(keys: Iterable[RowKey], tasks: Mapping[str, Task]) -> None:
    seen: set[RowKey] = set()
    for key in keys:
        if key.task not in tasks:
            raise UnknownNameError("task", key.task, tasks, "neurodx list tasks")
        if key in seen:
            raise ResultError(f"two ledgers for one row of the board: {key}")
        seen.add(key)


@dataclass(slots=True)
class _Before:
    """The folder of scores as it was."""

    folder: Path
    memory: Memory
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def rows(self, table: str, cell: tuple[str, str, str], names: frozenset[str]) -> pd.DataFrame:
        """Rows of ``scores`` or ``entries`` that belong to some candidates of a cell."""
        if table not in self.tables:
            self.tables[table] = pd.read_parquet(self.folder / f"{table}.parquet")
        whole = self.tables[table]
        here = (whole["cohort"] == cell[0]) & (whole["task"] == cell[1])
        return rows_of(whole[here & (whole["protocol"] == cell[2])], names)


@dataclass(slots=True)
class _CellParts:
    """One cell's tables: rows that are kept from before, and rows that are scored."""

    folder: Path
    key: tuple[str, str, str]
    task: Task
    scores: list[pd.DataFrame] = field(default_factory=list)
    entries: list[pd.DataFrame] = field(default_factory=list)

    def fill(
        self, ledgers: Sequence[Ledger], before: _Before, n_resamples: int, seed: int
    ) -> CellMemory:
        """Scores what has changed and writes the cell's files."""
        name, protocol = cell_file(*self.key), self.key[2]
        digests = {x.key.candidate: ledger_digest(x) for x in ledgers}
        kept = before.memory.kept(name, ledgers, digests, self.task, before.folder)
        cell = build_cell(kept.ledgers if kept else ledgers, self.task, protocol)
        if kept and not kept.holds(cell):
            kept, cell = None, build_cell(ledgers, self.task, protocol)
        sets = kept.sets(len(cell.participant_ids)) if kept else distinct_sets(cell.entries)
        scored = score_cell(
            cell,
            self.task,
            n_resamples=n_resamples,
            seed=seed,
            sets=sets,
            skip=kept.anchor if kept else "",
        )
        self._take(scored, kept, before)
        rows = {
            e.key.candidate: [digests[e.key.candidate], e.candidate.own_set] for e in scored.entries
        }
        if kept:
            rows |= {x: kept.memory.rows[x] for x in kept.names}
        memory = remember(cell, self.task, sets, rows)
        paths = [f"{part}/{name}" for part in _CELL_TABLES]
        memory.files = {p: file_digest(self.folder / p) for p in paths}
        return memory

    def _take(self, scored: ScoredCell, kept: Kept | None, before: _Before) -> None:
        tasks = {self.task.name: self.task}
        rows = [_gap_row(gap, tasks) for gap in scored.cell.gaps]
        rows += [_entry_row(entry, self.task) for entry in scored.entries]
        values = [row for entry in scored.entries for row in _score_rows(entry, self.task)]
        self.entries.append(_typed_entries(rows))
        self.scores.append(pd.DataFrame(values, columns=_SCORE_COLUMNS))
        fresh = _cell_tables(self.key, scored, self.task) if scored.entries else {}
        if kept:
            self.entries.append(before.rows("entries", self.key, kept.names))
            self.scores.append(before.rows("scores", self.key, kept.names))
        for part, by in _CELL_TABLES.items():
            path = f"{part}/{cell_file(*self.key)}"
            if kept and not fresh and len(kept.names) == len(kept.memory.rows):
                (self.folder / part).mkdir(exist_ok=True)
                shutil.copyfile(before.folder / path, self.folder / path)
                continue
            tables = [rows_of(pd.read_parquet(before.folder / path), kept.names)] if kept else []
            tables += [fresh[part]] if fresh else []
            if tables:
                write_table(_joined(tables), self.folder / path, *_ROW, *by)


_ROW = ("method", "track", "derived_from")
_CELL_TABLES: dict[str, tuple[str, ...]] = {"replicates": (), "predictions": ("replica", "index")}


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def _typed_entries(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    return typed(pd.DataFrame(list(rows)), _ENTRY_DTYPES)


def _cell_tables(
    cell_key: tuple[str, str, str], scored: ScoredCell, task: Task
) -> dict[str, pd.DataFrame]:
    replicates = [
        row
        for entry in scored.entries
        for row in replicate_rows(entry.key, entry.candidate, task.primary_metric)
    ]
    index = anonymous_index(scored.cell.participant_ids, cell_key)
    columns = prediction_columns(task.classes)
    parts = [_prediction_rows(e.entry, scored.cell.y_true, index, columns) for e in scored.entries]
    predictions = pd.concat(parts, ignore_index=True)
    return {"replicates": pd.DataFrame(replicates), "predictions": predictions}


def _score_rows(entry: ScoredEntry, task: Task) -> list[dict[str, Any]]:
    return [
        {
            **asdict(entry.key),
            "metric": m.metric,
            "title": METRICS[m.metric].title,
            "score": m.score,
            "ci_low": m.interval.low,
            "ci_high": m.interval.high,
            "ci_method": m.interval.method,
            "n": len(entry.entry.rows),
            "seed_sd": m.seed_sd,
            "primary": m.metric == task.primary_metric,
            "descriptive": METRICS[m.metric].descriptive,
            "higher_is_better": METRICS[m.metric].higher_is_better,
        }
        for m in entry.metrics
    ]


def _entry_row(entry: ScoredEntry, task: Task) -> dict[str, Any]:
    names = task.classes or ("all",)
    return {
        **_facts_row(entry.key, entry.entry.ledger.facts, task),
        "status": "done",
        "error": _why_undefined(entry, task),
        "n": len(entry.entry.rows),
        "n_by_class": json.dumps(dict(zip(names, entry.class_sizes, strict=True))),
        "small_sample": min(entry.class_sizes) < SMALL_CLASS,
        "seeds": entry.seeds,
        "folds": entry.entry.n_folds,
    }


def _why_undefined(entry: ScoredEntry, task: Task) -> str:
    if math.isfinite(entry.candidate.own.score):
        return ""
    counts = dict(zip(task.classes or ("all",), entry.class_sizes, strict=True))
    return f"{task.primary_metric} is not defined on these people: {counts}"


def _gap_row(gap: Gap, tasks: Mapping[str, Task]) -> dict[str, Any]:
    return {
        **_facts_row(gap.key, gap.facts, tasks[gap.key.task]),
        "status": gap.status,
        "error": first_line(gap.error),
        "n_by_class": "",
    }


def _facts_row(key: RowKey, facts: RowFacts, task: Task) -> dict[str, Any]:
    return {
        **asdict(key),
        **asdict(facts),
        "title": facts.title or key.method,
        "metric": task.primary_metric,
        "higher_is_better": METRICS[task.primary_metric].higher_is_better,
        "kind": task.kind,
    }


def _prediction_rows(
    entry: CellEntry, y_true: np.ndarray, index: np.ndarray, columns: Sequence[str]
) -> pd.DataFrame:
    key = entry.ledger.key
    parts = []
    replicas = zip(entry.predictions, entry.folds, entry.seeds, strict=True)
    for replica, (predictions, folds, seed) in enumerate(replicas):
        values = predictions.reshape(len(entry.rows), -1)
        parts.append(
            pd.DataFrame(
                {
                    "method": key.method,
                    "track": key.track,
                    "derived_from": key.derived_from,
                    "replica": replica,
                    "seed": seed,
                    "fold": folds.astype(np.int64),
                    "index": index[entry.rows],
                    "y_true": y_true[entry.rows],
                    **{name: values[:, k] for k, name in enumerate(columns)},
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
