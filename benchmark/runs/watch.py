"""What is told while jobs run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.runs.job import Job

__all__ = ["Outcome", "Watch"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended; ``error`` is empty where it is done."""

    identity: str
    error: str = ""


class Watch:
    """Follows jobs; this one does nothing with what it is told."""

    def start(self, jobs: Mapping[str, Job], cached: int) -> None:
        """Before the first: the jobs to run, by run id, and how many are there already."""

    def done(self, outcome: Outcome) -> None:
        """After each job."""

    def tick(self) -> None:
        """While waiting, about twice a second."""
