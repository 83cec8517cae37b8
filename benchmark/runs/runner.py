"""Runs a board row: what is cached stays, what is missing is executed, what fails is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmark.config import Profile
from benchmark.runs.backends import run_local
from benchmark.runs.backends.local import Outcome
from benchmark.processes import WORKER_DIED
from benchmark.runs.execute import failure_path, is_done, record_failure
from benchmark.runs.identity import run_id
from benchmark.runs.job import Job, Workspace
from benchmark.runs.planning import Selection, plan_jobs
from benchmark.runs.rows import Row
from benchmark.store.atomic import write_json
from benchmark.store.verified import verify_stores

__all__ = ["Report", "run_row"]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a row's jobs, as run ids."""

    row: str
    cached: tuple[str, ...]
    done: tuple[str, ...]
    failed: Mapping[str, str]
    jobs: Mapping[str, Job]


def run_row(
    row: Row,
    profile: Profile,
    workspace: Workspace,
    *,
    select: Selection | None = None,
    on_start: Callable[[Mapping[str, Job], int], None] | None = None,
    on_done: Callable[[Outcome], None] | None = None,
    on_tick: Callable[[], None] | None = None,
) -> Report:
    """Executes what a row lacks and writes its ``plan.json``.

    Args:
        row: The board row.
        profile: The profile.
        workspace: Where cohorts, splits and runs lie.
        select: Narrows the plan; ``plan.json`` is then left as it is. Otherwise it is written
            before the first job, so that no older plan is read after an interruption, and again at
            the end.
        on_start: Called with the jobs to run and the number already cached.
        on_done: Called after each job.
        on_tick: Called while waiting.

    Returns:
        What is cached, what was done, what failed.

    Raises:
        CohortError: A cohort that jobs to run would read is damaged; nothing is run.
    """
    jobs = {run_id(job, workspace): job for job in plan_jobs(row, profile, workspace, select)}
    folder = workspace.runs / row.name
    folder.mkdir(parents=True, exist_ok=True)
    cached = tuple(identity for identity in jobs if is_done(folder / identity))
    missing = {identity: job for identity, job in jobs.items() if identity not in cached}
    if select is None:
        _write_plan(row, profile, workspace, jobs, {})
    # Run ids are made of the hashes that the datasheet states, so the files must still have them.
    parts = [part for job in missing.values() for part in (*job.parts, *job.external)]
    verify_stores(workspace.data / part.cohort for part in parts)
    if on_start:
        on_start(missing, len(cached))
    outcomes = (
        run_local(missing, workspace, profile.workers, on_done or _ignore, on_tick)
        if missing
        else []
    )
    failed = {outcome.identity: outcome.error for outcome in outcomes if outcome.error}
    for identity, error in failed.items():
        if error.startswith(WORKER_DIED):  # it could not write down why
            record_failure(jobs[identity], identity, workspace, error)
    if select is None:
        _write_plan(row, profile, workspace, jobs, failed)
    done = tuple(outcome.identity for outcome in outcomes if not outcome.error)
    return Report(row.name, cached, done, failed, jobs)


def _ignore(_: Outcome) -> None:
    """Drops an outcome."""


def _write_plan(
    row: Row,
    profile: Profile,
    workspace: Workspace,
    jobs: Mapping[str, Job],
    failed: Mapping[str, str],
) -> None:
    """Lists the runs that the current inputs ask for; scoring reads these and no others."""
    runs = []
    for identity, job in jobs.items():
        done = is_done(workspace.runs / row.name / identity)
        error = failed.get(identity)
        if not done and error is None:
            path = failure_path(workspace, job, identity)
            error = json.loads(path.read_text())["error"] if path.is_file() else None
        cohort = job.parts[0].cohort
        plan = profile.plan[cohort]
        runs.append(
            {
                "run_id": identity,
                "cohort": cohort,
                "tasks": [task for part in job.parts for task in part.tasks],
                "derived": {
                    task: source
                    for task, source in plan.derive.items()
                    if source in job.parts[0].tasks
                },
                "external": {part.cohort: list(part.tasks) for part in job.external},
                "track": job.track,
                "protocol": job.protocol,
                "fold": job.fold,
                "seed": job.seed,
                "status": "done" if done else "failed" if error else "missing",
                "error": error,
            }
        )
    write_json(
        workspace.runs / row.name / "plan.json",
        {
            "method": row.name,
            "title": row.title,
            "profile": profile.name,
            "tuned": row.tuned,
            "runs": runs,
        },
    )
