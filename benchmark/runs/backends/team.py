"""Executes jobs in the processes that ``torchrun`` started, one job after the other, in all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from benchmark.errors import BenchmarkError, RunFailed
from benchmark.runs.execute import assist, execute, record_failure
from benchmark.runs.job import Job, Workspace
from benchmark.runs.team import Team
from benchmark.runs.watch import Outcome, Watch

__all__ = ["run_team"]

_GRACE = timedelta(seconds=20)


def run_team(
    jobs: Mapping[str, Job],
    missing: Collection[str],
    workspace: Workspace,
    team: Team,
    watch: Watch,
) -> list[Outcome]:
    """Runs jobs one by one; the first failure ends it, for the processes are then out of step.

    Args:
        jobs: All jobs by run id, the same in every process.
        missing: Those to run; what the leading process says counts.
        workspace: Where they read and write.
        team: This process among the others, opened.
        watch: Told after each job.

    Returns:
        One outcome per job that was begun.

    Raises:
        RunFailed: This process failed and the leading one did not.
    """
    outcomes: list[Outcome] = []
    for identity, job in jobs.items():
        if team.leads and identity not in missing:
            team.agree(False)
            continue
        outcome = _lead(job, identity, workspace, team) if team.leads else None
        if outcome is None and not team.leads:
            outcome = _follow(job, identity, workspace, team)
        if outcome is None:
            continue
        outcomes.append(outcome)
        watch.done(outcome)
        if outcome.error:
            break
    return outcomes


def _lead(job: Job, identity: str, workspace: Workspace, team: Team) -> Outcome:
    error, ran = "", False
    try:
        ran = execute(job, identity, workspace, team)
    except Exception as problem:  # noqa: BLE001 - a method may raise anything; it is recorded
        error = _said(problem)
    team.agree(ran and not error)
    return Outcome(identity, error)


def _follow(job: Job, identity: str, workspace: Workspace, team: Team) -> Outcome | None:
    """Takes part in a job; None where there was nothing to do."""
    try:
        if not assist(job, identity, workspace, team):
            return None
    except Exception as problem:
        error = _said(problem)
        try:
            failed_everywhere = not team.agree(True, _GRACE)
        except RunFailed:
            failed_everywhere = False
        if failed_everywhere:
            return Outcome(identity, error)
        record_failure(job, identity, workspace, f"process {team.rank}: {error}")
        raise RunFailed(f"process {team.rank} of {team.size} failed alone: {error}") from problem
    return Outcome(identity, "" if team.agree(True) else "process 0 failed")


def _said(error: Exception) -> str:
    text = str(error)
    return text if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {text}"
