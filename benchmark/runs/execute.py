"""Executes one job: fit on training people, predict the rest, write the record when it is whole."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from benchmark import vocabulary as v
from benchmark.config import rebuilt
from benchmark.errors import ResultError
from benchmark.method import Method, RunContext
from benchmark.registry import get_method, load_method_class
from benchmark.runs.beside import exposed, missing_rows, write_exposed
from benchmark.runs.checkpoints import checkpoint_folder, refuse_pretrained_people
from benchmark.runs.fit_log import LOG, FitLog
from benchmark.runs.identity import (
    commit,
    feature_folder,
    forget_inputs,
    input_hashes,
    library_versions,
    run_id,
)
from benchmark.runs.job import Job, Workspace
from benchmark.runs.ledger import ledger_rows
from benchmark.runs.people import Cell, fold_samples, joint_samples, tasks_of
from benchmark.runs.team import ALONE, Team
from benchmark.samples import Samples
from benchmark.store.atomic import write_json, write_parquet, write_text

__all__ = [
    "assist",
    "execute",
    "failure_path",
    "is_done",
    "new_method",
    "note_evaluation",
    "record_failure",
]

SCHEMA_VERSION = 1
_LOG_LINES_KEPT = 20
_SCRATCH = "scratch"
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
    config = rebuilt(info.config, job.config, f"settings of {job.row!r}") if info.config else None
    return load_method_class(info)(config)


def execute(job: Job, identity: str, workspace: Workspace, team: Team = ALONE) -> bool:
    """Runs a job and stores its record; does nothing if the record is there.

    A run that is interrupted leaves its partial folder, checkpoints included, and is continued by
    the next call. A run that fails leaves its traceback and the end of its log, nothing else.

    Args:
        job: The job.
        identity: Its run id.
        workspace: Where it reads and writes.
        team: The processes that train the model together, of which this one leads.

    Returns:
        Whether it was run, rather than there.

    Raises:
        ResultError: What the run reads is no longer what its identity was computed from.
        Exception: Whatever the method raised, after its traceback was recorded.
    """
    folder = workspace.runs / job.row / identity
    with _alone(_partial(folder)) as partial:
        if is_done(folder):
            shutil.rmtree(partial)
            return False
        try:
            _run(job, identity, workspace, partial, team)
        except Exception as error:
            log = partial / LOG
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
    return True


def assist(job: Job, identity: str, workspace: Workspace, team: Team) -> bool:
    """Takes part in the fit of a job that another process leads, and writes nothing.

    Returns:
        Whether there was something to do.

    Raises:
        Exception: Whatever the method raised.
    """
    if not team.agree(True):
        return False
    folder = _partial(workspace.runs / job.row / identity)
    train, val = fold_samples(job, workspace)
    context = _context(job, workspace, folder, team, lambda _: None)
    new_method(job).fit(train, val, tasks_of(job.parts), context)
    team.agree(True)
    return True


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


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


def _run(job: Job, identity: str, workspace: Workspace, folder: Path, team: Team) -> None:
    started = _now()
    forget_inputs()  # this process may have run another job before files changed
    hashes = input_hashes(job, workspace, team.size)
    if run_id(job, workspace, team.size) != identity:
        raise ResultError(
            f"{job.label}: code, settings or data changed after this run was planned; run the same "
            "command again"
        )
    _reset_peak_memory()
    cells = [Cell.open(job, part, workspace) for part in job.parts]
    train = joint_samples(cells, job, v.TRAIN)
    val = joint_samples(cells, job, v.VALIDATION)
    method = new_method(job)
    outside = [Cell.whole(job, part, workspace) for part in job.external]
    refuse_pretrained_people(job, (*cells, *outside), workspace)
    log = FitLog(folder)
    (folder / _SCRATCH).mkdir(exist_ok=True)
    context = _context(job, workspace, folder, team, log)
    team.agree(True)  # the others find the folder, and a checkpoint of an interrupted fit in it
    log.start()
    method.fit(train, val, tasks_of(job.parts), context)
    fit_seconds, fit_cpu = log.spent()
    team.agree(True)

    note_evaluation(job, identity, workspace)
    clock = time.perf_counter()
    ledger = [
        ledger_rows(method, job, cell, part, train)
        for cell in cells
        for part in (v.VALIDATION, v.TEST)
    ]
    ledger += [
        ledger_rows(method, job, cell, v.EXTERNAL, train)
        for cell in outside
        if cell.people[v.EXTERNAL]
    ]
    predict_seconds = time.perf_counter() - clock

    write_parquet(folder / "predictions.parquet", pd.concat(ledger, ignore_index=True))
    _write_beside(method, job, cells, train, folder)
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(job.config))))
    write_json(folder / "job.json", job.to_json())
    shutil.rmtree(folder / _SCRATCH)
    log.close()  # after the state that another session would go on from
    facts = {
        "fit_seconds": fit_seconds,
        "fit_cpu_seconds": fit_cpu,
        "predict_seconds": predict_seconds,
        "peak_memory_mib": _peak_memory_mib(),
        "params": int(method.parameter_count()),
        "n_train": len(train),
        "n_validation": len(val),
        "processes": team.size,
        "started": started,
        "hashes": hashes,
    }
    write_json(folder / "result.json", _result(job, identity) | facts)


def note_evaluation(job: Job, identity: str, workspace: Workspace, by: str = "run") -> None:
    """Notes that test people of a run are about to be predicted: a line of ``evaluations.jsonl``.

    Args:
        job: The job.
        identity: Its run id.
        workspace: Where the row's runs are.
        by: The verb that predicts them.
    """
    path = workspace.runs / job.row / "evaluations.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps({"run_id": identity, "when": _now(), "by": by}) + "\n")


def _write_beside(
    method: Method, job: Job, cells: Sequence[Cell], train: Samples, folder: Path
) -> None:
    tables = [missing_rows(method, job, cell, train) for cell in cells]
    answered = [table for table in tables if table is not None]
    if answered:
        write_parquet(folder / "missing.parquet", pd.concat(answered, ignore_index=True))
    for cell in cells:
        shown = exposed(method, job, cell, train)
        if shown:
            path = folder / "exposed" / f"{cell.cohort.name}.npz"
            write_exposed(path, cell.people[v.TEST], shown)


def _context(
    job: Job,
    workspace: Workspace,
    folder: Path,
    team: Team,
    log: Callable[[Mapping[str, Any]], None],
) -> RunContext:
    return RunContext(
        seed=job.seed,
        folder=folder / _SCRATCH,
        device=team.device(job.device),
        precision=job.precision,
        log=log,
        pretrained=checkpoint_folder(job, workspace),
        features=feature_folder(job, workspace),
    )


def _result(job: Job, identity: str) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": identity,
        "method": job.row,
        "track": job.track,
        "protocol": job.shown_protocol,
        "fold": job.fold,
        "seed": job.seed,
        "profile": job.profile,
        "parts": [{"cohort": p.cohort, "tasks": list(p.tasks)} for p in job.parts],
        "tuned": job.tuned,
        "provenance": v.REPRODUCED,
        "versions": dict(library_versions()),
        "commit": commit(),
    }


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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
