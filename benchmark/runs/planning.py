"""Which jobs a board row asks for under a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.config import CohortPlan, Profile
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.runs.job import Job, Part, Workspace
from benchmark.runs.readiness import ready_cohort, ready_split
from benchmark.runs.rows import Row
from benchmark.samples.build import modality_mask
from benchmark.store import Cohort
from benchmark.tasks import get_task
from benchmark.tracks import SOURCES, get_track

__all__ = ["Selection", "plan_jobs"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Narrows a plan to one cohort, task, fold or seed; None keeps all."""

    cohort: str | None = None
    task: str | None = None
    fold: int | None = None
    seed: int | None = None


def plan_jobs(
    row: Row, profile: Profile, workspace: Workspace, select: Selection | None = None
) -> list[Job]:
    """Lists the runs of a row: every cohort and task that it can serve, every fold and seed.

    Args:
        row: The board row.
        profile: The profile.
        workspace: Where cohorts and splits lie.
        select: What to narrow the plan to.

    Raises:
        UnknownNameError: ``select`` names a cohort that the profile does not plan, or no task.
        ConfigError: Nothing is left of the plan.
        CohortError: A planned cohort has not been prepared.
        SplitError: It has not been split.
    """
    narrowed = select is not None
    select = select or Selection()
    if select.cohort is not None and select.cohort not in profile.plan:
        raise UnknownNameError(f"cohort of profile {profile.name!r}:", select.cohort, profile.plan)
    if select.task is not None:
        get_task(select.task)
    jobs = []
    for name, plan in profile.plan.items():
        if select.cohort not in (None, name):
            continue
        tasks = [t for t in plan.fit if select.task in (None, t) and _answers(row, t)]
        if not tasks or not serves(row, ready_cohort(name, profile.name, workspace)):
            continue
        split = ready_split(name, profile.protocol, profile.name, workspace)
        folds = range(split.n_folds * split.n_repeats)
        outside = _external(row, plan, profile, workspace)
        groups = [tuple(tasks)] if row.info.multitask else [(task,) for task in tasks]
        jobs += [
            _job(row, profile, name, outside, group, fold, seed)
            for group in groups
            for seed in profile.seeds
            if select.seed in (None, seed)
            for fold in folds
            if select.fold in (None, fold)
        ]
    if narrowed and not jobs:
        plans = "; ".join(f"{c}: {', '.join(p.fit)}" for c, p in profile.plan.items())
        raise ConfigError(
            f"nothing to run: {row.name!r} answers {', '.join(row.tasks)} with the track "
            f"{row.track!r}, profile {profile.name!r} plans {plans} ({profile.protocol}, seeds "
            f"{', '.join(map(str, profile.seeds))}), and no run of both matches {select}"
        )
    return jobs


def _answers(row: Row, task: str) -> bool:
    closed = get_task(task).forbidden_sources & get_track(row.track)
    return task in row.tasks and (row.info.copes_with_missing or not closed)


def _external(
    row: Row, plan: CohortPlan, profile: Profile, workspace: Workspace
) -> dict[str, list[str]]:
    """The external cohorts that hold what the row needs."""
    return {
        other: tasks
        for other, tasks in plan.external.items()
        if serves(row, ready_cohort(other, profile.name, workspace))
    }


def serves(row: Row, cohort: Cohort) -> bool:
    """Whether a cohort holds what the row's method needs of its track."""
    if not all(modality_mask(cohort, modality).any() for modality in row.info.requires):
        return False
    sources = get_track(row.track)
    held = [source for source in sources if _holds(cohort, source)]
    if row.info.copes_with_missing:
        return bool(held) or not sources
    return len(held) == len(sources)


def _holds(cohort: Cohort, source: str) -> bool:
    modality = SOURCES[source].modality
    if modality:
        return bool(modality_mask(cohort, modality).any())
    index = cohort.index_visits
    columns = [c for c in SOURCES[source].columns if c in index and index[c].notna().any()]
    if source == "site":
        return bool(columns) and index[columns[0]].nunique() > 1
    if source == "head_size":
        return bool(columns) or cohort.has("regions")
    return bool(columns)


def _job(
    row: Row,
    profile: Profile,
    cohort: str,
    outside: Mapping[str, Sequence[str]],
    tasks: Sequence[str],
    fold: int,
    seed: int,
) -> Job:
    external = tuple(
        Part(other, tuple(t for t in wanted if t in tasks))
        for other, wanted in outside.items()
        if set(wanted) & set(tasks)
    )
    return Job(
        row=row.name,
        method=row.info.name,
        track=row.track,
        parts=(Part(cohort, tuple(tasks)),),
        protocol=profile.protocol,
        fold=fold,
        seed=seed,
        profile=profile.name,
        config=row.config,
        external=external,
        tuned=row.tuned,
        device=profile.device,
        precision=profile.precision,
    )
