"""Worker processes of this machine, one thread each, that answer one question at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from benchmark.threads import one_thread

__all__ = ["WORKER_DIED", "Answer", "Pool"]

WORKER_DIED = "WorkerDied"

_SIGNAL_HINTS = {
    signal.SIGKILL: "most often because memory ran out: use fewer workers or smaller batches",
    signal.SIGBUS: "most often because the disk is full",
}

Work = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question; ``died`` says how its process ended, where it did."""

    key: Any
    value: Any = None
    died: str = ""


class Pool:
    """At most ``count`` processes; one that dies costs its question alone and is replaced.

    Args:
        count: Number of processes, started when there is work; 0 for one per core.
        work: A function of a module, from question to answer; both are pickled.
        preload: Modules that every process has imported when it starts.
    """

    def __init__(self, count: int, work: Work, preload: Sequence[str] = ()) -> None:
        one_thread()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._count, self._work = count or os.cpu_count() or 1, work
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, _Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._busy.values():
            worker.process.kill()
        for worker in (*self._idle, *self._busy.values()):
            worker.stop()

    @property
    def free(self) -> bool:
        """Whether one more question can be worked on at once."""
        return len(self._busy) < self._count

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._busy)

    def submit(self, key: Any, question: Any) -> None:
        """Gives a question to an idle process, or to a new one."""
        worker = self._idle.pop() if self._idle else _Worker(self._context, self._work)
        self._busy[worker.pipe] = worker
        worker.give(key, question)

    def collect(self, timeout: float) -> list[Answer]:
        """Returns the answers that have come, waiting up to ``timeout`` s for one."""
        answers = []
        for pipe in wait(list(self._busy), timeout):
            assert isinstance(pipe, Connection)
            worker = self._busy.pop(pipe)
            answers.append(worker.answer())
            if answers[-1].died:
                worker.stop()
            else:
                self._idle.append(worker)
        return answers


class _Worker:
    """A process that answers one question after another, and the pipe to it."""

    def __init__(self, context: ForkServerContext, work: Work) -> None:
        self.pipe, far_end = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(far_end, work))
        self.process.start()
        far_end.close()
        self.key: Any = None

    def give(self, key: Any, question: Any) -> None:
        self.key = key
        with suppress(OSError):  # it died meanwhile; answer() says so
            self.pipe.send(question)

    def answer(self) -> Answer:
        """What came of the question; call it when the pipe is ready."""
        try:
            return Answer(self.key, self.pipe.recv())
        except (EOFError, OSError):
            self.process.join()
            return Answer(self.key, died=f"{WORKER_DIED}: {_how_it_ended(self.process.exitcode)}")

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


def _serve(pipe: Connection, work: Work) -> None:
    """Answers in the worker until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        pipe.send(work(question))


def _end_with_parent() -> None:
    """A killed parent must not leave processes that go on computing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
