"""Writes a cohort store: everything goes to a sibling folder, which is renamed when whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import CohortError
from benchmark.store.atomic import write_json, write_parquet
from benchmark.store.hashing import canonical_sha256, file_sha256
from benchmark.store.validate import validate_participants

__all__ = ["CARD", "CohortWriter"]

CARD = "cohort.json"
_PROGRESS = "progress.json"


class CohortWriter:
    """Builds ``folder`` in ``<folder>.partial`` and renames it at :meth:`finish`.

    A writer that was interrupted resumes: if the partial folder was begun with the same ``recipe``,
    the arrays and the set of chunks already done are kept; otherwise it starts afresh.

    Args:
        folder: Where the store will stand.
        recipe: JSON-able description of everything that decides the content.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = folder
        self.partial = folder.with_name(folder.name + ".partial")
        self._recipe_hash = canonical_sha256(dict(recipe))
        self._progress_path = self.partial / _PROGRESS
        self.done: set[str] = set()
        if self._progress_path.is_file():
            state = json.loads(self._progress_path.read_text())
            if state["recipe"] == self._recipe_hash:
                self.done = set(state["done"])
        if not self.done and self.partial.exists():
            shutil.rmtree(self.partial)
        self.partial.mkdir(parents=True, exist_ok=True)

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> np.memmap:
        """Opens ``<name>.npy`` for writing; the same array again after an interruption.

        The space is claimed at once: a memory map on a disk that fills up later would end the
        process with a bus error.

        Raises:
            OSError: The disk is too small for the array.
            CohortError: What an interruption left is not the array that was begun.
        """
        path = self.partial / f"{name}.npy"
        resumed = path.is_file()
        try:
            if not resumed:
                np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
            array = np.lib.format.open_memmap(path, mode="r+")
        except ValueError as error:
            raise CohortError(self._unusable(path, str(error))) from error
        if array.shape != shape or array.dtype != np.dtype(dtype):
            found = f"{array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}"
            raise CohortError(self._unusable(path, found))
        with path.open("r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, path.stat().st_size)
        return array

    def mark_done(self, *chunks: str) -> None:
        """Records chunks as written, after their arrays were flushed by the caller."""
        self.done.update(chunks)
        write_json(self._progress_path, {"recipe": self._recipe_hash, "done": sorted(self.done)})

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Writes ``<name>.parquet``; ``participants`` is validated first.

        Raises:
            CohortError: A rule of the participant table is broken; every violation is listed.
        """
        if name == "participants":
            validate_participants(frame, self.folder.name)
        write_parquet(self.partial / f"{name}.parquet", frame)

    def finish(self, card: Mapping[str, Any]) -> None:
        """Hashes every part, writes the datasheet and puts the store in its place.

        Args:
            card: The datasheet: at least ``name``, ``title``, ``source``, ``licence``,
                ``synthetic`` and ``preparation``.

        Raises:
            CohortError: A required entry of the datasheet is missing.
        """
        missing = {"name", "title", "source", "licence", "synthetic", "preparation"} - set(card)
        if missing:
            raise CohortError(f"{self.folder}: datasheet lacks {', '.join(sorted(missing))}")
        parts = sorted(p for p in self.partial.iterdir() if p.suffix in {".npy", ".parquet"})
        hashes = {path.name: file_sha256(path) for path in parts}
        write_json(self.partial / CARD, {**card, "schema_version": 1, "sha256": hashes})
        self._progress_path.unlink(missing_ok=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.partial.replace(self.folder)

    def _unusable(self, path: Path, why: str) -> str:
        return (
            f"{path}: left by an interrupted preparation and unusable ({why}); remove "
            f"{self.partial} and run `neurodx prepare {self.folder.name}` again"
        )
