"""What a held cohort can answer, which rows can run on it, and the profile that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from omegaconf import OmegaConf

from benchmark import vocabulary as v
from benchmark.config import CONFIGS, CohortPlan, PhantomScale, Profile, typed
from benchmark.errors import CohortError
from benchmark.runs.planning import serves
from benchmark.runs.rows import Row, is_open, resolve_row
from benchmark.samples.build import build_samples, modality_mask
from benchmark.store import Cohort
from benchmark.tasks import get_task, labels_for
from benchmark.tracks import get_track

__all__ = [
    "HEADER",
    "Answer",
    "answers",
    "few_with_volumes",
    "lacks_series",
    "lacks_volumes",
    "profile_text",
    "reads_series_alone",
    "rows_for",
    "rows_of_volumes",
    "tasks_of",
]

_LEAST_IN_A_CLASS: Final = 10
_LEAST_PEOPLE: Final = 30
_HEAD_SIZE: Final = f"head_size.{v.HEAD_SIZE_MM3}"
HEADER: Final = """\
# Written by `neurodx cohort add`, git-ignored; `neurodx pipeline` after a change.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a cohort can answer a task.

    Attributes:
        task: The task.
        rule: Its label rule in this cohort, with the source.
        counts: People by class; ``people`` for a regression.
        excluded: Why the others are not eligible, as counts by reason.
        possible: Whether there are enough of each class.
    """

    task: str
    rule: str
    counts: Mapping[str, int]
    excluded: Mapping[str, int]

    @property
    def possible(self) -> bool:
        """Whether there are enough people: 10 in each class, 30 for a regression."""
        return min(self.counts.values()) >= self.least

    @property
    def least(self) -> int:
        """How many people each class needs, or a regression."""
        return _LEAST_IN_A_CLASS if get_task(self.task).classes else _LEAST_PEOPLE


@dataclass
class CohortTemplate:
    """``configs/cohort_profile.yaml``.

    Attributes:
        protocol: Split protocol.
        small_protocol: The one where some class has fewer than ``small_class`` people.
        small_class: See there.
        seeds: Seeds of training.
        n_resamples: Bootstrap resamples.
        tables: Rows that read tables.
        volumes: Rows that read volumes.
        series: Rows that read fMRI time series alone.
    """

    protocol: str = "5fold"
    small_protocol: str = "3fold"
    small_class: int = 50
    seeds: list[int] = field(default_factory=lambda: [0])
    n_resamples: int = 2000
    tables: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    series: list[str] = field(default_factory=list)


def _template(configs: Path) -> CohortTemplate:
    path = configs / "cohort_profile.yaml"
    values = OmegaConf.to_container(OmegaConf.load(path))
    known = {str(k): value for k, value in values.items()} if isinstance(values, dict) else {}
    template: CohortTemplate = typed(CohortTemplate, known, "configs/cohort_profile.yaml")
    return template


def answers(cohort: Cohort, rules: Mapping[str, str], modality: str = "") -> list[Answer]:
    """Counts the eligible people of each task.

    Args:
        cohort: The store.
        rules: Label rules by task, as the adapter states them.
        modality: Count those alone who have it; everybody by default.
    """
    held = modality_mask(cohort, modality) if modality else np.ones(1, dtype=bool)
    found = []
    for name, rule in rules.items():
        task = get_task(name)
        labels = labels_for(task, cohort.visits)
        values = labels.values[labels.mask & held]
        counts = {c: int(np.sum(values == k)) for k, c in enumerate(task.classes)}
        found.append(Answer(name, rule, counts or {"people": len(values)}, labels.excluded))
    return found


def tasks_of(cohort: Cohort, found: Sequence[Answer]) -> list[str]:
    """The tasks that a cohort can answer.

    Raises:
        CohortError: None; the counts are given.
    """
    tasks = [answer.task for answer in found if answer.possible]
    if not tasks:
        counts = "; ".join(
            f"{a.task}: " + ", ".join(f"{n} {c}" for c, n in a.counts.items()) for a in found
        )
        raise CohortError(
            f"cohort {cohort.name!r}: no task has enough people, expected {_LEAST_IN_A_CLASS} in "
            f"each class or {_LEAST_PEOPLE} for a regression, got {counts or 'no task at all'}; "
            "see `neurodx list tasks` for the columns that each task needs"
        )
    return tasks


def _derived(tasks: Sequence[str]) -> dict[str, str]:
    """Pairs of diagnoses are read from the three, where these are fitted."""
    return dict.fromkeys(("ad_cn", "mci_cn", "ad_mci"), "dx3") if "dx3" in tasks else {}


def few_with_volumes(cohort: Cohort, tasks: Sequence[str]) -> list[Answer]:
    """The tasks for which too few people have a volume, with their counts.

    None where the store holds no volumes: who has ``t1w`` is then a matter of ``regions``.
    """
    return _few(cohort, tasks, v.T1W) if cohort.has(v.T1W) else []


def _few(cohort: Cohort, tasks: Sequence[str], modality: str) -> list[Answer]:
    found = answers(cohort, dict.fromkeys(tasks, ""), modality)
    return [answer for answer in found if not answer.possible]


def lacks_volumes(row: Row, cohort: Cohort, tasks: Sequence[str]) -> bool:
    """Whether a row opens T1w scans, and too few people have a volume for one of its tasks."""
    return v.T1W in get_track(row.track) and bool(few_with_volumes(cohort, tasks))


def reads_series_alone(row: Row) -> bool:
    """Whether a row opens fMRI time series and nothing else."""
    return get_track(row.track) == {v.FMRI}


def lacks_series(row: Row, cohort: Cohort, tasks: Sequence[str]) -> bool:
    """Whether a row reads time series alone, and too few people have one for one of its tasks."""
    return reads_series_alone(row) and bool(_few(cohort, tasks, v.FMRI))


def rows_of_volumes(configs: Path = CONFIGS) -> set[str]:
    """Names of the rows that cannot do without volumes."""
    return {*_template(configs).volumes}


def rows_for(cohort: Cohort, tasks: Sequence[str], configs: Path = CONFIGS) -> list[str]:
    """Board rows that can run on a cohort.

    A row that copes with missing sources is entered once for all that it would see: its twin on a
    wider track, of which the cohort holds no more, is left out. Where the store holds volumes, a
    row whose track opens T1w scans is entered if enough people have one for each of its tasks; so
    is a row of time series.
    """
    template = _template(configs)
    names = [
        *template.tables,
        *(template.volumes if cohort.has(v.T1W) else ()),
        *(template.series if cohort.has(v.FMRI) else ()),
    ]
    profile = Profile(name=cohort.name)
    chosen: list[str] = []
    seen: set[frozenset[str]] = set()
    for name in names:
        row = resolve_row(name, profile, configs=configs)
        answered = [t for t in tasks if t in row.tasks and is_open(row.info, t, row.track)]
        if not answered or not serves(row, cohort):
            continue
        if lacks_volumes(row, cohort, answered) or lacks_series(row, cohort, answered):
            continue
        columns = _columns_seen(row, cohort)
        if name in template.tables and columns == {v.T1W}:
            continue  # volumes of which no region was measured
        if row.info.copes_with_missing:
            if columns in seen:
                continue
            seen.add(columns)
        elif "head_size" in get_track(row.track) and _HEAD_SIZE not in columns:
            continue  # regions without a head size
        chosen.append(name)
    return chosen


def _columns_seen(row: Row, cohort: Cohort) -> frozenset[str]:
    """Columns and arrays of the row's track that hold anything in this cohort."""
    people = cohort.index_visits[v.PARTICIPANT_ID].tolist()
    samples = build_samples(cohort, people, get_track(row.track), [], with_labels=False)
    columns = {
        f"{source}.{column}"
        for source, table in samples.tables.items()
        for column in table
        if table[column].notna().any()
    }
    return frozenset(columns | set(samples.arrays))


def profile_text(
    cohort: Cohort, found: Sequence[Answer], configs: Path = CONFIGS
) -> tuple[Profile, str]:
    """The profile of a held cohort, and the text of ``configs/profile/<name>.yaml``.

    Raises:
        CohortError: The cohort can answer no task.
    """
    template = _template(configs)
    tasks = tasks_of(cohort, found)
    classes = [
        n for a in found if a.possible and get_task(a.task).classes for n in a.counts.values()
    ]
    small = min(classes, default=template.small_class) < template.small_class
    profile = Profile(
        name=cohort.name,
        phantom=PhantomScale(spacing_mm=0.0),
        cohorts=[cohort.name],
        protocol=template.small_protocol if small else template.protocol,
        seeds=list(template.seeds),
        plan={cohort.name: CohortPlan(fit=tasks, derive=_derived(tasks))},
        methods=rows_for(cohort, tasks, configs),
        n_resamples=template.n_resamples,
    )
    values: dict[str, Any] = asdict(profile)
    return profile, HEADER + yaml.safe_dump(values, sort_keys=False, width=100)
