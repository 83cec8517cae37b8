"""Executes jobs in worker processes of this machine, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.runs.job import Job, Workspace

__all__ = ["WORKER_DIED", "Outcome", "run_local"]

WORKER_DIED = "WorkerDied"

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_PRELOAD = ["benchmark.runs.execute", "benchmark.sklearn_method"]
_TICK_SECONDS = 0.5
_SIGNAL_HINTS = {
    signal.SIGKILL: "most often because memory ran out: lower the batch size, or `workers` of the "
    "profile",
    signal.SIGBUS: "most often because the disk is full",
}


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
    """Runs jobs side by side; one that fails, or ends its process, never stops the others.

    Args:
        jobs: Jobs by run id.
        workspace: Where they read and write.
        workers: Number of processes; 0 for one per core.
        on_done: Called in this process after each job.
        on_tick: Called while waiting, about twice a second.

    Returns:
        One outcome per job, in the order in which they ended.
    """
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # read by the libraries of the processes below
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    queue = deque(jobs)
    outcomes: list[Outcome] = []
    team: list[_Worker] = []
    try:
        while queue or team:
            while queue and len(team) < (workers or os.cpu_count() or 1):
                team.append(_Worker(context, workspace))
                team[-1].give(queue[0], jobs[queue.popleft()])
            ready = wait([worker.pipe for worker in team], timeout=_TICK_SECONDS)
            if not ready and on_tick:
                on_tick()
            for worker in [w for w in team if w.pipe in ready]:
                outcomes.append(worker.outcome())
                on_done(outcomes[-1])
                if worker.process.is_alive() and queue:
                    worker.give(queue[0], jobs[queue.popleft()])
                else:
                    worker.stop()
                    team.remove(worker)
    finally:
        for worker in team:
            worker.process.kill()
            worker.stop()
    return outcomes


class _Worker:
    """A process that executes one job after another, and the pipe to it."""

    def __init__(self, context: ForkServerContext, workspace: Workspace) -> None:
        self.pipe, far_end = context.Pipe()
        target, root = _serve, str(workspace.root.resolve())
        self.process: BaseProcess = context.Process(target=target, args=(far_end, root))
        self.process.start()
        far_end.close()
        self.identity = ""

    def give(self, identity: str, job: Job) -> None:
        self.identity = identity
        with suppress(OSError):  # it died meanwhile; outcome() says so
            self.pipe.send((identity, job.to_json()))

    def outcome(self) -> Outcome:
        """What came of the job; call it when the pipe is ready."""
        try:
            return Outcome(self.identity, self.pipe.recv())
        except (EOFError, OSError):
            self.process.join()
            return Outcome(self.identity, f"{WORKER_DIED}: {_how_it_ended(self.process.exitcode)}")

    def stop(self) -> None:
        """Lets an idle process end, and waits for it."""
        self.pipe.close()
        self.process.join()


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the process ended itself with exit status {code}, without a Python error"
    try:
        name = signal.Signals(-code)
    except ValueError:
        return f"the process was ended by signal {-code}"
    hint = _SIGNAL_HINTS.get(name, "most often a fault in a compiled library")
    return f"the process was ended by {name.name}, {hint}"


def _serve(pipe: Connection, root: str) -> None:
    """Executes jobs in the worker until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            identity, job = pipe.recv()
        except EOFError:
            return
        pipe.send(_execute(Job.from_json(job), identity, Workspace(Path(root))))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _execute(job: Job, identity: str, workspace: Workspace) -> str:
    """Returns the error in one line or a few, or nothing."""
    from benchmark.runs.execute import execute

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    try:
        execute(job, identity, workspace)
    except BenchmarkError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a method may raise anything; execute() recorded it
        return f"{type(error).__name__}: {error}"
    return ""
