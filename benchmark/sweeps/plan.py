"""What a sweep will do, checked before anything is fitted."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark import vocabulary as v
from benchmark.cohorts.catalogue import untwinned
from benchmark.config import CohortPlan, Profile
from benchmark.errors import CohortError, ConfigError
from benchmark.runs.identity import input_hashes
from benchmark.runs.job import Job, Part, Workspace
from benchmark.runs.people import Cell
from benchmark.runs.planning import serves
from benchmark.runs.readiness import ready_split
from benchmark.runs.rows import Row, resolve_row, tuned_rows
from benchmark.splitting import read_split
from benchmark.store import Cohort, tree_sha256
from benchmark.store.hashing import canonical_sha256
from benchmark.store.verified import verify_stores
from benchmark.sweeps.space import Suggest, dotted, load_space
from benchmark.tasks import get_task
from benchmark.tracks import get_track

__all__ = ["StudyPlan", "SweepRequest", "plan_study"]

_PACKAGE = Path(__file__).resolve().parents[1]
_OBJECTIVE = ("sweeps/evaluate.py", "sweeps/objective.py", "metrics")  # what makes a trial's value


@dataclass(frozen=True)
class SweepRequest:
    """What the user asks for; None leaves the choice to the profile.

    Attributes:
        method: A board row that is not tuned.
        task: One task; needed unless the method serves all of a cohort's tasks in one fit.
        cohort: Where to tune; by default the plan's cohort that has the task.
        track: What the method may see; by default the row's.
        fold: The fold whose validation people decide.
        all_folds: Average over every fold instead.
        seed: Seed of the fits and of the sampler; by default the profile's first.
        trials: Number of trials in total, those of earlier calls included.
        config: Settings that stay fixed in every trial.
    """

    method: str
    task: str | None = None
    cohort: str | None = None
    track: str | None = None
    fold: int | None = None
    all_folds: bool = False
    seed: int | None = None
    trials: int = 20
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyPlan:
    """A sweep that can be started or continued.

    Attributes:
        name: Name of the study and of its folder under ``sweeps/``.
        row: The board row in its default settings, fixed ones included.
        profile: The profile.
        cohort: Whose training and validation people are used.
        tasks: Tasks of each fit.
        folds: Folds that the objective averages over.
        seed: Seed of the fits and of the sampler.
        fixed: Settings that stay as they are, by dotted keys.
        n_trials: Number of trials in total.
        suggest: The method's search space.
        workspace: Where cohorts, splits and sweeps lie.
    """

    name: str
    row: Row
    profile: Profile
    cohort: str
    tasks: tuple[str, ...]
    folds: tuple[int, ...]
    seed: int
    fixed: Mapping[str, Any]
    n_trials: int
    suggest: Suggest
    workspace: Workspace

    @property
    def folder(self) -> Path:
        """Where journal, trials and facts are kept."""
        return self.workspace.root / "sweeps" / self.name

    @property
    def space_path(self) -> str:
        """The file that holds the search space, for messages."""
        return f"{self.row.info.folder}/space.py"

    def jobs(self, settings: Mapping[str, Any]) -> tuple[Job, ...]:
        """One job per fold with the settings of a trial.

        Later layers win: the method's defaults, the variant, the profile, the suggestion, what
        the command line fixes.

        Raises:
            ConfigError: A suggested setting is misspelt or has the wrong type.
        """
        try:
            row = resolve_row(
                self.row.name, self.profile, {**settings, **self.fixed}, self.row.track
            )
        except ConfigError as error:
            raise ConfigError(
                f"{self.space_path}: suggests settings that the method does not take: {error} Its "
                f"settings are in {self.row.info.folder}/info.py"
            ) from error
        return tuple(self._job(row, fold) for fold in self.folds)

    def inputs(self) -> dict[str, str]:
        """Hashes of all that decides a trial's value besides its own settings."""
        hashes = input_hashes(self._job(self.row, self.folds[0]), self.workspace)
        job = {**self._job(self.row, self.folds[0]).to_json(), "folds": list(self.folds)}
        return hashes | {
            "settings": canonical_sha256({"job": job, "fixed": dict(self.fixed)}),
            "objective": _code_sha256(_OBJECTIVE),
            "version/optuna": importlib.metadata.version("optuna"),
        }

    def tested_elsewhere(self) -> int:
        """Number of people whose labels the sweep uses and who are tested in some fold.

        0 for a cohort outside the profile's plan, such as a development twin: nobody there is
        tested, since :func:`plan_study` refuses the external cohorts.
        """
        if self.cohort not in self.profile.plan:
            return 0
        jobs = [self._job(self.row, fold) for fold in self.folds]
        cells = [Cell.open(job, job.parts[0], self.workspace) for job in jobs]
        used = {who for c in cells for p in (v.TRAIN, v.VALIDATION) for who in c.people[p]}
        split = read_split(self.workspace.splits / self.cohort, self.profile.protocol)
        folds = [split.fold(k, r) for r in range(split.n_repeats) for k in range(split.n_folds)]
        return len(used & {who for fold in folds for who in fold.test})

    def _job(self, row: Row, fold: int) -> Job:
        return Job(
            row=row.name,
            method=row.info.name,
            track=row.track,
            parts=(Part(self.cohort, self.tasks),),
            protocol=self.profile.protocol,
            fold=fold,
            seed=self.seed,
            profile=self.profile.name,
            config=row.config,
            device=self.profile.device,
            precision=self.profile.precision,
            pretrained=row.pretrained,
        )


