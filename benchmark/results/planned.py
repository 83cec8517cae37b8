"""Reads what the runner wrote: plans, results and predictions, as ledgers and gaps.

Only the run ids of the current plan are read. A row is whole when every fold of every seed that
the plan lists is done; otherwise it is a gap, and never hides the other rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.results.derive import derive_binary
from benchmark.results.embeddings import NO_EMBEDDINGS, Embeddings, read_embeddings
from benchmark.results.ledger import (
    Gap,
    Ledger,
    RowFacts,
    RowKey,
    Trail,
    first_line,
    prediction_columns,
    read_table,
    require_columns,
)
from benchmark.results.missing_answers import (
    N_SHOWN,
    SHOWN,
    MissingAnswers,
    open_modalities,
    why_absent,
)
from benchmark.results.schema import read_result
from benchmark.results.slots import Slot, absent_folds, parts_of, slots_of
from benchmark.results.unread import Known, MethodRead, UnreadLedger, files_digest
from benchmark.tasks import Task

__all__ = ["EVERYTHING", "PlanFilter", "Workspace", "read_runs"]


@dataclass(slots=True)
class Workspace:
    """Everything that the plans ask for.

    Attributes:
        ledgers: Whole rows.
        gaps: Rows that are not.
        runs: One line per run.
        folder: Where it was read.
        with_validation: Whether what the robustness tables need besides was read: the validation
            people, the answers with modalities missing, and embeddings.
        known: What is known of rows whose files were read before.
        methods: By plan, how each method was read.
    """

    ledgers: list[Ledger] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    folder: Path = field(default_factory=Path)
    with_validation: bool = False
    known: Known = field(default_factory=Known)
    methods: dict[str, MethodRead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanFilter:
    """Which methods, runs of which protocols, and rows of which cohorts and tasks are read.

    None means all. Methods and protocols leave runs out; cohorts and tasks leave rows out.
    ``plans`` are names of plans, the last of which must be there: each protocol besides the
    profile's own has plans of its own.
    """

    methods: Collection[str] | None = None
    protocols: Collection[str] | None = None
    cohorts: Collection[str] | None = None
    tasks: Collection[str] | None = None
    plans: tuple[str, ...] = ("plan.json",)

    def runs(self, plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The plan's runs that pass."""
        if self.methods is not None and plan["method"] not in self.methods:
            return []
        return [
            r for r in plan["runs"] if self.protocols is None or r["protocol"] in self.protocols
        ]

    def keeps(self, key: RowKey) -> bool:
        """Whether a row passes."""
        return (self.cohorts is None or key.cohort in self.cohorts) and (
            self.tasks is None or key.task in self.tasks
        )


EVERYTHING: Final = PlanFilter()
_OF_RESULT: Final = (
    *("fit_seconds", "fit_cpu_seconds", "predict_seconds", "peak_memory_mib", "n_train"),
    *("n_validation", "params", "started", "commit"),
)


def read_runs(
    runs: Path,
    tasks: Mapping[str, Task],
    only: PlanFilter = EVERYTHING,
    *,
    with_validation: bool = False,
    scores: Path | None = None,
) -> Workspace:
    """Reads every plan under a folder.

    Args:
        runs: ``runs/`` of a workspace.
        tasks: Known tasks.
        only: Which methods, protocols, cohorts and tasks.
        with_validation: Read the validation people's predictions, the answers with modalities
            missing and embeddings too, where they are stored.
        scores: The folder of scores that is to be made anew. Rows of a method whose files are as
            they were when it was made are read only where something asks for their predictions.

    Raises:
        ResultError: There is no plan, or a plan is not valid JSON.
    """
    plans = sorted(path for name in only.plans for path in runs.glob(f"*/{name}"))
    if not any(path.name == only.plans[-1] for path in plans):
        raise ResultError(f"{runs}: no <method>/{only.plans[-1]} found; {_how(only.plans[-1])}")
    known = Known.of(scores, tasks, with_validation=with_validation)
    workspace = Workspace(folder=runs, with_validation=with_validation, known=known)
    tables: list[dict[str, Any]] = []
    for path in plans:
        files = files_digest(path) if scores else ""
        plan = _read_plan(path)
        listed = only.runs(plan)
        reader = _MethodReader(path.parent, plan, tasks, with_validation=with_validation)
        name = f"{path.parent.name}/{path.name}"
        then = known.method(name, files)
        for key, slots in slots_of(plan["method"], listed).items():
            if not only.keeps(key):
                continue
            row: Ledger | Gap
            if key in then.rows:
                row = UnreadLedger(key, then.rows[key], partial(reader.row, key, slots))
            else:
                row = reader.row(key, slots)
            if isinstance(row, Ledger):
                workspace.ledgers.append(row)
            else:
                workspace.gaps.append(row)
        if listed:
            workspace.gaps += [gap for gap in reader.omitted() if only.keeps(gap.key)]
        results = reader.results(then.results)
        tables.extend(reader.run_rows(listed, results))
        if files:
            workspace.methods[name] = MethodRead(files, results=results)
    workspace.runs = pd.DataFrame(tables)
    return workspace


