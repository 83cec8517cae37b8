"""Fits one fold of a row anew, as `neurodx run` does, and makes sure that it is the same model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.config import Profile
from benchmark.errors import ConfigError, ResultError
from benchmark.method import Method, RunContext
from benchmark.runs.checkpoints import checkpoint_folder, refuse_pretrained_people
from benchmark.runs.execute import is_done, new_method, note_evaluation
from benchmark.runs.identity import feature_folder, run_id
from benchmark.runs.job import Job, Workspace
from benchmark.runs.ledger import answer_rows
from benchmark.runs.people import Cell, fold_samples, tasks_of
from benchmark.runs.planning import Selection, plan_row
from benchmark.runs.refereeing import referee_jobs
from benchmark.runs.rows import Row
from benchmark.samples import Samples
from benchmark.samples.align import align_samples
from benchmark.store.verified import verify_stores
from benchmark.tasks import Task, get_task

__all__ = ["FittedFold", "Point", "job_of"]


@dataclass(frozen=True, slots=True)
class Point:
    """Which fit is meant; no seed: the profile's first, no protocol: the profile's own."""

    cohort: str
    task: str
    fold: int
    seed: int | None = None
    protocol: str | None = None


def job_of(row: Row, profile: Profile, workspace: Workspace, point: Point) -> Job:
    """The job of a row's plan that fits a task of a cohort on one fold.

    It may fit other tasks and cohorts at once; it is the first of the profile's seeds unless one is
    given.

    Raises:
        ConfigError: The plan has no such job, e.g. because the task is derived from another one.
    """
    plan = profile.plan.get(point.cohort)
    if plan is not None and point.task in plan.derive:
        raise ConfigError(
            f"{point.task!r} is derived from the answers to {plan.derive[point.task]!r} and has no "
            f"fit of its own in profile {profile.name!r}; explain task={plan.derive[point.task]}"
        )
    get_task(point.task)
    select = Selection(cohort=point.cohort, fold=point.fold, seed=point.seed)
    jobs = plan_row(row, profile, workspace, select, point.protocol).jobs
    for job in jobs:
        if job.percent == 100 and any(
            part.cohort == point.cohort and point.task in part.tasks for part in job.parts
        ):
            return job
    fitted = sorted({task for job in jobs for part in job.parts for task in part.tasks})
    raise ConfigError(
        f"{row.name!r} does not fit {point.task!r} on {point.cohort!r} in profile "
        f"{profile.name!r}; it fits {', '.join(fitted)}"
    )


@dataclass
class FittedFold:
    """A fold that was fitted anew.

    Attributes:
        job: The job.
        identity: Its run id.
        method: The fitted method.
        train: Training people, with labels.
        cell: The cohort that is explained, with its people by part.
        task: The task that is explained.
        test: Its test people, aligned with the training people, without labels.
        rows: Their ledger rows of that task.
        verified: Whether the predictions were compared with a run's ledger, and are the same.
    """

    job: Job
    identity: str
    method: Method
    train: Samples
    cell: Cell
    task: Task
    test: Samples
    rows: pd.DataFrame
    verified: bool

    @classmethod
    def fit(
        cls,
        job: Job,
        point: Point,
        workspace: Workspace,
        scratch: Path,
        *,
        without_run: bool = False,
    ) -> FittedFold:
        """Fits a job and compares its test predictions with the run's, bit for bit.

        Args:
            job: The job.
            point: The cohort and task that are explained.
            workspace: Where cohorts, splits and runs lie.
            scratch: An existing folder for checkpoints.
            without_run: Explain the fit even if there is no run to compare it with.

        Raises:
            ResultError: There is no run, or it predicted something else.
        """
        identity = run_id(job, workspace)
        folder = workspace.runs / job.row / identity
        if not is_done(folder) and not without_run:
            raise ResultError(
                f"{job.label}: runs/{job.row}/{identity} is not there, so nothing says that the "
                f"model to be explained is the one on the board; run `{run_command(job)}` first, "
                "or add --without-run to explain a fit that no run vouches for"
            )
        verify_stores(workspace.data / part.cohort for part in (*job.parts, *job.external))
        referee_jobs([job], workspace)
        cells = [Cell.open(job, part, workspace) for part in job.parts]
        outside = [Cell.whole(job, part, workspace) for part in job.external]
        refuse_pretrained_people(job, (*cells, *outside), workspace)
        train, val = fold_samples(job, workspace)
        method = new_method(job)
        context = RunContext(
            seed=job.seed,
            folder=scratch,
            device=job.device,
            precision=job.precision,
            pretrained=checkpoint_folder(job, workspace),
            features=feature_folder(job, workspace),
        )
        method.fit(train, val, tasks_of(job.parts), context)
        cell = next(cell for cell in cells if cell.cohort.name == point.cohort)
        test = align_samples(cell.samples(job, v.TEST).without_labels(), like=train)
        note_evaluation(job, identity, workspace, by="explain")
        found = answer_rows(method, job, cell, v.TEST, test)
        if is_done(folder):
            _compare(found, pd.read_parquet(folder / "predictions.parquet"), job, identity)
        rows = found[found["task"] == point.task].reset_index(drop=True)
        task = get_task(point.task)
        return cls(job, identity, method, train, cell, task, test, rows, is_done(folder))


def run_command(job: Job) -> str:
    """The command that makes a job's run."""
    first = job.parts[0]
    words = ["neurodx run", f"method={job.row}", f"profile={job.profile}", f"cohort={first.cohort}"]
    if len(job.parts) == 1 and len(first.tasks) == 1:
        words.append(f"task={first.tasks[0]}")
    return " ".join([*words, f"fold={job.fold}", f"seed={job.seed}"])


def _compare(found: pd.DataFrame, ledger: pd.DataFrame, job: Job, identity: str) -> None:
    keys = ["cohort", "task", v.PARTICIPANT_ID]
    answers = [c for c in map(str, found) if c.startswith("prob_") or c in ("y_pred", "y_sd")]
    part = ledger[(ledger["part"] == v.TEST) & ledger["cohort"].isin(found["cohort"].unique())]
    old, new = part.set_index(keys)[answers], found.set_index(keys)[answers]
    if not old.index.equals(new.index):
        raise ResultError(
            f"{job.label}: {len(new)} people were predicted, {len(old)} are in the ledger of "
            f"runs/{job.row}/{identity}, and they are not the same; remove that folder and run "
            f"`{run_command(job)}`"
        )
    same = (old == new) | (old.isna() & new.isna())
    if not same.to_numpy().all():
        worst = np.nanmax((old - new).abs().to_numpy())
        raise ResultError(
            f"{job.label}: the fit that was made to be explained predicts something else than "
            f"runs/{job.row}/{identity}: {int((~same.all(axis=1)).sum())} of {len(new)} people "
            f"differ, by {worst:.3g} at most. Fits are equal on one machine with one number of "
            f"threads only; remove that folder and run `{run_command(job)}` here"
        )
