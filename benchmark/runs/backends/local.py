"""Executes jobs in worker processes of this machine, one thread each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.runs.job import Job, Workspace

__all__ = ["Outcome", "run_local"]

_ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}
_PRELOAD = ["benchmark.runs.execute", "benchmark.sklearn_method"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended; ``error`` is empty where it is done."""

    identity: str
    error: str = ""


def run_local(
    jobs: Mapping[str, Job],
    workspace: Workspace,
    workers: int,
    on_done: Callable[[Outcome], None],
    on_tick: Callable[[], None] | None = None,
) -> list[Outcome]:
    """Runs jobs side by side; one that fails, or kills its process, never stops the others.

    Args:
        jobs: Jobs by run id.
        workspace: Where they read and write.
        workers: Number of processes; 0 for one per core.
        on_done: Called in this process after each job.
        on_tick: Called while waiting, about twice a second.

    Returns:
        One outcome per job.
    """
    os.environ.update(_ONE_THREAD)
    workers = min(workers or os.cpu_count() or 1, max(len(jobs), 1))
    outcomes, killed = _pool(jobs, workspace, workers, on_done, on_tick)
    for identity in killed:  # one of them ended its process: find out which, each on its own
        alone, again = _pool({identity: jobs[identity]}, workspace, 1, on_done, on_tick)
        outcomes += alone
        if again:
            outcome = Outcome(
                identity,
                "WorkerDied: the process ended without a Python error, most often because memory "
                "ran out; lower the batch size or `workers` of the profile",
            )
            outcomes.append(outcome)
            on_done(outcome)
    return outcomes


def _pool(
    jobs: Mapping[str, Job],
    workspace: Workspace,
    workers: int,
    on_done: Callable[[Outcome], None],
    on_tick: Callable[[], None] | None,
) -> tuple[list[Outcome], list[str]]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    outcomes: list[Outcome] = []
    killed: list[str] = []
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: dict[Future[str], str] = {
            pool.submit(_execute, job.to_json(), identity, str(workspace.root)): identity
            for identity, job in jobs.items()
        }
        while waiting:
            for future in _finished(waiting, on_tick):
                identity = waiting.pop(future)
                try:
                    outcome = Outcome(identity, future.result())
                except BrokenProcessPool:
                    killed.append(identity)
                    continue
                outcomes.append(outcome)
                on_done(outcome)
    return outcomes, killed


def _finished(
    waiting: Mapping[Future[str], str], on_tick: Callable[[], None] | None
) -> Sequence[Future[str]]:
    try:
        return [next(as_completed(waiting, timeout=0.5))]
    except TimeoutError:
        if on_tick:
            on_tick()
        return []


def _execute(job: Mapping[str, Any], identity: str, root: str) -> str:
    """Runs in the worker; returns the error's first line, or nothing."""
    from benchmark.runs.execute import execute

    _single_thread()
    try:
        execute(Job.from_json(job), identity, Workspace(Path(root)))
    except BenchmarkError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a method may raise anything; execute() recorded it
        return f"{type(error).__name__}: {error}"
    return ""


def _single_thread() -> None:
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
