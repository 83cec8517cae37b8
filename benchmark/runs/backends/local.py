"""Executes jobs in worker processes of this machine, one thread each."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.processes import Pool
from benchmark.runs.job import Job, Workspace
from benchmark.runs.watch import Outcome, Watch

__all__ = ["run_local"]

_PRELOAD = ("benchmark.runs.execute", "benchmark.sklearn_method")
_TICK_SECONDS = 0.5


def run_local(
    jobs: Mapping[str, Job],
    workspace: Workspace,
    workers: int,
    watch: Watch,
) -> list[Outcome]:
    """Runs jobs side by side; one that fails, or ends its process, never stops the others.

    Args:
        jobs: Jobs by run id.
        workspace: Where they read and write.
        workers: Number of processes; 0 for one per core.
        watch: Told in this process.

    Returns:
        One outcome per job, in the order in which they ended.
    """
    place = (str(workspace.root.resolve()), workspace.records)
    queue = deque(jobs)
    outcomes: list[Outcome] = []
    with Pool(workers, _execute, _PRELOAD) as pool:
        while queue or pool.busy:
            while queue and pool.free:
                identity = queue.popleft()
                pool.submit(identity, (jobs[identity].to_json(), identity, place))
            answers = pool.collect(_TICK_SECONDS)
            if not answers:
                watch.tick()
            for answer in answers:
                outcomes.append(Outcome(answer.key, answer.died or answer.value))
                watch.done(outcomes[-1])
    return outcomes


def _execute(question: tuple[dict[str, Any], str, tuple[str, str]]) -> str:
    """Returns the error in one line or a few, or nothing."""
    from benchmark.runs.execute import execute

    job, identity, (root, records) = question
    try:
        execute(Job.from_json(job), identity, Workspace(Path(root), records))
    except BenchmarkError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a method may raise anything; execute() recorded it
        return f"{type(error).__name__}: {error}"
    return ""
