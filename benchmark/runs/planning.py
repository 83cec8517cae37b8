"""Which jobs a board row asks for under a profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from benchmark import vocabulary as v
from benchmark.config import CohortPlan, Profile, load_suite
from benchmark.errors import ConfigError, SplitError, UnknownNameError
from benchmark.runs.job import Job, Part, Workspace
from benchmark.runs.people import Cell
from benchmark.runs.readiness import ready_cohort, ready_split
from benchmark.runs.rows import Row, is_open
from benchmark.samples.build import modality_mask
from benchmark.splitting import FEW_LABEL_PERCENTS, PROTOCOLS, Split
from benchmark.splitting.few_label import LEAST_PER_CLASS
from benchmark.splitting.protocols import EXTERNAL
from benchmark.splitting.split import FEW_LABEL, columns_of
from benchmark.store import Cohort
from benchmark.tasks import get_task, labels_for
from benchmark.tracks import SOURCES, get_track

__all__ = ["Plan", "Selection", "other_protocol", "plan_jobs", "plan_row"]

_SAME_FOLDS = "3fold"  # those of few-label at 100 %


@dataclass(frozen=True, slots=True)
class Selection:
    """Narrows a plan to one cohort, task, fold or seed; None keeps all."""

    cohort: str | None = None
    task: str | None = None
    fold: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a row runs.

    Attributes:
        jobs: The runs.
        omitted: Points of ``few-label`` that are too small to be run: ``cohort task percent``.
        protocol: The protocol, where it is not the profile's own; otherwise None.
    """

    jobs: tuple[Job, ...]
    omitted: tuple[tuple[str, str, int], ...] = ()
    protocol: str | None = None


def plan_jobs(
    row: Row, profile: Profile, workspace: Workspace, select: Selection | None = None
) -> list[Job]:
    """The runs of :func:`plan_row` by the profile's own protocol."""
    return list(plan_row(row, profile, workspace, select).jobs)


def plan_row(
    row: Row,
    profile: Profile,
    workspace: Workspace,
    select: Selection | None = None,
    protocol: str | None = None,
) -> Plan:
    """Lists the runs of a row: every cohort and task that it can serve, every fold and seed.

    A protocol besides the profile's own takes the cohorts that are split by it, and predicts no
    external cohort: external rows belong to the models of the default job. ``few-label`` is run at
    every percentage, but where a fold leaves a class of the task fewer than two training people
    whom the row can use, and but for 100 % where the default job has just these fits.

    Args:
        row: The board row.
        profile: The profile.
        workspace: Where cohorts and splits lie.
        select: What to narrow the plan to.
        protocol: A protocol besides the profile's own.

    Raises:
        UnknownNameError: ``select`` names a cohort that the profile does not plan, or no task; or
            there is no such protocol.
        ConfigError: Nothing is left of the plan.
        CohortError: A planned cohort has not been prepared.
        SplitError: It has not been split; or ``few-label`` has other folds than the default job,
            from which its point at 100 % is taken.
    """
    protocol = other_protocol(protocol, profile)
    narrowed = select is not None
    select = select or Selection()
    if select.cohort is not None and select.cohort not in profile.plan:
        raise UnknownNameError(f"cohort of profile {profile.name!r}:", select.cohort, profile.plan)
    if select.task is not None:
        get_task(select.task)
    planner = _Planner(row, profile, workspace, select, protocol)
    plans = planner.plans()
    jobs = tuple(job for plan in plans for job in plan.jobs)
    if protocol and not any(map(planner.is_split, profile.plan)):
        cohort = select.cohort or next(iter(profile.plan))
        raise ConfigError(
            f"no cohort of profile {profile.name!r} is split by {protocol!r}; run `neurodx splits "
            f"make --cohort {cohort} --protocol {protocol} --profile {profile.name}`"
        )
    if narrowed and not jobs:
        asked = "; ".join(f"{c}: {', '.join(p.fit)}" for c, p in profile.plan.items())
        raise ConfigError(
            f"nothing to run: {row.name!r} answers {', '.join(row.tasks)} with the track "
            f"{row.track!r}, profile {profile.name!r} plans {asked} "
            f"({protocol or profile.protocol}, seeds {', '.join(map(str, profile.seeds))}), and no "
            f"run of both matches {select}"
        )
    omitted = {point for plan in plans for point in plan.omitted}
    return Plan(jobs, tuple(sorted(omitted)), protocol)


def other_protocol(protocol: str | None, profile: Profile) -> str | None:
    """The protocol that is asked for, where it is not the profile's own; otherwise None.

    Raises:
        UnknownNameError: There is no such protocol.
        ConfigError: It has no fits of its own.
    """
    if protocol in (None, profile.protocol):
        return None
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS, "neurodx splits make --help")
    if protocol == EXTERNAL:
        raise ConfigError(
            "protocol 'external' has no fits of its own: the models of the default job predict the "
            "external cohorts; expected one of "
            f"{', '.join(p for p in PROTOCOLS if p != EXTERNAL)}; run `neurodx run` without it"
        )
    return protocol


