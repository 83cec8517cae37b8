"""Executes one job: fit on training people, predict the rest, write the record when it is whole."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from benchmark import vocabulary as v
from benchmark.config import typed
from benchmark.errors import MethodError, ResultError
from benchmark.method import Method, RunContext
from benchmark.prediction import Prediction
from benchmark.registry import get_method, load_method_class
from benchmark.runs.identity import commit, input_hashes, library_versions, run_id
from benchmark.runs.job import Job, Part, Workspace
from benchmark.samples import Samples, build_samples
from benchmark.samples.align import align_samples
from benchmark.samples.build import modality_mask
from benchmark.samples.concat import concat_samples
from benchmark.splitting import read_split
from benchmark.store import Cohort
from benchmark.store.atomic import write_json, write_parquet, write_text
from benchmark.tasks import Task, get_task, labels_for
from benchmark.tracks import get_track

__all__ = ["execute", "failure_path", "is_done", "new_method", "record_failure"]

SCHEMA_VERSION = 1
_LOG_LINES_KEPT = 20
_UNSEEN = -1  # the cohort code of a cohort that no fit has seen
_PEAK_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def is_done(folder: Path) -> bool:
    """Whether a run folder is whole: it is renamed into place with its result as the last step."""
    return (folder / "result.json").is_file()


def failure_path(workspace: Workspace, job: Job, identity: str) -> Path:
    """Where the traceback of a failed run is kept."""
    return workspace.runs / job.row / "failed" / f"{identity}.json"


def new_method(job: Job) -> Method:
    """Builds an unfitted method from a job's settings."""
    info = get_method(job.method)
    config = typed(info.config, job.config, f"settings of {job.row!r}") if info.config else None
    return load_method_class(info)(config)


def execute(job: Job, identity: str, workspace: Workspace) -> None:
    """Runs a job and stores its record; does nothing if the record is there.

    A run that is interrupted leaves its partial folder, checkpoints included, and is continued by
    the next call. A run that fails leaves its traceback and the end of its log, nothing else.

    Raises:
        ResultError: What the run reads is no longer what its identity was computed from.
        Exception: Whatever the method raised, after its traceback was recorded.
    """
    folder = workspace.runs / job.row / identity
    with _alone(folder.with_name(f".{identity}.partial")) as partial:
        if is_done(folder):
            shutil.rmtree(partial)
            return
        try:
            _run(job, identity, workspace, partial)
        except Exception as error:
            log = partial / "train.jsonl"
            lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
            shutil.rmtree(partial, ignore_errors=True)
            what = f"{type(error).__name__}: {error}"
            trace = traceback.format_exc()
            record_failure(job, identity, workspace, what, trace, lines[-_LOG_LINES_KEPT:])
            raise
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
        failure_path(workspace, job, identity).unlink(missing_ok=True)


def record_failure(
    job: Job,
    identity: str,
    workspace: Workspace,
    error: str,
    trace: str = "",
    log: Sequence[str] = (),
) -> None:
    """Keeps why a run failed in ``runs/<row>/failed/<run_id>.json``."""
    record = {
        "run_id": identity,
        "job": job.to_json(),
        "error": error,
        "traceback": trace,
        "log": list(log),
        "when": _now(),
    }
    with suppress(OSError):  # a full disk must not hide the error that filled it
        write_json(failure_path(workspace, job, identity), record)


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Makes a folder and locks it, so that one process at a time works on a run.

    The lock ends with the process. Whoever waited finds the folder renamed or removed, and makes it
    again.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _stands_at(folder, handle):
                yield folder
                return
        finally:
            os.close(handle)


def _stands_at(folder: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def _run(job: Job, identity: str, workspace: Workspace, folder: Path) -> None:
    started = _now()
    hashes = input_hashes(job, workspace)
    if run_id(job, workspace) != identity:
        raise ResultError(
            f"{job.label}: code, settings or data changed after this run was planned; run the same "
            "command again"
        )
    _reset_peak_memory()
    (folder / "train.jsonl").unlink(missing_ok=True)
    cells = [_Cell.open(job, part, workspace) for part in job.parts]
    tasks = _tasks(job.parts)
    train = _joint(cells, job, v.TRAIN)
    val = _joint(cells, job, v.VALIDATION)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    context = RunContext(
        seed=job.seed,
        folder=scratch,
        device=job.device,
        precision=job.precision,
        log=lambda record: _append(folder / "train.jsonl", record),
    )
    method = new_method(job)
    clock, cpu = time.perf_counter(), time.process_time()
    method.fit(train, val, tasks, context)
    fit_seconds, fit_cpu = time.perf_counter() - clock, time.process_time() - cpu

    clock = time.perf_counter()
    ledger = [
        _predict(method, job, cell, part, train)
        for cell in cells
        for part in (v.VALIDATION, v.TEST)
    ]
    for part in job.external:
        cell = _Cell.whole(job, part, workspace)
        if len(cell.people[v.EXTERNAL]):
            ledger.append(_predict(method, job, cell, v.EXTERNAL, train))
    predict_seconds = time.perf_counter() - clock

    write_parquet(folder / "predictions.parquet", pd.concat(ledger, ignore_index=True))
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(job.config))))
    write_json(folder / "job.json", job.to_json())
    shutil.rmtree(scratch)
    result = {
        "schema_version": SCHEMA_VERSION,
        "run_id": identity,
        "method": job.row,
        "track": job.track,
        "protocol": job.protocol,
        "fold": job.fold,
        "seed": job.seed,
        "profile": job.profile,
        "parts": [{"cohort": p.cohort, "tasks": list(p.tasks)} for p in job.parts],
        "tuned": job.tuned,
        "provenance": v.REPRODUCED,
        "fit_seconds": fit_seconds,
        "fit_cpu_seconds": fit_cpu,
        "predict_seconds": predict_seconds,
        "peak_memory_mib": _peak_memory_mib(),
        "params": int(method.parameter_count()),
        "n_train": len(train),
        "n_validation": len(val),
        "started": started,
        "versions": dict(library_versions()),
        "hashes": hashes,
        "commit": commit(),
    }
    _append(workspace.runs / job.row / "evaluations.jsonl", {"run_id": identity, "when": _now()})
    write_json(folder / "result.json", result)


