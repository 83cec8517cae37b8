"""Runs a board row: what is cached stays, what is missing is executed, what fails is recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.config import Profile
from benchmark.processes import WORKER_DIED
from benchmark.runs.backends import run_local
from benchmark.runs.backends.team import run_team
from benchmark.runs.execute import failure_path, is_done, record_failure
from benchmark.runs.identity import run_id
from benchmark.runs.job import FEW_LABEL, Job, Workspace, plan_file, protocol_label
from benchmark.runs.planning import Plan, Selection, plan_row
from benchmark.runs.refereeing import referee_jobs
from benchmark.runs.rows import Row
from benchmark.runs.team import Team, refuse_idle_processes
from benchmark.runs.watch import Watch
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
    protocol: str | None = None,
    watch: Watch | None = None,
) -> Report:
    """Executes what a row lacks and writes its ``plan.json``.

    Started by ``torchrun``, the jobs run in its processes, one after the other; otherwise in worker
    processes, side by side.

    Args:
        row: The board row.
        profile: The profile.
        workspace: Where cohorts, splits and runs lie.
        select: Narrows the plan; ``plan.json`` is then left as it is. Otherwise it is written
            before the first job, so that no older plan is read after an interruption, and again at
            the end.
        protocol: A protocol besides the profile's own; its plan is ``plan.<protocol>.json``.
        watch: Told how the jobs go.

    Returns:
        What is cached, what was done, what failed.

    Raises:
        CohortError: A cohort that jobs to run would read is damaged; nothing is run.
        LeakageError: Their folds would leak, or are not of this cohort; nothing is run.
    """
    watch = watch or Watch()
    team = Team.here()
    refuse_idle_processes(team, row.name, row.config)
    plan = plan_row(row, profile, workspace, select, protocol)
    jobs = {run_id(job, workspace, team.size): job for job in plan.jobs}
    folder = workspace.runs / row.name
    if team.leads:
        folder.mkdir(parents=True, exist_ok=True)
    cached = tuple(identity for identity in jobs if is_done(folder / identity))
    missing = {identity: job for identity, job in jobs.items() if identity not in cached}
    if team.leads and select is None:
        _write_plan(row, profile, workspace, plan, jobs, {})
    # Run ids are made of the hashes that the datasheet states, so the files must still have them.
    parts = [part for job in missing.values() for part in (*job.parts, *job.external)]
    verify_stores(workspace.data / part.cohort for part in parts)
    referee_jobs(missing.values(), workspace)
    watch.start(missing, len(cached))
    if team.size > 1:
        team = team.opened(profile.device)
        outcomes = run_team(jobs, missing, workspace, team, watch)
    else:
        outcomes = run_local(missing, workspace, profile.workers, watch) if missing else []
    failed = {outcome.identity: outcome.error for outcome in outcomes if outcome.error}
    for identity, error in failed.items():
        if error.startswith(WORKER_DIED):  # it could not write down why
            record_failure(jobs[identity], identity, workspace, error)
    if team.leads and select is None:
        _write_plan(row, profile, workspace, plan, jobs, failed)
    if team.size > 1:
        team.agree(False)  # nobody leaves before the plan is written
        team.close()
    done = tuple(outcome.identity for outcome in outcomes if not outcome.error)
    return Report(row.name, cached, done, failed, jobs)


def _write_plan(
    row: Row,
    profile: Profile,
    workspace: Workspace,
    planned: Plan,
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
        parts = [{"cohort": part.cohort, "tasks": list(part.tasks)} for part in job.parts]
        runs.append(
            {
                "run_id": identity,
                "cohort": "+".join(part.cohort for part in job.parts),
                "tasks": [task for part in job.parts for task in part.tasks],
                "parts": parts,
                "derived": {
                    task: source
                    for part in job.parts
                    for task, source in profile.plan[part.cohort].derive.items()
                    if source in part.tasks
                },
                "external": {part.cohort: list(part.tasks) for part in job.external},
                "track": job.track,
                "protocol": job.shown_protocol,
                "split": job.protocol,
                "percent": job.percent,
                "fold": job.fold,
                "seed": job.seed,
                "status": "done" if done else "failed" if error else "missing",
                "error": error,
            }
        )
    write_json(
        workspace.runs / row.name / plan_file(planned.protocol),
        {
            "method": row.name,
            "title": row.title,
            "profile": profile.name,
            "tuned": row.tuned,
            "runs": runs,
            "omitted": [_omitted(row, profile, *point) for point in planned.omitted],
        },
    )


def _omitted(row: Row, profile: Profile, cohort: str, task: str, percent: int) -> dict[str, Any]:
    derive = profile.plan[cohort].derive
    return {
        "cohort": cohort,
        "tasks": [task],
        "derived": {other: source for other, source in derive.items() if source == task},
        "track": row.track,
        "protocol": protocol_label(FEW_LABEL, percent),
        "reason": f"omitted: a class has fewer than 2 training people at {percent} %",
    }
