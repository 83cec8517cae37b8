"""Whom a job fits and tests: the eligible people of its fold, and their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark import vocabulary as v
from benchmark.errors import MethodError, SplitError
from benchmark.leakage.naming import listed
from benchmark.registry import get_method
from benchmark.runs.job import Job, Part, Workspace
from benchmark.samples import Samples, build_samples
from benchmark.samples.build import modality_mask, seen_mask
from benchmark.samples.concat import concat_samples
from benchmark.splitting import read_split
from benchmark.store import Cohort
from benchmark.tasks import Task, get_task, labels_for
from benchmark.tracks import get_track

__all__ = ["Cell", "fold_samples", "joint_samples", "tasks_of"]

_UNSEEN = -1  # the cohort code of a cohort that no fit has seen


def tasks_of(parts: Sequence[Part]) -> tuple[Task, ...]:
    """The tasks of some parts, each once."""
    names = dict.fromkeys(task for part in parts for task in part.tasks)
    return tuple(get_task(name) for name in names)


@dataclass(frozen=True)
class Cell:
    """One cohort of a run: the people of each part who are eligible and have what is required.

    Attributes:
        cohort: The store.
        tasks: What the run does there.
        code: The number that stands for the cohort in the run.
        people: Participant ids by part.
    """

    cohort: Cohort
    tasks: tuple[Task, ...]
    code: int
    people: Mapping[str, tuple[str, ...]]

    @classmethod
    def open(cls, job: Job, part: Part, workspace: Workspace) -> Cell:
        """The people of one fold.

        Raises:
            SplitError: The split holds people whom the cohort does not have.
        """
        cohort = Cohort(workspace.data / part.cohort)
        split = read_split(workspace.splits / part.cohort, job.protocol)
        repeat, number = divmod(job.fold, split.n_folds)
        fold = (
            split.fold(number, repeat)
            if job.percent == 100
            else split.few_label_fold(number, job.percent, repeat)
        )
        _refuse_strangers(cohort, (*fold.train, *fold.validation, *fold.test))
        usable = _usable(cohort, part, job)
        people = {
            v.TRAIN: _keep(fold.train, usable),
            v.VALIDATION: _keep(fold.validation, usable),
            v.TEST: _keep(fold.test, usable),
        }
        code = [p.cohort for p in job.parts].index(part.cohort)
        return cls(cohort, tasks_of([part]), code, people)

    @classmethod
    def whole(cls, job: Job, part: Part, workspace: Workspace) -> Cell:
        """Everybody of an external cohort."""
        cohort = Cohort(workspace.data / part.cohort)
        people = {v.EXTERNAL: tuple(sorted(_usable(cohort, part, job)))}
        return cls(cohort, tasks_of([part]), _UNSEEN, people)

    def samples(self, job: Job, part: str) -> Samples:
        """What the method may see of a part; labels with training and validation people only."""
        return build_samples(
            self.cohort,
            self.people[part],
            get_track(job.track),
            self.tasks,
            with_labels=part in (v.TRAIN, v.VALIDATION),
            also_fitted=tasks_of(job.parts),
            code=self.code,
        )


def _usable(cohort: Cohort, part: Part, job: Job) -> set[str]:
    """People with a label of at least one task and every modality that the method requires.

    Whoever lacks all that the track opens is left out: nothing of them could be seen.
    """
    index = cohort.index_visits
    labelled = np.any([labels_for(t, cohort.visits).mask for t in tasks_of([part])], axis=0)
    for modality in get_method(job.method).requires:
        labelled &= modality_mask(cohort, modality)
    closed = (task.forbidden_sources for task in tasks_of((part, *job.parts)))
    labelled &= seen_mask(cohort, get_track(job.track).difference(*closed))
    evaluated = (index[v.PART] == v.EVALUATE).to_numpy()
    return set(index.loc[labelled & evaluated, v.PARTICIPANT_ID])


def _refuse_strangers(cohort: Cohort, people: Sequence[str]) -> None:
    strangers = sorted(set(people).difference(cohort.index_visits[v.PARTICIPANT_ID]))
    if strangers:
        raise SplitError(
            f"{cohort.folder}: the fold names {len(strangers)} whom the cohort does not have "
            f"({listed(strangers)}); `neurodx splits diff` says what changed"
        )


def _keep(people: Sequence[str], usable: set[str]) -> tuple[str, ...]:
    return tuple(who for who in people if who in usable)


def joint_samples(cells: Sequence[Cell], job: Job, part: str) -> Samples:
    """One part of all cohorts of a job together.

    Raises:
        MethodError: A class has no training person, or nobody in the part has a label of a task.
    """
    joint = concat_samples([cell.samples(job, part) for cell in cells])
    for task in tasks_of(job.parts):
        values, mask = joint.labels(task.name)
        seen = np.unique(values[mask].astype(np.int64)) if task.classes else values[mask]
        if part == v.TRAIN and task.classes and len(seen) < len(task.classes):
            lacking = [c for k, c in enumerate(task.classes) if k not in seen]
            raise MethodError(
                f"{job.label}: no {' or '.join(lacking)} among the training people; use fewer "
                "folds or another cohort (`neurodx splits show` gives the counts)"
            )
        if not len(seen):
            raise MethodError(f"{job.label}: no {part} person has a label of {task.name!r}")
    return joint


def fold_samples(job: Job, workspace: Workspace) -> tuple[Samples, Samples]:
    """Training and validation people of a job, with labels; test people are not read.

    Raises:
        MethodError: As :func:`joint_samples`.
    """
    cells = [Cell.open(job, part, workspace) for part in job.parts]
    return joint_samples(cells, job, v.TRAIN), joint_samples(cells, job, v.VALIDATION)
