"""A split in memory: who is in which part of which fold."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import SplitError

__all__ = [
    "FEW_LABEL",
    "FEW_LABEL_PERCENTS",
    "FOLD",
    "PERCENT",
    "REPEAT",
    "Fold",
    "Row",
    "Split",
    "columns_of",
    "fold_text",
    "text_sha256",
]

REPEAT: Final = "repeat"
FOLD: Final = "fold"
PERCENT: Final = "percent"  # few-label only: the smallest subset that holds a training person
FEW_LABEL: Final = "few-label"
FEW_LABEL_PERCENTS: Final = (1, 5, 10, 25, 50, 100)

Row = tuple[Any, ...]  # of a fold file, in the order of its columns

_PARTS: Final = (v.TRAIN, v.VALIDATION, v.TEST)


def columns_of(protocol: str) -> list[str]:
    """Returns the columns of a protocol's fold file, in order."""
    columns = [REPEAT, FOLD, v.PARTICIPANT_ID, v.PART]
    return [*columns, PERCENT] if protocol == FEW_LABEL else columns


def fold_text(columns: Iterable[object], rows: Iterable[Row]) -> str:
    """Returns the text of the fold file with these columns and rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def text_sha256(text: str) -> str:
    """Returns the SHA-256 of a fold file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Fold:
    """Participant ids of the three parts of one fold, each sorted; validation is not in train."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """A rule applied to a cohort.

    Attributes:
        cohort: Name of the cohort that is split.
        protocol: The rule's name, e.g. ``3fold``.
        seed: The seed that entered the hashes.
        table: ``repeat fold participant_id part`` (few-label: also ``percent``), sorted.
        manifest: Rule, parameters, counts and hashes, as written beside the table.
    """

    cohort: str
    protocol: str
    seed: int
    table: pd.DataFrame = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def n_folds(self) -> int:
        """Number of folds in each repeat."""
        return int(self.table[FOLD].max()) + 1

    @property
    def n_repeats(self) -> int:
        """Number of repeats."""
        return int(self.table[REPEAT].max()) + 1

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the fold file's text."""
        return text_sha256(self.csv())

    @property
    def train_cohort(self) -> str:
        """The cohort whose fold models predict this one; ``cohort`` itself unless external."""
        return str(self.manifest.get("train_cohort", self.cohort))

    def csv(self) -> str:
        """The fold file's text."""
        columns = (self.table[name].tolist() for name in self.table)
        return fold_text(self.table, zip(*columns, strict=True))

    def fold(self, k: int, repeat: int = 0) -> Fold:
        """Returns the parts of one fold (few-label: with all training people).

        Raises:
            SplitError: There is no such fold or repeat.
        """
        rows = self._rows(k, repeat)
        return Fold(*(self._ids(rows, part) for part in _PARTS))

    def few_label_fold(self, k: int, percent: int, repeat: int = 0) -> Fold:
        """Returns a fold whose training part is the subset of ``percent`` % of its people.

        Raises:
            SplitError: Not a few-label split, or no such fold or percentage.
        """
        if PERCENT not in self.table:
            raise SplitError(
                f"{self.cohort}/{self.protocol} has no subsets of training people; make the "
                f"few-label split with `neurodx splits make --protocol few-label`"
            )
        if percent not in FEW_LABEL_PERCENTS:
            known = ", ".join(map(str, FEW_LABEL_PERCENTS))
            raise SplitError(f"few-label percentage {percent}: expected one of {known}")
        rows = self._rows(k, repeat)
        return Fold(*(self._ids(rows.loc[rows[PERCENT] <= percent], p) for p in _PARTS))

    def omitted(self, task: str) -> frozenset[tuple[int, int]]:
        """Returns the (fold, percent) pairs with fewer than two training people in a class."""
        points = self.manifest.get("omitted", ())
        return frozenset((p[FOLD], p[PERCENT]) for p in points if p["task"] == task)

    def write(self, folder: Path) -> Path:
        """Writes ``<folder>/<protocol>.csv`` and its manifest; returns the path of the first."""
        from benchmark.splitting.files import write_split

        return write_split(self, folder)

    def _rows(self, k: int, repeat: int) -> pd.DataFrame:
        rows = self.table.loc[(self.table[FOLD] == k) & (self.table[REPEAT] == repeat)]
        if rows.empty:
            raise SplitError(
                f"{self.cohort}/{self.protocol} has no fold {k} of repeat {repeat}: expected folds "
                f"0 to {self.n_folds - 1} and repeats 0 to {self.n_repeats - 1}; "
                f"see `neurodx splits show --cohort {self.cohort} --protocol {self.protocol}`"
            )
        return rows

    @staticmethod
    def _ids(rows: pd.DataFrame, part: str) -> tuple[str, ...]:
        return tuple(sorted(rows.loc[rows[v.PART] == part, v.PARTICIPANT_ID]))
