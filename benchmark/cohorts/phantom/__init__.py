"""Synthetic cohorts with real anatomy and a known truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cohorts.phantom.config import ROLES, PhantomConfig

if TYPE_CHECKING:
    from benchmark.cohorts.phantom.participant import Participant

__all__ = ["ROLES", "PhantomConfig", "make_participant", "prepare"]


def prepare(
    config: PhantomConfig,
    folder: Path,
    truth_folder: Path,
    *,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Makes a phantom cohort; see :func:`benchmark.cohorts.phantom.prepare.prepare_cohort`."""
    from benchmark.cohorts.phantom.prepare import prepare_cohort

    prepare_cohort(config, folder, truth_folder, workers=workers, progress=progress)


def make_participant(config: PhantomConfig, number: int) -> Participant:
    """Makes one person alone; see :func:`benchmark.cohorts.phantom.participant.make_one`."""
    from benchmark.cohorts.phantom.participant import make_one

    return make_one(config, number)
