"""Worker processes of a sweep: each answers one trial at a time, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.errors import BenchmarkError
from benchmark.runs.job import Job, Workspace
from benchmark.sweeps.objective import FoldScore

__all__ = ["Answer", "Workers"]

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_PRELOAD = ["benchmark.sweeps.evaluate", "benchmark.sklearn_method"]
_DIED = (
    "WorkerDied: the process ended without a Python error, most often because memory ran out; "
    "narrow the space or use fewer --workers"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one trial: its scores, or the error with its traceback."""

    key: int
    scores: tuple[FoldScore, ...] = ()
    error: str = ""
    trace: str = ""


class Workers:
    """A fixed number of processes; one that dies costs its trial and is replaced.

    Args:
        count: Number of processes, started when there is work.
        workspace: Where cohorts and splits lie.
        scratch: Folder for temporary files of methods.
    """

    def __init__(self, count: int, workspace: Workspace, scratch: Path) -> None:
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._count, self._workspace, self._scratch = count, workspace, scratch
        self._idle: list[tuple[Connection, BaseProcess]] = []
        self._busy: dict[Connection, tuple[BaseProcess, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in (*(p for _, p in self._idle), *(p for p, _ in self._busy.values())):
            process.terminate()
            process.join()
        for connection in (*(c for c, _ in self._idle), *self._busy):
            connection.close()

    @property
    def free(self) -> bool:
        """Whether one more trial can start at once."""
        return len(self._busy) < self._count

    @property
    def busy(self) -> bool:
        """Whether a trial is running."""
        return bool(self._busy)

    def submit(self, key: int, jobs: Sequence[Job]) -> None:
        """Starts a trial: one fit per job, one after the other."""
        connection, process = self._idle.pop() if self._idle else self._start()
        self._busy[connection] = (process, key)
        connection.send([job.to_json() for job in jobs])

    def collect(self, timeout: float) -> list[Answer]:
        """Returns the trials that ended, waiting up to ``timeout`` s for one.

        Args:
            timeout: Longest wait in s.
        """
        answers = []
        for ready in wait(list(self._busy), timeout):
            if not isinstance(ready, Connection):
                continue
            process, key = self._busy.pop(ready)
            try:
                answers.append(_read(key, ready.recv()))
            except (EOFError, ConnectionError):
                ready.close()
                process.join()
                answers.append(Answer(key, error=_DIED))
                continue
            self._idle.append((ready, process))
        return answers

    def _start(self) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, str(self._workspace.root), str(self._scratch))
        process = self._context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return ours, process


def _read(key: int, message: dict[str, Any]) -> Answer:
    scores = tuple(FoldScore.from_json(score) for score in message.get("scores", ()))
    return Answer(key, scores, message.get("error", ""), message.get("trace", ""))


def _serve(connection: Connection, root: str, scratch: str) -> None:
    """Runs in the worker until the sweep closes its end or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep decides; it ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            jobs = connection.recv()
        except EOFError:
            return
        connection.send(_answer([Job.from_json(job) for job in jobs], root, scratch))


def _answer(jobs: Sequence[Job], root: str, scratch: str) -> dict[str, Any]:
    from benchmark.sweeps.evaluate import evaluate

    try:
        scores = [evaluate(job, Workspace(Path(root)), Path(scratch)).to_json() for job in jobs]
    except BenchmarkError as error:
        return {"error": str(error), "trace": traceback.format_exc()}
    except Exception as error:  # noqa: BLE001 - a method may raise anything; the trial records it
        return {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    return {"scores": scores}


def _end_with_parent() -> None:
    """A killed sweep must not leave processes that go on computing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
