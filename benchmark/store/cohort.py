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

__all__ = ["Cohort"]


class Cohort:
    """A prepared cohort, opened lazily.

    Args:
        folder: ``data/<cohort>``.

    Raises:
        CohortError: The folder holds no finished store.
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
        self.card: dict[str, Any] = json.loads(path.read_text())

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
        return bool({f"{part}.npy", f"{part}.parquet"} & set(self.card["sha256"]))

    def table(self, name: str) -> pd.DataFrame:
        """A further table, aligned to :attr:`index_visits` (missing people hold missing values).

        Raises:
            CohortError: The store has no such table.
        """
        keys = [v.PARTICIPANT_ID, v.SESSION_ID]
        return self.index_visits[keys].merge(self._table(name), on=keys, how="left")

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
        return pd.read_parquet(self._part(f"{name}.parquet"))

    def _part(self, filename: str) -> Path:
        if filename not in self.card["sha256"]:
            known = ", ".join(sorted(self.card["sha256"]))
            raise CohortError(f"{self.folder}: has no {filename} (it has {known})")
        path = self.folder / filename
        if not path.is_file():
            raise CohortError(f"{path}: missing; {self._remedy()}")
        return path

    def _remedy(self) -> str:
        return f"rebuild with `neurodx prepare {self.folder.name} --force`"
