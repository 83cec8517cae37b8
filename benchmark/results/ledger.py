"""The unit of scoring: one method's test predictions for one cohort, task and protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.results.embeddings import NO_EMBEDDINGS, Embeddings

__all__ = ["Gap", "Ledger", "RowFacts", "RowKey", "Trail", "prediction_columns"]


@dataclass(frozen=True, slots=True, order=True)
class RowKey:
    """What identifies a row of the board."""

    cohort: str
    task: str
    track: str
    protocol: str
    method: str
    derived_from: str = ""

    @property
    def candidate(self) -> str:
        """Its name among the methods of one cell."""
        return f"{self.method}|{self.track}|{self.derived_from}"

    @property
    def cell(self) -> tuple[str, str, str]:
        """Cohort, task and protocol: rows of one cell share their resamples."""
        return self.cohort, self.task, self.protocol


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What a row says beside its scores; costs are means over its fits."""

    title: str = ""
    provenance: str = v.REPRODUCED
    tuned: bool = False
    profile: str = ""
    fit_seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_mib: float | None = None
    params: int | None = None
    test_evaluations: int | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """How a row came about, for the honesty counters.

    Attributes:
        runs: Number of fits behind the row.
        evaluations: How often predictions of a test fold were made by these runs.
        superseded: How often by runs of the same method that the plan no longer lists: earlier
            code, settings or data that also met the test folds.
        sources: Cohorts whose fold models predict, where the row is external.
    """

    runs: int = 0
    evaluations: int = 0
    superseded: int = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Predictions of every fold and seed of one row.

    Attributes:
        key: What the row is.
        frame: ``participant_id y_true`` and ``prob_0 .. prob_{K-1}`` or ``y_pred``; ``seed``
            (default 0) and ``fold``. Without ``fold`` each person takes the fold that the other
            methods of the cell give; people whom no other method predicted are left out. Use that
            for predictions that were not made by fold, such as an oracle's.
        facts: What else the row says.
        trail: How it came about; None where no run made it.
        validation: The same columns for the validation people of each fold, ``fold`` and ``seed``
            included; None where they were not read or not stored.
        missing: The same columns for answers with modalities missing, and ``shown`` and
            ``n_shown`` as the runner writes them; None where they were not read or are not there.
        missing_note: Why they are not there; empty where there could be none.
        embeddings: What the fits show of the test people; none where they were not read.
    """

    key: RowKey
    frame: pd.DataFrame = field(repr=False)
    facts: RowFacts = RowFacts()
    trail: Trail | None = None
    validation: pd.DataFrame | None = field(default=None, repr=False)
    missing: pd.DataFrame | None = field(default=None, repr=False)
    missing_note: str = ""
    embeddings: Embeddings = field(default=NO_EMBEDDINGS, repr=False)

    @property
    def has_folds(self) -> bool:
        """Whether each prediction names its fold, as those of runs do."""
        return "fold" in self.frame

    @property
    def digests(self) -> tuple[str, str] | None:
        """Of what it holds and of what it holds besides, where they are known without reading."""
        return None

    def read(self) -> Ledger:
        """The ledger with its tables read."""
        return self


@dataclass(frozen=True, slots=True)
class Gap:
    """A row that cannot be scored: why, as "failed" or "missing", and the error's first line."""

    key: RowKey
    status: str
    error: str
    facts: RowFacts = RowFacts()


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """Names of a task's prediction columns: ``prob_k`` by class, or ``y_pred``."""
    return [f"prob_{k}" for k in range(len(classes))] or ["y_pred"]


def first_line(error: object) -> str:
    """The first line of a message, for a table's cell."""
    lines = str(error or "").strip().splitlines()
    return lines[0] if lines else ""


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Reads a table that a run left.

    Args:
        path: The parquet file.
        columns: Columns that it must have.

    Raises:
        ResultError: It cannot be read, or lacks a column.
    """
    try:
        with pq.ParquetFile(path) as file:  # pandas.read_parquet takes twice the time, for the same
            frame: pd.DataFrame = file.read(use_threads=False).to_pandas(use_threads=False)
    except (OSError, ValueError) as error:
        raise ResultError(
            f"{path}: cannot be read ({first_line(error)}); rerun with `neurodx run`"
        ) from None
    require_columns(frame, columns, str(path))
    return frame


def require_columns(frame: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Refuses a table without some columns.

    Raises:
        ResultError: A column is missing.
    """
    missing = [c for c in columns if c not in frame]
    if missing:
        raise ResultError(f"{where}: columns {missing} are missing, got {list(frame.columns)}")
