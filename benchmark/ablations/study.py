"""Fits the arms of claims, and compares them once all are there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark import vocabulary as v
from benchmark.ablations.claims import CONFIDENCE, TRANSFER, Arm, Claim
from benchmark.config import Profile
from benchmark.errors import BenchmarkError, ConfigError, ResultError
from benchmark.results.ablation import (
    confidence_lines,
    contrast_line,
    order_lines,
    transfer_line,
    unjudged_line,
)
from benchmark.results.derive import derive_binary
from benchmark.results.ledger import Ledger, RowKey
from benchmark.results.schema import EXTERNAL_PROTOCOL
from benchmark.runs.backends import run_local
from benchmark.runs.execute import is_done
from benchmark.runs.identity import run_id
from benchmark.runs.job import FEW_LABEL, Job, Workspace
from benchmark.runs.planning import Selection, plan_row
from benchmark.runs.refereeing import referee_jobs
from benchmark.runs.rows import resolve_row
from benchmark.runs.watch import Watch
from benchmark.store.verified import verify_stores
from benchmark.tasks import get_task

__all__ = ["Study", "plan_study", "record", "run_study", "standing", "study_lines", "unjudged"]


@dataclass(frozen=True)
class Study:
    """What claims ask for.

    Attributes:
        claims: By name.
        jobs: Every run, by run id; arms of several claims share runs.
        runs: By claim, arm and fitted task: the run ids, by seed and fold.
    """

    claims: Mapping[str, Claim]
    jobs: Mapping[str, Job]
    runs: Mapping[tuple[str, str, str], tuple[str, ...]]


def plan_study(claims: Mapping[str, Claim], profile: Profile, workspace: Workspace) -> Study:
    """Lists the runs of all arms.

    Raises:
        UnknownNameError: An arm names no board row, or a claim no cohort or task of the profile.
        ConfigError: An arm has nothing to run.
    """
    jobs: dict[str, Job] = {}
    runs: dict[tuple[str, str, str], tuple[str, ...]] = {}
    claims = {name: claim.standing_in(profile.stand_ins) for name, claim in claims.items()}
    for name, claim in claims.items():
        for arm_name, arm in claim.arms.items():
            for task in dict.fromkeys(_fitted(claim, profile).values()):
                planned = _jobs(claim, arm, task, profile, workspace)
                if not planned:
                    raise ConfigError(
                        f"claim {name!r}, arm {arm_name!r}: {arm.row!r} has nothing to run for "
                        f"{task!r} on {claim.cohort!r}; correct configs/ablation/{name}.yaml"
                    )
                by_id = {run_id(job, workspace): job for job in planned}
                jobs |= by_id
                runs[name, arm_name, task] = tuple(by_id)
    return Study(claims, jobs, runs)


def record(identity: str, job: Job, workspace: Workspace) -> Path:
    """Where a run of a claim is kept: with the board's where it is one of them, else apart."""
    of_board = workspace.runs / job.row / identity
    return of_board if is_done(of_board) else workspace.for_ablations().runs / job.row / identity


def standing(name: str, claim: Claim, profile: Profile, workspace: Workspace) -> str:
    """How many runs a claim needs and how many are there; or what must be made first."""
    try:
        jobs = plan_study({name: claim}, profile, workspace).jobs
    except BenchmarkError as error:
        return f"not ready: {error}"
    done = sum(is_done(record(i, job, workspace)) for i, job in jobs.items())
    return f"{len(jobs)} runs, {done} done"


def run_study(
    study: Study,
    profile: Profile,
    workspace: Workspace,
    watch: Watch | None = None,
) -> dict[str, str]:
    """Executes what is not there; the same call goes on after an interruption.

    Returns:
        Errors of the runs that failed, by run id.
    """
    missing = {
        identity: job
        for identity, job in study.jobs.items()
        if not is_done(record(identity, job, workspace))
    }
    parts = [part for job in missing.values() for part in (*job.parts, *job.external)]
    verify_stores(workspace.data / part.cohort for part in parts)
    referee_jobs(missing.values(), workspace)
    watch = watch or Watch()
    watch.start(missing, len(study.jobs) - len(missing))
    if not missing:
        return {}
    ours = workspace.for_ablations()
    outcomes = run_local(missing, ours, profile.workers, watch)
    return {outcome.identity: outcome.error for outcome in outcomes if outcome.error}


def study_lines(
    study: Study, profile: Profile, workspace: Workspace
) -> Iterator[tuple[str, list[dict[str, Any]] | str]]:
    """Compares the arms of each claim.

    Yields:
        A claim's name and its lines, or why it cannot be judged.
    """
    for name, claim in study.claims.items():
        try:
            lines = [
                {"claim": name, "task": task, "metric": get_task(task).primary_metric, **line}
                for task in claim.tasks
                for line in _lines(study, name, task, profile, workspace)
            ]
            lines += _contrast(study, name, profile, workspace)
        except ResultError as error:
            yield name, str(error)
        else:
            facts = _facts(claim) | {"commit": _commits(study, name, workspace)}
            yield name, [{**facts, **line} for line in lines]


