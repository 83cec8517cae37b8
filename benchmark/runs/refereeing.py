"""Before anything is fitted, the leakage referee looks at the folds that jobs read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

from benchmark import vocabulary as v
from benchmark.errors import LeakageError
from benchmark.leakage import (
    shared_across,
    verify_external_images,
    verify_reports,
    verify_split,
)
from benchmark.leakage.naming import listed
from benchmark.runs.checkpoints import checkpoint_facts, weights_read
from benchmark.runs.job import Job, Workspace
from benchmark.splitting import Fold, read_split
from benchmark.store import Cohort, store_names
from benchmark.tracks import get_track

__all__ = ["referee_jobs"]


def referee_jobs(jobs: Iterable[Job], workspace: Workspace) -> None:
    """Verifies every split that some jobs read, whom they predict as external, and reports.

    Each split and each pair of cohorts is verified once; what several of them need of a cohort is
    read once. Reports are read where a track opens them without the score.

    Args:
        jobs: The jobs; with none nothing is read.
        workspace: Where cohorts and splits lie.

    Raises:
        LeakageError: A split would leak or is not of this cohort, everything that is wrong with it
            is listed; an external person is in the cohort trained on; cohorts that one fit spans
            share a person across parts; weights have seen, under another name, somebody who is
            held back; or reports state MMSE.
        SplitError: A fold file is missing or differs from its manifest.
        CohortError: A store is missing, or a volume holds NaN or infinity.
        ConfigError: Weights that a job starts from are missing.
    """
    jobs = list(jobs)
    referee = _Referee(jobs, workspace)
    for (name, _), split in sorted(referee.splits.items()):
        verify_split(split, referee.cohort(name))
    pairs = {(o.cohort, part.cohort) for job in jobs for o in job.external for part in job.parts}
    for external, train in sorted(pairs):
        verify_external_images(referee.cohort(external), referee.cohort(train))
    referee.refuse_joint()
    referee.refuse_seen()
    told = [
        job for job in jobs if v.REPORT in (track := get_track(job.track)) and v.MMSE not in track
    ]
    for name in sorted({part.cohort for job in told for part in (*job.parts, *job.external)}):
        verify_reports(referee.cohort(name))


class _Referee:
    """What several checks of some jobs read, each once."""

    def __init__(self, jobs: Sequence[Job], workspace: Workspace) -> None:
        self._jobs, self._workspace = jobs, workspace
        self._cohorts: dict[str, Cohort] = {}
        asked = {(part.cohort, job.protocol) for job in jobs for part in job.parts}
        self.splits = {
            (name, protocol): read_split(workspace.splits / name, protocol)
            for name, protocol in sorted(asked)
        }

    def cohort(self, name: str) -> Cohort:
        return self._cohorts.setdefault(name, Cohort(self._workspace.data / name))

    def fold(self, name: str, job: Job) -> Fold:
        split = self.splits[name, job.protocol]
        repeat, number = divmod(job.fold, split.n_folds)
        return split.fold(number, repeat)

    def refuse_joint(self) -> None:
        """Cohorts of one fit: whoever trains in one must not be held back in another."""
        asked = {
            (first.cohort, second.cohort, job.protocol, job.fold): job
            for job in self._jobs
            for first, second in combinations(job.parts, 2)
        }
        found: list[str] = []
        names: set[str] = set()
        for first, second, protocol, number in sorted(asked):
            job = asked[first, second, protocol, number]
            parts = {
                f"{name}/{who}": part
                for name in (first, second)
                for part, people in asdict(self.fold(name, job)).items()
                for who in people
            }
            pairs = shared_across(self.cohort(first), self.cohort(second), parts)
            found += [f"{pair} in fold {number}" for pair in pairs]
            names |= {first, second} if pairs else set()
        if found:
            raise LeakageError(
                f"one fit spans {' and '.join(sorted(names))}: {len(found)} times two people share "
                f"data and are in different parts of a fold: {listed(found)}. Expected different "
                "people; remove them from one cohort, prepare and split it again (`neurodx prepare "
                "NAME --force`, `neurodx splits make --cohort NAME`), or take one cohort out of "
                "the suite"
            )

    def refuse_seen(self) -> None:
        """Weights that saw, in another cohort, whoever is held back: the same data twice.

        A cohort that they saw and that is not in the workspace cannot be compared.
        """
        held: dict[tuple[str, Path, str], set[str]] = {}
        for job in self._jobs:
            read = weights_read(job, self._workspace).items()
            for cohort, people in self._held_back(job) if read else ():
                for name, folder in read:
                    held.setdefault((name, folder, cohort), set()).update(people)
        prepared = set(store_names(self._workspace.data)) if held else set()
        for (name, folder, cohort), people in sorted(held.items()):
            for other, seen in checkpoint_facts(folder).get("participants", {}).items():
                if other == cohort or other not in prepared:
                    continue
                parts = {f"{other}/{who}": "seen" for who in seen}
                parts |= {f"{cohort}/{who}": "held back" for who in people}
                found = shared_across(self.cohort(other), self.cohort(cohort), parts)
                if found:
                    raise LeakageError(
                        f"the weights of {name!r} have seen {len(found)} people of {other} who "
                        f"share data with people of {cohort} who are held back: {listed(found)}. "
                        f"Expected nobody; remove them from {other}, run `neurodx prepare {other} "
                        "--force` and learn the weights again"
                    )

    def _held_back(self, job: Job) -> Iterator[tuple[str, Iterable[str]]]:
        """Cohort by cohort, everybody whom a job does not train on and whom it predicts."""
        for part in job.parts:
            fold = self.fold(part.cohort, job)
            yield part.cohort, (*fold.validation, *fold.test)
        for part in job.external:
            index = self.cohort(part.cohort).index_visits
            yield part.cohort, index.loc[index[v.PART] == v.EVALUATE, v.PARTICIPANT_ID].tolist()
