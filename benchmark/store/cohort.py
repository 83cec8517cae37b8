"""Reads a cohort store. Opening it reads the datasheet only; volumes stay on disk."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import CohortError
from benchmark.store.hashing import canonical_sha256, file_sha256
from benchmark.store.writer import CARD

__all__ = ["Cohort", "store_names"]


class Cohort:
    """A prepared cohort, opened lazily.

    Args:
        folder: ``data/<cohort>``.

    Raises:
        CohortError: The folder holds no finished store, or its datasheet cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / CARD
        if not path.is_file():
            partial = folder.with_name(folder.name + ".partial")
            state = "was interrupted" if partial.exists() else "has not been prepared"
            raise CohortError(
                f"{folder}: this cohort {state} (no {CARD}); run `neurodx prepare {folder.name}`"
            )
        try:
            self.card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self._parts = frozenset(self.card["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise CohortError(f"{path}: damaged ({error!r}); {self._remedy()}") from error
        self._aligned: dict[str, pd.DataFrame] = {}

    @property
    def name(self) -> str:
        """The cohort's name."""
        return str(self.card["name"])

    @property
    def content_hash(self) -> str:
        """One hash of all parts of the store."""
        return canonical_sha256(self.card["sha256"])

    @cached_property
    def visits(self) -> pd.DataFrame:
        """All visits, one row each."""
        return self._table("participants")

    @cached_property
    def index_visits(self) -> pd.DataFrame:
        """One row per person, in the store's order."""
        return self.visits.loc[self.visits[v.IS_INDEX]].reset_index(drop=True)

    def has(self, part: str) -> bool:
        """Whether the store holds ``<part>.npy`` or ``<part>.parquet``."""
        return bool({f"{part}.npy", f"{part}.parquet"} & self._parts)

    def table(self, name: str) -> pd.DataFrame:
        """A further table, aligned to :attr:`index_visits` (missing people hold missing values).

        Raises:
            CohortError: The store has no such table, it is damaged, or it holds a visit twice.
        """
        if name not in self._aligned:
            keys = [v.PARTICIPANT_ID, v.SESSION_ID]
            table = self._table(name)
            twice = table.loc[table.duplicated(keys), v.PARTICIPANT_ID]
            if len(twice):
                raise CohortError(
                    f"{self.folder}/{name}.parquet: {len(twice)} visit(s) appear twice, the first "
                    f"of {twice.iloc[0]}; expected one row per visit; {self._remedy()}"
                )
            self._aligned[name] = self.index_visits[keys].merge(table, on=keys, how="left")
        return self._aligned[name].copy(deep=False)

    def array(self, name: str) -> np.ndarray:
        """A memory-mapped array, e.g. ``t1w`` of shape (N, D, H, W); nothing is read yet.

        Raises:
            CohortError: The store has no such array, or it is truncated.
        """
        path = self._part(f"{name}.npy")
        try:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise CohortError(f"{path}: damaged ({error}); {self._remedy()}") from error
        return array

    def verify(self) -> None:
        """Compares every part with its hash in the datasheet.

        Raises:
            CohortError: Parts that are missing or damaged, by name.
        """
        damaged = [
            name
            for name, expected in sorted(self.card["sha256"].items())
            if not (self.folder / name).is_file() or file_sha256(self.folder / name) != expected
        ]
        if damaged:
            raise CohortError(
                f"{self.folder}: missing or damaged: {', '.join(damaged)} (sha256 differs from "
                f"{CARD}); {self._remedy()}"
            )

    def _table(self, name: str) -> pd.DataFrame:
        path = self._part(f"{name}.parquet")
        try:
            return pd.read_parquet(path)
        except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
            reason = str(error).splitlines()[0]
            raise CohortError(f"{path}: damaged ({reason}); {self._remedy()}") from error

    def _part(self, filename: str) -> Path:
        if filename not in self._parts:
            known = ", ".join(sorted(self._parts))
            raise CohortError(f"{self.folder}: has no {filename} (it has {known})")
        path = self.folder / filename
        if not path.is_file():
            raise CohortError(f"{path}: missing; {self._remedy()}")
        return path

    def _remedy(self) -> str:
        return f"rebuild with `neurodx prepare {self.folder.name} --force`"


def store_names(data: Path) -> list[str]:
    """Names of the whole stores in a ``data`` folder, sorted; leftovers do not count."""
    folders = [path.parent for path in data.glob(f"*/{CARD}")]
    return sorted(folder.name for folder in folders if folder.suffix != ".partial")