@dataclass(frozen=True)
class _Cell:
    """One cohort of a run: the people of each part who are eligible and have what is required."""

    cohort: Cohort
    tasks: tuple[Task, ...]
    code: int
    people: Mapping[str, tuple[str, ...]]

    @classmethod
    def open(cls, job: Job, part: Part, workspace: Workspace) -> _Cell:
        cohort = Cohort(workspace.data / part.cohort)
        split = read_split(workspace.splits / part.cohort, job.protocol)
        repeat, number = divmod(job.fold, split.n_folds)
        fold = split.fold(number, repeat)
        usable = _usable(cohort, part, job)
        people = {
            v.TRAIN: _keep(fold.train, usable),
            v.VALIDATION: _keep(fold.validation, usable),
            v.TEST: _keep(fold.test, usable),
        }
        code = [p.cohort for p in job.parts].index(part.cohort)
        return cls(cohort, _tasks([part]), code, people)

    @classmethod
    def whole(cls, job: Job, part: Part, workspace: Workspace) -> _Cell:
        cohort = Cohort(workspace.data / part.cohort)
        people = {v.EXTERNAL: tuple(sorted(_usable(cohort, part, job)))}
        return cls(cohort, _tasks([part]), _UNSEEN, people)

    def samples(self, job: Job, part: str) -> Samples:
        return build_samples(
            self.cohort,
            self.people[part],
            get_track(job.track),
            self.tasks,
            with_labels=part in (v.TRAIN, v.VALIDATION),
            also_fitted=_tasks(job.parts),
            code=self.code,
        )


def _usable(cohort: Cohort, part: Part, job: Job) -> set[str]:
    """People with a label of at least one task and every modality that the method requires."""
    index = cohort.index_visits
    labelled = np.any([labels_for(t, cohort.visits).mask for t in _tasks([part])], axis=0)
    for modality in get_method(job.method).requires:
        labelled &= modality_mask(cohort, modality)
    evaluated = (index[v.PART] == v.EVALUATE).to_numpy()
    return set(index.loc[labelled & evaluated, v.PARTICIPANT_ID])


def _keep(people: Sequence[str], usable: set[str]) -> tuple[str, ...]:
    return tuple(who for who in people if who in usable)


def _joint(cells: Sequence[_Cell], job: Job, part: str) -> Samples:
    joint = concat_samples([cell.samples(job, part) for cell in cells])
    for task in _tasks(job.parts):
        values, mask = joint.labels(task.name)
        seen = np.unique(values[mask].astype(np.int64)) if task.classes else values[mask]
        if part == v.TRAIN and task.classes and len(seen) < len(task.classes):
            lacking = [c for k, c in enumerate(task.classes) if k not in seen]
            raise MethodError(
                f"{job.label}: no {' or '.join(lacking)} among the training people; use fewer "
                "folds or another cohort (`neurodx splits show` gives the counts)"
            )
        if not len(seen):
            raise MethodError(f"{job.label}: no {part} person has a label of {task.name!r}")
    return joint


def _predict(method: Method, job: Job, cell: _Cell, part: str, train: Samples) -> pd.DataFrame:
    samples = align_samples(cell.samples(job, part).without_labels(), like=train)
    answers = method.predict(samples, cell.tasks)
    people = np.asarray(cell.people[part])
    index = cell.cohort.index_visits.set_index(v.PARTICIPANT_ID)
    tables = []
    for task in cell.tasks:
        if task.name not in answers:
            raise MethodError(f"{job.label}: predict() gave nothing for task {task.name!r}")
        checked = answers[task.name].check(task, len(people), job.row)
        labels = labels_for(task, cell.cohort.visits)
        order = index.index.get_indexer(pd.Index(people))
        mask = labels.mask[order]
        table = pd.DataFrame(
            {
                "cohort": cell.cohort.name,
                "task": task.name,
                "part": part,
                v.PARTICIPANT_ID: people,
                v.SESSION_ID: index[v.SESSION_ID].to_numpy()[order],
                "y_true": labels.values[order],
                **_columns(checked),
            }
        )
        tables.append(table.loc[mask])
    return pd.concat(tables, ignore_index=True)


def _columns(prediction: Prediction) -> dict[str, np.ndarray]:
    if prediction.probabilities is not None:
        return {f"prob_{k}": column for k, column in enumerate(prediction.probabilities.T)}
    mean = np.asarray(prediction.mean)
    sd = np.full(len(mean), np.nan) if prediction.sd is None else prediction.sd
    return {"y_pred": mean, "y_sd": sd}


def _tasks(parts: Sequence[Part]) -> tuple[Task, ...]:
    names = dict.fromkeys(task for part in parts for task in part.tasks)
    return tuple(get_task(name) for name in names)


def _reset_peak_memory() -> None:
    with suppress(OSError):  # Linux only; elsewhere the peak is that of the whole process
        _PEAK_RESET.write_text("5", encoding="ascii")


def _peak_memory_mib() -> float:
    """Peak resident memory since the reset: a worker runs many jobs, each counts for itself."""
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _append(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(dict(record)) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
