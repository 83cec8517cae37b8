"""A method on the bench: its board row, a tiny cohort, and the fits that the rules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark import vocabulary as v
from benchmark.checks.tiny_cohort import write_tiny_cohort
from benchmark.config import load_profile, rebuilt
from benchmark.method import Method, RunContext
from benchmark.prediction import Prediction
from benchmark.registry import load_method_class
from benchmark.runs.rows import Row, is_open, resolve_row
from benchmark.samples import Samples, build_samples
from benchmark.samples.align import align_samples
from benchmark.samples.build import modality_mask, seen_mask
from benchmark.store import Cohort
from benchmark.tasks import TASKS, Task, get_task, labels_for
from benchmark.tracks import get_track

__all__ = ["Bench"]

Group = tuple[Task, ...]

_SHARES = {v.TRAIN: (0, 5), v.VALIDATION: (5, 7), v.TEST: (7, 10)}  # blocks of ten people


class Bench:
    """One board row with the settings of profile ``smoke``, and people to try it on.

    Fits start from scratch: weights that a pretraining makes are not there on every machine.

    Args:
        row: Name of a method or variant.
        folder: An empty folder to work in.
        thorough: Whether every declared task is tried, or one classification and one regression.
    """

    def __init__(self, row: str, folder: Path, *, thorough: bool = False) -> None:
        self.row: Row = _from_scratch(resolve_row(row, load_profile("smoke")))
        self.folder = folder
        self.thorough = thorough
        self.cohort: Cohort = write_tiny_cohort(folder / "data")
        self._fitted: dict[tuple[str, Group], Method] = {}

    @property
    def name(self) -> str:
        """The row's name."""
        return self.row.name

    # What is fitted ------------------------------------------------------------------------------

    def tasks(self, track: str) -> Group:
        """Declared tasks that the track leaves open."""
        return tuple(
            task
            for task in (get_task(name) for name in self.row.tasks if name in TASKS)
            if is_open(self.row.info, task.name, track)
        )

    def groups(self, track: str, *, every: bool = False) -> list[Group]:
        """Tasks by fit: all at once for a multi-task method, one by one for others."""
        tasks = self.tasks(track)
        if not every:
            kinds = {bool(task.classes): task for task in reversed(tasks)}
            tasks = tuple(kinds[kind] for kind in (True, False) if kind in kinds)
        return [tasks] if self.row.multitask and tasks else [(task,) for task in tasks]

    @cached_property
    def main(self) -> list[Group]:
        """The fits that most rules look at."""
        return self.groups(self.row.track)

    # People --------------------------------------------------------------------------------------

    def people(self, group: Group, part: str, track: str = "") -> tuple[str, ...]:
        """Ids of the people of a part with a label, what is required, and anything to see."""
        usable = np.any([labels_for(task, self.cohort.visits).mask for task in group], axis=0)
        for modality in self.row.info.requires:
            usable &= modality_mask(self.cohort, modality)
        closed = (task.forbidden_sources for task in group)
        usable &= seen_mask(self.cohort, get_track(track or self.row.track).difference(*closed))
        block = np.arange(len(usable)) // 10 % 10  # blocks of ten hold every diagnosis
        start, stop = _SHARES[part]
        ids = self.cohort.index_visits[v.PARTICIPANT_ID].to_numpy()
        return tuple(ids[usable & (block >= start) & (block < stop)])

    def labelled(self, group: Group, part: str, track: str = "") -> Samples:
        """Training or validation people."""
        return build_samples(
            self.cohort,
            self.people(group, part, track),
            get_track(track or self.row.track),
            group,
            with_labels=True,
        )

    def unseen(self, group: Group, track: str = "", cohort: Cohort | None = None) -> Samples:
        """Test people as a run hands them over: no labels, aligned with the training people."""
        samples = build_samples(
            cohort or self.cohort,
            self.people(group, v.TEST, track),
            get_track(track or self.row.track),
            group,
            with_labels=False,
        )
        return align_samples(samples, like=self.labelled(group, v.TRAIN, track))

    # The method ----------------------------------------------------------------------------------

    def new(self) -> Method:
        """An unfitted method."""
        schema = self.row.info.config
        where = f"settings of {self.name!r}"
        config = rebuilt(schema, self.row.config, where) if schema else None
        return load_method_class(self.row.info)(config)

    def fit(self, group: Group, track: str = "", seed: int = 0) -> Method:
        """Fits a new method."""
        method = self.new()
        scratch = self.folder / "scratch" / str(len(list(self.folder.glob("scratch/*"))))
        scratch.mkdir(parents=True)
        method.fit(
            self.labelled(group, v.TRAIN, track),
            self.labelled(group, v.VALIDATION, track),
            group,
            RunContext(seed=seed, folder=scratch),
        )
        return method

    def fitted(self, group: Group, track: str = "") -> Method:
        """A method fitted with seed 0; the same one at each call."""
        key = (track or self.row.track, group)
        if key not in self._fitted:
            self._fitted[key] = self.fit(group, track)
        return self._fitted[key]

    def answers(
        self, method: Method, samples: Samples, tasks: Sequence[Task]
    ) -> dict[str, Prediction]:
        """Predicts and checks shape, finiteness and sums."""
        given = method.predict(samples, tasks)
        return {
            task.name: given.get(task.name, Prediction()).check(task, samples.n, self.name)
            for task in tasks
        }


def _from_scratch(row: Row) -> Row:
    return replace(row, config={**row.config, "pretrained": ""}) if row.pretrained else row
