"""Before anything is fitted, the leakage referee looks at the folds that jobs read."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark import vocabulary as v
from benchmark.leakage import verify_external_images, verify_reports, verify_split
from benchmark.runs.job import Job, Workspace
from benchmark.splitting import read_split
from benchmark.store import Cohort
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
            is listed; an external person is in the cohort trained on; or reports state MMSE.
        SplitError: A fold file is missing or differs from its manifest.
        CohortError: A store is missing, or a volume holds NaN or infinity.
    """
    jobs = list(jobs)
    cohorts: dict[str, Cohort] = {}

    def opened(name: str) -> Cohort:
        return cohorts.setdefault(name, Cohort(workspace.data / name))

    splits = {(part.cohort, job.protocol) for job in jobs for part in job.parts}
    for name, protocol in sorted(splits):
        verify_split(read_split(workspace.splits / name, protocol), opened(name))
    pairs = {(o.cohort, part.cohort) for job in jobs for o in job.external for part in job.parts}
    for external, train in sorted(pairs):
        verify_external_images(opened(external), opened(train))
    told = [
        job for job in jobs if v.REPORT in (track := get_track(job.track)) and v.MMSE not in track
    ]
    for name in sorted({part.cohort for job in told for part in (*job.parts, *job.external)}):
        verify_reports(opened(name))
