"""Which jobs a board row asks for under a profile."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.config import CohortPlan, Profile
from benchmark.runs.job import Job, Part, Workspace
from benchmark.runs.rows import Row
from benchmark.samples.build import modality_mask
from benchmark.splitting import read_split
from benchmark.store import Cohort
from benchmark.tracks import SOURCES, get_track

__all__ = ["Selection", "plan_jobs"]

_NOWHERE = "unknown"


class Selection:
    """Narrows a plan to one cohort, task, fold or seed; None keeps all."""

    def __init__(
        self,
        cohort: str | None = None,
        task: str | None = None,
        fold: int | None = None,
        seed: int | None = None,
    ) -> None:
        self.cohort, self.task, self.fold, self.seed = cohort, task, fold, seed


def plan_jobs(
    row: Row, profile: Profile, workspace: Workspace, select: Selection | None = None
) -> list[Job]:
    """Lists the runs of a row: every cohort and task that it can serve, every fold and seed.

    Args:
        row: The board row.
        profile: The profile.
        workspace: Where cohorts and splits lie.
        select: What to narrow the plan to.
    """
    select = select or Selection()
    jobs = []
    for name, plan in profile.plan.items():
        if select.cohort not in (None, name):
            continue
        tasks = [t for t in plan.fit if t in row.info.tasks and select.task in (None, t)]
        cohort = Cohort(workspace.data / name)
        if not tasks or not serves(row, cohort):
            continue
        split = read_split(workspace.splits / name, profile.protocol)
        folds = range(split.n_folds * split.n_repeats)
        groups = [tuple(tasks)] if row.info.multitask else [(task,) for task in tasks]
        jobs += [
            _job(row, profile, name, plan, group, fold, seed)
            for group in groups
            for seed in profile.seeds
            if select.seed in (None, seed)
            for fold in folds
            if select.fold in (None, fold)
        ]
    return jobs


def serves(row: Row, cohort: Cohort) -> bool:
    """Whether a cohort holds what the row's method needs of its track."""
    modalities_needed = row.info.requires
    if not all(modality_mask(cohort, m).any() for m in modalities_needed):
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
    plan: CohortPlan,
    tasks: Sequence[str],
    fold: int,
    seed: int,
) -> Job:
    external = tuple(
        Part(other, tuple(t for t in wanted if t in tasks))
        for other, wanted in plan.external.items()
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