def plan_study(request: SweepRequest, profile: Profile, workspace: Workspace) -> StudyPlan:
    """Checks a request and fills in what it leaves open.

    Args:
        request: What the user asks for.
        profile: The profile.
        workspace: Where cohorts and splits lie.

    Raises:
        UnknownNameError: No such method, task or track.
        ConfigError: The method has no search space, is tuned already, or cannot do the task; the
            profile predicts the cohort as external; or cohort and task cannot be told from the
            request.
        CohortError: The cohort or its split has not been made, both commands are named; or the
            cohort is damaged.
    """
    if request.method in tuned_rows():
        raise ConfigError(f"{request.method!r} is the outcome of a sweep; tune its base row")
    if request.trials < 1:
        raise ConfigError(f"trials={request.trials}: expected 1 or more")
    fixed = dotted(request.config)
    row = resolve_row(request.method, profile, fixed, request.track)
    suggest = load_space(row.info)
    cohort, tasks = _cohort_and_tasks(request, row, profile)
    _refuse_external(cohort, profile)
    _check_made(cohort, profile, workspace)
    verify_stores([workspace.data / cohort])
    _check_served(row, cohort, tasks, workspace)
    seed = profile.seeds[0] if request.seed is None else request.seed
    folds = _folds(request, cohort, profile, workspace)
    return StudyPlan(
        name=_name(request, row, profile, cohort, tasks),
        row=row,
        profile=profile,
        cohort=cohort,
        tasks=tasks,
        folds=folds,
        seed=seed,
        fixed=fixed,
        n_trials=request.trials,
        suggest=suggest,
        workspace=workspace,
    )


def _cohort_and_tasks(
    request: SweepRequest, row: Row, profile: Profile
) -> tuple[str, tuple[str, ...]]:
    if request.task:
        get_task(request.task)
        if request.task not in row.tasks:
            raise ConfigError(
                f"method {row.name!r} has no task {request.task!r}; it has {', '.join(row.tasks)}"
            )
    cells = [
        (cohort, tasks)
        for cohort, plan in _plans(request, profile).items()
        for tasks in _groups(plan, request, row)
    ]
    if request.cohort and request.task and not cells:
        return request.cohort, (request.task,)
    if len(cells) == 1:
        return cells[0]
    listing = "; ".join(f"cohort={cohort} task={'+'.join(tasks)}" for cohort, tasks in cells)
    raise ConfigError(
        f"say what to tune {row.name!r} on with `task=` and, if needed, `cohort=`; profile "
        f"{profile.name!r} offers: {listing or 'nothing that the method can be fitted for'}"
    )


def _plans(request: SweepRequest, profile: Profile) -> Mapping[str, CohortPlan]:
    """The plan's cohorts; a development twin takes the plan of its cohort."""
    if request.cohort is None:
        return profile.plan
    twin = untwinned(request.cohort)
    plan = profile.plan.get(request.cohort) or profile.plan.get(twin)
    return {request.cohort: plan} if plan else {}