def unjudged(name: str, claim: Claim, why: str) -> list[dict[str, Any]]:
    """Lines of a claim that cannot be judged, one a task: they take the place of earlier ones."""
    facts = {"claim": name, "commit": "", **_facts(claim), **unjudged_line(why)}
    return [facts | {"task": task, "metric": get_task(task).primary_metric} for task in claim.tasks]


def _facts(claim: Claim) -> dict[str, Any]:
    return {"cohort": claim.cohort, "kind": claim.kind, "seeds": len(claim.seeds)}


def _commits(study: Study, name: str, workspace: Workspace) -> str:
    """The code that a claim's runs were fitted by: short commits, ``+`` where files differed."""
    found = set()
    for (claim, _, _), ids in study.runs.items():
        for identity in ids if claim == name else ():
            folder = record(identity, study.jobs[identity], workspace)
            commit = str(json.loads((folder / "result.json").read_text())["commit"] or "")
            found.add(commit[:10] + commit[40:])
    return ", ".join(sorted(found - {""}))


def _lines(
    study: Study, name: str, task: str, profile: Profile, workspace: Workspace
) -> list[dict[str, Any]]:
    claim, facts = study.claims[name], get_task(task)
    n = profile.n_resamples

    def ledger(arm: str, cohort: str, part: str) -> Ledger:
        return _ledger(study, (name, arm, task), cohort, part, profile, workspace)

    if claim.kind == TRANSFER:
        (arm,) = claim.arms
        home = ledger(arm, claim.cohort, v.TEST)
        away = ledger(arm, claim.external, v.EXTERNAL)
        return [transfer_line(home, away, facts, n_resamples=n)]
    if claim.kind == CONFIDENCE:
        (arm,) = claim.arms
        home = ledger(arm, claim.cohort, v.TEST)
        lines = confidence_lines(home, facts, n_resamples=n)
        return [{**line, "metric": "accuracy"} for line in lines]
    ledgers = {arm: ledger(arm, claim.cohort, v.TEST) for arm in claim.arms}
    return order_lines(ledgers, facts, to_first=claim.to_first, n_resamples=n)


def _contrast(
    study: Study, name: str, profile: Profile, workspace: Workspace
) -> list[dict[str, Any]]:
    claim = study.claims[name]
    if not claim.contrast:
        return []
    ledgers = {
        task: {
            arm: _ledger(study, (name, arm, task), claim.cohort, v.TEST, profile, workspace)
            for arm in claim.arms
        }
        for task in claim.contrast
    }
    more, less = (get_task(task) for task in claim.contrast)
    line = contrast_line(ledgers, (more, less), n_resamples=profile.n_resamples)
    task = f"{more.name} - {less.name}"
    return [{"claim": name, "task": task, "metric": more.primary_metric, **line}]


def _fitted(claim: Claim, profile: Profile) -> dict[str, str]:
    """By task of a claim, the one that is fitted for it."""
    derive = profile.plan[claim.cohort].derive if claim.cohort in profile.plan else {}
    return {task: derive.get(task, task) for task in claim.tasks}


def _jobs(claim: Claim, arm: Arm, task: str, profile: Profile, workspace: Workspace) -> list[Job]:
    row = resolve_row(arm.row, profile, arm.config)
    seeded = dataclasses.replace(profile, seeds=list(claim.seeds))
    select = Selection(cohort=claim.cohort, task=None if row.multitask else task)
    plan = plan_row(row, seeded, workspace, select, claim.protocol or None)
    return [
        job
        for job in plan.jobs
        if job.percent == arm.percent and any(task in part.tasks for part in job.parts)
    ]


def _ledger(
    study: Study,
    what: tuple[str, str, str],
    cohort: str,
    part: str,
    profile: Profile,
    workspace: Workspace,
) -> Ledger:
    """The predictions of an arm over all folds and seeds.

    Raises:
        ResultError: A run is not there.
    """
    name, arm, task = what
    claim = study.claims[name]
    base = _fitted(claim, profile)[task]
    frames = []
    for identity in study.runs[name, arm, base]:
        job = study.jobs[identity]
        folder = record(identity, job, workspace)
        if not is_done(folder):
            raise ResultError(
                f"{job.label}: not run, or failed; run `neurodx ablate --only {name}`"
            )
        frame = pd.read_parquet(folder / "predictions.parquet")
        frame = frame.loc[
            (frame["cohort"] == cohort) & (frame["task"] == base) & (frame["part"] == part)
        ]
        if base != task:
            frame = derive_binary(frame, get_task(base).classes, get_task(task).classes)
        frames.append(frame.assign(seed=job.seed, fold=job.fold))
    protocol = EXTERNAL_PROTOCOL if part == v.EXTERNAL else claim.protocol or profile.protocol
    if protocol == FEW_LABEL:
        protocol = study.jobs[study.runs[name, arm, base][0]].shown_protocol
    key = RowKey(cohort, task, "arm", protocol, arm, "" if base == task else base)
    return Ledger(key, pd.concat(frames, ignore_index=True))