@dataclass(frozen=True, slots=True)
class _Planner:
    row: Row
    profile: Profile
    workspace: Workspace
    select: Selection
    other: str | None

    @property
    def protocol(self) -> str:
        return self.other or self.profile.protocol

    def is_split(self, cohort: str) -> bool:
        """Whether another protocol than the profile's own is meant for a cohort."""
        path = self.workspace.splits / cohort / f"{self.protocol}.csv"
        return self.protocol in self.profile.plan[cohort].protocols or path.is_file()

    def plans(self) -> list[Plan]:
        """The runs of every cohort, or of the suite; a cohort that is selected brings its suite."""
        wanted = self.select.cohort
        suite = load_suite(self.row.suite, self.profile).parts if self.row.suite else {}
        if suite:
            return [self.suite(suite)] if wanted is None or wanted in suite else []
        return [self.cohort(name) for name in self.profile.plan if wanted in (None, name)]

    def _tasks(self, name: str) -> list[str]:
        """The tasks to fit on a cohort; none where the row cannot serve it."""
        row, profile = self.row, self.profile
        tasks = [
            task
            for task in profile.plan[name].fit
            if self.select.task in (None, task) and _answers(row, task)
        ]
        if not tasks or (self.other and not self.is_split(name)):
            return []
        return tasks if serves(row, ready_cohort(name, profile.name, self.workspace)) else []

    def suite(self, suite: Mapping[str, Sequence[str]]) -> Plan:
        """The runs over several cohorts; each takes the same fold of every one.

        A cohort without a task that the row can serve is left out; a task that is selected is
        fitted alone.

        Raises:
            UnknownNameError: The suite names a task that does not exist.
            ConfigError: The profile plans none of its cohorts, the cohorts have different numbers
                of folds, or one of them is external to another.
        """
        profile = self.profile
        for task in {task for tasks in suite.values() for task in tasks}:
            get_task(task)
        if not suite.keys() & profile.plan.keys():
            raise ConfigError(
                f"{self.row.name!r} is fitted on suite {self.row.suite!r}, {', '.join(suite)}; "
                f"profile {profile.name!r} plans {', '.join(profile.plan) or 'nothing'}: give the "
                "profile `stand_ins` for the suite's cohorts"
            )
        fitted = {
            name: tuple(t for t in self._tasks(name) if t in tasks)
            for name, tasks in suite.items()
            if name in profile.plan
        }
        parts = tuple(Part(name, tasks) for name, tasks in fitted.items() if tasks)
        splits = [
            ready_split(part.cohort, self.protocol, profile.name, self.workspace) for part in parts
        ]
        folds = {split.n_folds * split.n_repeats for split in splits}
        if len(folds) > 1 or (splits and splits[0].protocol == FEW_LABEL):
            raise ConfigError(
                f"{self.row.name!r} fits {', '.join(p.cohort for p in parts)} at once; protocol "
                f"{self.protocol!r} cuts them into {sorted(folds)} folds and cannot be shared; "
                "take one with equal folds of every label: 3fold, 5fold or 5x5fold"
            )
        outside = {} if self.other else self._outside([part.cohort for part in parts])
        jobs = [
            self._job(parts, outside, (fold, seed, 100))
            for seed in profile.seeds
            if self.select.seed in (None, seed)
            for fold in range(max(folds, default=0))
            if self.select.fold in (None, fold)
        ]
        return Plan(tuple(jobs))

    def _outside(self, cohorts: Sequence[str]) -> dict[str, list[str]]:
        """External cohorts of several, each with all the tasks that any of them names."""
        found: dict[str, list[str]] = {}
        for cohort in cohorts:
            plan = self.profile.plan[cohort]
            for name, tasks in _external(self.row, plan, self.profile, self.workspace).items():
                if name in cohorts:
                    raise ConfigError(
                        f"{self.row.name!r} fits {', '.join(cohorts)} at once, but profile "
                        f"{self.profile.name!r} has {name} predicted as external to {cohort}; take "
                        f"it out of suite {self.row.suite!r}, or out of plan.{cohort}.external"
                    )
                found[name] = list(dict.fromkeys([*found.get(name, ()), *tasks]))
        return found

    def cohort(self, name: str) -> Plan:
        """The runs on one cohort; a fit omits a percentage task by task."""
        row, profile, select = self.row, self.profile, self.select
        plan = profile.plan[name]
        tasks = self._tasks(name)
        if not tasks:
            return Plan(())
        split = ready_split(name, self.protocol, profile.name, self.workspace)
        few = split.protocol == FEW_LABEL
        percents: tuple[int, ...] = FEW_LABEL_PERCENTS if few else (100,)
        if self.other == FEW_LABEL and profile.protocol == _SAME_FOLDS:
            self._refuse_other_folds(split)
            percents = tuple(percent for percent in percents if percent < 100)
        outside = {} if self.other else _external(row, plan, profile, self.workspace)
        groups = [tuple(tasks)] if row.multitask else [(task,) for task in tasks]
        small: dict[str, set[int]] = {task: set() for task in tasks}
        for group in groups if few else ():
            small |= self._too_small(split, group)
        jobs = [
            self._job((Part(name, fitted),), outside, (fold, seed, percent))
            for group in groups
            for percent in percents
            if (fitted := tuple(t for t in group if percent not in small[t]))
            for seed in profile.seeds
            if select.seed in (None, seed)
            for fold in range(split.n_folds * split.n_repeats)
            if select.fold in (None, fold)
        ]
        omitted = tuple((name, t, percent) for t in tasks for percent in small[t])
        return Plan(tuple(jobs), omitted)

    def _refuse_other_folds(self, few: Split) -> None:
        """The point at 100 % is the default job's, so both splits must deal the same folds."""
        name, profile = few.cohort, self.profile.name
        whole = ready_split(name, _SAME_FOLDS, profile, self.workspace)
        columns = columns_of(_SAME_FOLDS)
        if not few.table[columns].equals(whole.table[columns]):
            raise SplitError(
                f"splits/{name}: the point at 100 % of {FEW_LABEL!r} is the default job's, but "
                f"{_SAME_FOLDS!r} (seed {whole.seed}, {whole.manifest['n_people']} people) and "
                f"{FEW_LABEL!r} (seed {few.seed}, {few.manifest['n_people']} people) are other "
                f"folds; make both from one table with one seed: `neurodx splits make --cohort "
                f"{name} --protocol {_SAME_FOLDS} --protocol {FEW_LABEL} --seed {whole.seed} "
                f"--profile {profile}`"
            )

    def _too_small(self, split: Split, tasks: tuple[str, ...]) -> dict[str, set[int]]:
        """Percentages by task at which a fold leaves a class too few training people.

        Those count who have a label and what the row requires; the manifest counts everybody.
        """
        part = Part(split.cohort, tasks)
        cell = Cell.open(self._job((part,), {}, (0, 0, 100)), part, self.workspace)
        usable = {who for people in cell.people.values() for who in people}
        small = {task: {percent for _, percent in split.omitted(task)} for task in tasks}
        for task in cell.tasks:
            labels = labels_for(task, cell.cohort.visits)
            ids = cell.cohort.index_visits[v.PARTICIPANT_ID]
            known = zip(ids[labels.mask], labels.values[labels.mask], strict=True)
            class_of = {who: int(code) for who, code in known if task.classes and who in usable}
            for percent, fold in product(FEW_LABEL_PERCENTS, range(split.n_folds)):
                train = split.few_label_fold(fold, percent).train
                counts = Counter(class_of[who] for who in train if who in class_of)
                if any(counts[code] < LEAST_PER_CLASS for code in range(len(task.classes))):
                    small[task.name].add(percent)
        return small

    def _job(
        self,
        parts: tuple[Part, ...],
        outside: Mapping[str, Sequence[str]],
        point: tuple[int, int, int],
    ) -> Job:
        row, profile, (fold, seed, percent) = self.row, self.profile, point
        tasks = {task for part in parts for task in part.tasks}
        external = tuple(
            Part(other, tuple(t for t in wanted if t in tasks))
            for other, wanted in outside.items()
            if percent == 100 and set(wanted) & tasks
        )
        return Job(
            row=row.name,
            method=row.info.name,
            track=row.track,
            parts=parts,
            protocol=self.protocol,
            fold=fold,
            seed=seed,
            profile=profile.name,
            config=row.config,
            external=external,
            tuned=row.tuned,
            device=profile.device,
            precision=profile.precision,
            percent=percent,
            pretrained=row.pretrained,
        )


