"""Reads what runs answered with modalities missing: ``missing.parquet`` beside each ledger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.results.ledger import read_table
from benchmark.tasks import Task
from benchmark.tracks import SOURCES, TRACKS

__all__ = ["N_SHOWN", "SHOWN", "MissingAnswers", "open_modalities", "why_absent"]

SHOWN: Final = "shown"
N_SHOWN: Final = "n_shown"
_FILE: Final = "missing.parquet"
_NEEDED: Final = ("cohort", "task", v.PART, v.PARTICIPANT_ID, SHOWN, N_SHOWN)


class MissingAnswers:
    """The answers of the runs of one method, each file read once.

    Args:
        folder: ``runs/<row>``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[str, pd.DataFrame | None] = {}

    def of_run(self, run_id: str) -> pd.DataFrame | None:
        """One run's answers; None where it has none.

        Raises:
            ResultError: The file is damaged.
        """
        if run_id not in self._tables:
            path = self._folder / run_id / _FILE
            self._tables[run_id] = read_table(path, _NEEDED) if path.exists() else None
        return self._tables[run_id]


def open_modalities(track: str, tasks: Iterable[Task]) -> frozenset[str]:
    """Modalities that a track opens where some tasks are fitted together."""
    sources = TRACKS.get(track, frozenset()).difference(*(t.forbidden_sources for t in tasks))
    return frozenset(SOURCES[s].modality or s for s in sources) & frozenset(v.MODALITIES)


def why_absent(without: int, runs: int, modalities: frozenset[str]) -> str:
    """Why a row has no answers with modalities missing; empty where it could have none.

    Args:
        without: Number of its runs that hold none.
        runs: Number of its runs.
        modalities: What its track opens.
    """
    if without < runs:
        return f"{without} of {runs} runs hold no {_FILE}; rerun with `neurodx run`"
    if len(modalities) < 2:
        return ""
    return (
        f"its runs hold no {_FILE}: the method does not cope with missing modalities, or people "
        "here have fewer than two of them"
    )