def _groups(plan: CohortPlan, request: SweepRequest, row: Row) -> list[tuple[str, ...]]:
    if request.task:
        return [(request.task,)] if request.task in (*plan.fit, *plan.derive) else []
    tasks = tuple(task for task in plan.fit if task in row.tasks)
    if row.multitask:
        return [tasks] if tasks else []
    return [(task,) for task in tasks]


def _refuse_external(cohort: str, profile: Profile) -> None:
    """Everybody of an external cohort is a test person of models fitted elsewhere."""
    outside = {name: model for model, plan in profile.plan.items() for name in plan.external}
    if cohort in outside:
        model = outside[cohort]
        others = [f"cohort={name}" for name in profile.plan if name not in outside]
        raise ConfigError(
            f"cohort {cohort!r} is not tuned on: profile {profile.name!r} has all its people "
            f"predicted by the models of {model} (plan.{model}.external), so settings would be "
            f"chosen on test people; take {' or '.join([*others, 'a development twin'])}"
        )


def _check_made(cohort: str, profile: Profile, workspace: Workspace) -> None:
    store = workspace.data / cohort / "cohort.json"
    split = workspace.splits / cohort / f"{profile.protocol}.csv"
    absent = [str(path) for path in (store, split) if not path.is_file()]
    if absent:
        raise CohortError(
            f"cohort {cohort!r} is not ready: no {' and no '.join(absent)}; run `neurodx prepare "
            f"{cohort} --profile {profile.name}`, then `neurodx splits make --cohort {cohort} "
            f"--protocol {profile.protocol} --profile {profile.name}`"
        )


def _check_served(row: Row, cohort: str, tasks: tuple[str, ...], workspace: Workspace) -> None:
    """The same conditions under which `neurodx run` enters a row for a cohort and task."""
    closed = {
        source
        for task in tasks
        for source in get_task(task).forbidden_sources & get_track(row.track)
    }
    if closed and not row.info.copes_with_missing:
        raise ConfigError(
            f"row {row.name!r} cannot be fitted for {'+'.join(tasks)}: the task closes "
            f"{', '.join(sorted(closed))}, which would give the label away"
        )
    if not serves(row, Cohort(workspace.data / cohort)):
        raise ConfigError(
            f"cohort {cohort!r} lacks what row {row.name!r} needs: the sources of the track "
            f"{row.track!r}, and {', '.join(row.info.requires) or 'no modality besides'}"
        )


def _folds(
    request: SweepRequest, cohort: str, profile: Profile, workspace: Workspace
) -> tuple[int, ...]:
    split = ready_split(cohort, profile.protocol, profile.name, workspace)
    known = split.n_folds * split.n_repeats
    if request.all_folds:
        return tuple(range(known))
    fold = request.fold or 0
    if not 0 <= fold < known:
        raise ConfigError(f"fold={fold}: {cohort}/{profile.protocol} has folds 0 to {known - 1}")
    return (fold,)


def _name(
    request: SweepRequest, row: Row, profile: Profile, cohort: str, tasks: tuple[str, ...]
) -> str:
    parts = [row.name, "+".join(tasks), cohort, profile.name]
    if row.track != resolve_row(row.name, profile).track:
        parts.append(row.track)
    if request.all_folds:
        parts.append("all-folds")
    elif request.fold:
        parts.append(f"fold{request.fold}")
    if request.seed not in (None, profile.seeds[0]):
        parts.append(f"seed{request.seed}")
    return "-".join(parts)


def _code_sha256(names: Sequence[str]) -> str:
    """Hash of files and folders of this package.

    Raises:
        ConfigError: One of them is not there; hashed, it would add nothing in silence.
    """
    absent = [name for name in names if not (_PACKAGE / name).exists()]
    if absent:
        raise ConfigError(
            f"{_PACKAGE}: no {', '.join(absent)}, so a study cannot say what its values were made "
            "by; restore it, or correct the names in benchmark/sweeps/plan.py"
        )
    return tree_sha256(_PACKAGE / name for name in names)