def _answers(row: Row, task: str) -> bool:
    return task in row.tasks and is_open(row.info, task, row.track)


def _external(
    row: Row, plan: CohortPlan, profile: Profile, workspace: Workspace
) -> dict[str, list[str]]:
    """The external cohorts that hold what the row needs."""
    return {
        other: tasks
        for other, tasks in plan.external.items()
        if serves(row, ready_cohort(other, profile.name, workspace), fitted=False)
    }


def serves(row: Row, cohort: Cohort, *, fitted: bool = True) -> bool:
    """Whether a cohort holds what the row's method needs of its track.

    Args:
        row: The board row.
        cohort: The store.
        fitted: Whether the method is fitted on it, which takes several sites where the track shows
            them; to be predicted by the models of another cohort, one is enough. The unknown site
            counts as none.
    """
    if not all(modality_mask(cohort, modality).any() for modality in row.info.requires):
        return False
    sources = get_track(row.track)
    held = [source for source in sources if _holds(cohort, source, fitted=fitted)]
    if row.info.copes_with_missing:
        return bool(held) or not sources
    return len(held) == len(sources)


def _holds(cohort: Cohort, source: str, *, fitted: bool) -> bool:
    modality = SOURCES[source].modality
    if modality:
        return bool(modality_mask(cohort, modality).any())
    index = cohort.index_visits
    columns = [c for c in SOURCES[source].columns if c in index and index[c].notna().any()]
    if source == "site":
        sites = {*index[v.SITE_ID].dropna()} - {v.UNKNOWN_SITE}
        return bool(columns) and (not fitted or len(sites) > 1)
    if source == "head_size":
        return bool(columns) or cohort.has("regions")
    return bool(columns)
