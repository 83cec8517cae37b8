"""From runs to scores: every metric of every row with its interval."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS
from benchmark.results.cell import CellEntry, build_cell
from benchmark.results.folders import cell_file, replaced_folder, write_json, write_table
from benchmark.results.ledger import Gap, Ledger, RowFacts, RowKey, first_line, prediction_columns
from benchmark.results.planned import EVERYTHING, PlanFilter, read_runs
from benchmark.results.replicates import replicate_rows
from benchmark.results.schema import LEADERBOARD_DTYPES, ROW_KEY, typed
from benchmark.results.score_cell import SMALL_CLASS, ScoredCell, ScoredEntry, score_cell
from benchmark.stats import seeded_generator
from benchmark.tasks import TASKS, Task

__all__ = ["score_workspace"]


def score_workspace(
    runs: Path,
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
        runs: ``runs/`` of a workspace, one folder per method with its ``plan.json``.
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

    Raises:
        ResultError: There is no plan or no run, or a plan cannot be read. A faulty run is a gap.
        UnknownNameError: A plan names an unknown task.
    """
    workspace = read_runs(runs, tasks, only)
    ledgers = [*workspace.ledgers, *extra]
    if not ledgers and not workspace.gaps:
        raise ResultError(
            f"{runs}: the plans name no run that passes {only}; make runs with `neurodx run`"
        )
    _check_keys([*(x.key for x in ledgers), *(g.key for g in workspace.gaps)], tasks)
    with replaced_folder(out) as fresh:
        scores: list[dict[str, Any]] = []
        entries = [_gap_row(gap, tasks) for gap in workspace.gaps]
        for cell in sorted({x.key.cell for x in ledgers}):
            inside = [x for x in ledgers if x.key.cell == cell]
            cell_scores, cell_entries = _score_one(
                fresh, cell, inside, tasks[cell[1]], n_resamples, seed
            )
            scores += cell_scores
            entries += cell_entries
        table = pd.DataFrame(scores, columns=_SCORE_COLUMNS)
        write_table(table, fresh / "scores.parquet", *ROW_KEY, "metric")
        write_table(
            typed(pd.DataFrame(entries), _ENTRY_DTYPES), fresh / "entries.parquet", *ROW_KEY
        )
        write_table(workspace.runs, fresh / "runs.parquet", *_present(workspace.runs))
        write_json({"n_resamples": n_resamples, "seed": seed}, fresh / "scores.json")
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


def _score_one(
    folder: Path,
    cell_key: tuple[str, str, str],
    ledgers: Sequence[Ledger],
    task: Task,
    n_resamples: int,
    seed: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    cell = build_cell(ledgers, task, cell_key[2])
    scored = score_cell(cell, task, n_resamples=n_resamples, seed=seed)
    tasks = {task.name: task}
    entries = [_gap_row(gap, tasks) for gap in cell.gaps]
    entries += [_entry_row(entry, task) for entry in scored.entries]
    scores = [row for entry in scored.entries for row in _score_rows(entry, task)]
    if scored.entries:
        _write_cell(folder, cell_key, scored, task)
    return scores, entries


def _write_cell(
    folder: Path, cell_key: tuple[str, str, str], scored: ScoredCell, task: Task
) -> None:
    name, by = cell_file(*cell_key), ("method", "track", "derived_from")
    replicates = [
        row
        for entry in scored.entries
        for row in replicate_rows(entry.key, entry.candidate, task.primary_metric)
    ]
    write_table(pd.DataFrame(replicates), folder / "replicates" / name, *by)
    index = _anonymous_index(scored.cell.participant_ids, cell_key)
    columns = prediction_columns(task.classes)
    parts = [_prediction_rows(e.entry, scored.cell.y_true, index, columns) for e in scored.entries]
    table = pd.concat(parts, ignore_index=True)
    write_table(table, folder / "predictions" / name, *by, "replica", "index")


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


def _anonymous_index(participant_ids: np.ndarray, cell: tuple[str, str, str]) -> np.ndarray:
    """A number per person whose order says nothing about the id."""
    index: np.ndarray = seeded_generator("anonymous", *cell).permutation(len(participant_ids))
    return index


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
