"""The people of a sweep: training and validation only, never the test part of a fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark import vocabulary as v
from benchmark.errors import MethodError
from benchmark.registry import get_method
from benchmark.runs.job import Job, Workspace
from benchmark.samples import Samples, build_samples
from benchmark.samples.build import modality_mask
from benchmark.splitting import read_split
from benchmark.store import Cohort
from benchmark.tasks import Task, get_task, labels_for
from benchmark.tracks import get_track

__all__ = ["FoldPeople", "fold_people", "fold_samples", "tasks_of"]


@dataclass(frozen=True, slots=True)
class FoldPeople:
    """Participant ids of one fold that a sweep may touch."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


def tasks_of(job: Job) -> tuple[Task, ...]:
    """The tasks of a job's one cohort."""
    return tuple(get_task(name) for name in job.parts[0].tasks)


def fold_people(job: Job, workspace: Workspace) -> FoldPeople:
    """Eligible training and validation people of a job's fold, as ``neurodx run`` chooses them.

    Eligible is who has a label of at least one task and every modality the method requires.
    """
    cohort = Cohort(workspace.data / job.parts[0].cohort)
    split = read_split(workspace.splits / job.parts[0].cohort, job.protocol)
    repeat, number = divmod(job.fold, split.n_folds)
    fold = split.fold(number, repeat)
    index = cohort.index_visits
    usable = np.any([labels_for(task, cohort.visits).mask for task in tasks_of(job)], axis=0)
    for modality in get_method(job.method).requires:
        usable &= modality_mask(cohort, modality)
    usable &= (index[v.PART] == v.EVALUATE).to_numpy()
    eligible = set(index.loc[usable, v.PARTICIPANT_ID])
    return FoldPeople(_keep(fold.train, eligible), _keep(fold.validation, eligible))


def fold_samples(job: Job, workspace: Workspace) -> tuple[Samples, Samples]:
    """Builds the samples of a fold's training and validation people, with labels.

    Raises:
        MethodError: A class has no training person, or nobody in validation has a label.
    """
    people = fold_people(job, workspace)
    cohort = Cohort(workspace.data / job.parts[0].cohort)
    tasks = tasks_of(job)
    train, validation = (
        build_samples(cohort, ids, get_track(job.track), tasks, with_labels=True)
        for ids in (people.train, people.validation)
    )
    for task in tasks:
        values, mask = train.labels(task.name)
        present = len(np.unique(values[mask])) if task.classes else int(mask.sum())
        if present < task.n_outputs or not validation.labels(task.name)[1].any():
            raise MethodError(
                f"{job.label}: task {task.name!r} needs training people of each class and "
                f"validation people; there are {int(mask.sum())} and "
                f"{int(validation.labels(task.name)[1].sum())} with a label. Use another cohort or "
                "fold (`neurodx splits show` gives the counts)"
            )
    return train, validation


def _keep(people: Sequence[str], eligible: set[str]) -> tuple[str, ...]:
    return tuple(who for who in people if who in eligible)