def _how(plan: str) -> str:
    protocol = plan.removeprefix("plan").removesuffix("json").strip(".")
    asked = f" method=NAME protocol={protocol}" if protocol else ""
    return f"make runs with `neurodx run{asked}`"


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        plan = json.loads(path.read_text())
        plan["method"], plan["runs"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ResultError(
            f"{path}: not a plan ({error!r}); write it anew with `neurodx run`"
        ) from None
    return dict(plan)


class _MethodReader:
    """Reads the runs of one method, each file once."""

    def __init__(
        self,
        folder: Path,
        plan: Mapping[str, Any],
        tasks: Mapping[str, Task],
        *,
        with_validation: bool,
    ) -> None:
        self._with_validation = with_validation
        self._folder = folder
        self._plan = plan
        self._tasks = tasks
        self._results: dict[str, dict[str, Any]] = {}
        self._predictions: dict[str, pd.DataFrame] = {}
        self._missing = MissingAnswers(folder)
        self._evaluations = _evaluated(folder / "evaluations.jsonl")
        plans = [_read_plan(path) for path in folder.glob("plan*.json")]
        planned = {run["run_id"] for one in (plan, *plans) for run in one["runs"]}
        self._superseded = sum(n for i, n in self._evaluations.items() if i not in planned)

    def row(self, key: RowKey, slots: Sequence[Slot]) -> Ledger | Gap:
        """The row's ledger, or why there is none."""
        for status in ("failed", "missing"):
            bad = [s.run for s in slots if s.run["status"] == status]
            if bad:
                error = first_line(bad[0].get("error")) or f"{len(bad)} runs are {status}"
                return Gap(key, status, error, self._facts([]))
        absent = absent_folds(slots)
        if absent:
            return Gap(key, "missing", absent, self._facts([]))
        try:
            frames = [self._slot_frame(key, slot, slot.part) for slot in slots]
            facts = self._facts([self._result(s.run["run_id"]) for s in slots])
            validation = self._validation(key, slots)
        except ResultError as error:
            return Gap(key, "failed", first_line(error), self._facts([]))
        frame = pd.concat(frames, ignore_index=True)
        missing, note = self._missing_answers(key, slots)
        embeddings = self._embeddings(key, slots)
        return Ledger(key, frame, facts, self._trail(slots), validation, missing, note, embeddings)

    def omitted(self) -> Iterator[Gap]:
        """Points that were too small to be run."""
        for point in self._plan.get("omitted") or ():
            for task in (*point["tasks"], *point["derived"]):
                where = (point["cohort"], task, point["track"], point["protocol"])
                key = RowKey(*where, self._plan["method"], point["derived"].get(task, ""))
                yield Gap(key, "missing", point["reason"], self._facts([]))

    def results(self, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """What the table of runs takes of each run that was read, now or before."""
        read = {i: {name: r[name] for name in _OF_RESULT} for i, r in self._results.items()}
        return {**known, **read}

    def run_rows(
        self, runs: Sequence[Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """One flat record per run, for the table of runs."""
        for run in runs:
            result = results.get(run["run_id"], {})
            yield {
                "run_id": run["run_id"],
                "method": self._plan["method"],
                "cohort": "+".join(p["cohort"] for p in parts_of(run)),
                "tasks": ",".join(sorted({t for p in parts_of(run) for t in p["tasks"]})),
                "track": run["track"],
                "protocol": run["protocol"],
                "fold": run["fold"],
                "seed": run["seed"],
                "status": run["status"],
                "error": first_line(run.get("error")),
                "profile": str(self._plan.get("profile", "")),
                "fit_seconds": result.get("fit_seconds", np.nan),
                "cpu_seconds": result.get("fit_cpu_seconds", np.nan),
                "predict_seconds": result.get("predict_seconds", np.nan),
                "peak_memory_mib": result.get("peak_memory_mib", np.nan),
                "n_train": result.get("n_train"),
                "n_validation": result.get("n_validation"),
                "params": result.get("params"),
                "started": result.get("started", ""),
                "commit": result.get("commit") or "",
            }

    def _result(self, run_id: str) -> dict[str, Any]:
        if run_id not in self._results:
            self._results[run_id] = read_result(self._folder / run_id / "result.json")
        return self._results[run_id]

    def _run_predictions(self, run_id: str) -> pd.DataFrame:
        if run_id not in self._predictions:
            path = self._folder / run_id / "predictions.parquet"
            needed = ["cohort", "task", "part", "participant_id"]
            self._predictions[run_id] = read_table(path, needed)
        return self._predictions[run_id]

    def _trail(self, slots: Sequence[Slot]) -> Trail:
        run_ids = {s.run["run_id"] for s in slots}
        external = slots[0].part == v.EXTERNAL
        cohorts = {p["cohort"] for s in slots for p in parts_of(s.run) if s.task in p["tasks"]}
        return Trail(
            runs=len(run_ids),
            evaluations=sum(self._evaluations[i] for i in run_ids),
            superseded=self._superseded,
            sources=tuple(sorted(cohorts)) if external else (),
        )

    def _validation(self, key: RowKey, slots: Sequence[Slot]) -> pd.DataFrame | None:
        """Predictions of the validation people of a row's own cohort; None where one lacks them."""
        if not self._with_validation or slots[0].part != v.TEST:
            return None
        try:
            frames = [self._slot_frame(key, slot, v.VALIDATION) for slot in slots]
        except ResultError:  # a counter less; the row's score does not need these people
            return None
        return pd.concat(frames, ignore_index=True)

    def _missing_answers(
        self, key: RowKey, slots: Sequence[Slot]
    ) -> tuple[pd.DataFrame | None, str]:
        """A row's answers with modalities missing, or why there are none."""
        if not self._with_validation or slots[0].part != v.TEST:
            return None, ""
        try:
            tables = [self._missing.of_run(s.run["run_id"]) for s in slots]
            held = [(t, s) for t, s in zip(tables, slots, strict=True) if t is not None]
            if len(held) < len(slots):
                fitted = {t for s in slots for p in parts_of(s.run) for t in p["tasks"]}
                opened = open_modalities(key.track, [self._tasks[name] for name in fitted])
                return None, why_absent(len(slots) - len(held), len(slots), opened)
            frames = [self._share(table, key, slot, v.TEST) for table, slot in held]
        except ResultError as error:  # a table less; the row's score does not need these answers
            return None, first_line(error)
        columns = prediction_columns(self._tasks[key.task].classes)
        used = [v.PARTICIPANT_ID, "y_true", *columns, "seed", "fold", SHOWN, N_SHOWN]
        return pd.concat(frames, ignore_index=True)[used], ""

    def _embeddings(self, key: RowKey, slots: Sequence[Slot]) -> Embeddings:
        if not self._with_validation or slots[0].part != v.TEST:
            return NO_EMBEDDINGS
        return read_embeddings([self._folder / s.run["run_id"] for s in slots], key.cohort)

    def _slot_frame(self, key: RowKey, slot: Slot, part: str) -> pd.DataFrame:
        return self._share(self._run_predictions(slot.run["run_id"]), key, slot, part)

    def _share(self, whole: pd.DataFrame, key: RowKey, slot: Slot, part: str) -> pd.DataFrame:
        run_id = slot.run["run_id"]
        frame = whole.loc[
            (whole["cohort"] == key.cohort) & (whole["task"] == slot.task) & (whole["part"] == part)
        ]
        if not len(frame):
            raise ResultError(
                f"run {run_id} holds no {part} prediction of {key.cohort} / {slot.task}"
            )
        columns = prediction_columns(self._tasks[slot.task].classes)
        require_columns(frame, ["y_true", *columns], f"run {run_id}")
        if key.derived_from:
            source, target = self._tasks[slot.task].classes, self._tasks[key.task].classes
            frame = derive_binary(frame, source, target)
        return frame.assign(seed=slot.run["seed"], fold=slot.run["fold"])

    def _facts(self, results: Sequence[Mapping[str, Any]]) -> RowFacts:
        params = [r["params"] for r in results if r["params"] is not None]
        return RowFacts(
            title=str(self._plan.get("title") or self._plan["method"]),
            provenance=results[0]["provenance"] if results else v.REPRODUCED,
            tuned=bool(self._plan.get("tuned", False)),
            profile=str(self._plan.get("profile", "")),
            fit_seconds=_mean(results, "fit_seconds"),
            cpu_seconds=_mean(results, "fit_cpu_seconds"),
            peak_memory_mib=_mean(results, "peak_memory_mib"),
            params=max(params) if params else None,
            test_evaluations=self._evaluations.total(),
        )


def _mean(results: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [r[name] for r in results if r.get(name) is not None]
    return float(np.mean(values)) if values else None


def _evaluated(path: Path) -> Counter[str]:
    """Number of test evaluations by run id; a line that is no record counts for no run."""
    counts: Counter[str] = Counter()
    if path.exists():
        for line in path.read_text().splitlines():
            if line.strip():
                counts[_run_id(line)] += 1
    return counts


def _run_id(line: str) -> str:
    try:
        return str(json.loads(line)["run_id"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return ""
