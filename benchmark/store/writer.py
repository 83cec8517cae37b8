"""Writes a cohort store: everything goes to a sibling folder, which is renamed when whole."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from benchmark.errors import CohortError
from benchmark.store.atomic import write_json, write_parquet
from benchmark.store.contents import broken_rows, modality_counts
from benchmark.store.folders import empty, lock_folder, put_in_place, recover
from benchmark.store.hashing import canonical_sha256, file_sha256
from benchmark.store.validate import validate_participants

__all__ = ["CARD", "CohortWriter"]

CARD = "cohort.json"
_PROGRESS = "progress.json"
_MOST_SHOWN = 10


class CohortWriter:
    """Builds ``folder`` in ``<folder>.partial`` and renames it at :meth:`finish`.

    A writer that was interrupted resumes: if the partial folder was begun with the same ``recipe``,
    the arrays and the set of chunks already done are kept; otherwise it starts afresh. The partial
    folder is locked until :meth:`finish`, :meth:`close` or the end of the process.

    Args:
        folder: Where the store will stand.
        recipe: JSON-able description of everything that decides the content, code included.

    Raises:
        CohortError: Another process is preparing the same store.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self.folder = folder
        self.partial = folder.with_name(folder.name + ".partial")
        handle = lock_folder(self.partial)
        if handle is None:
            raise CohortError(
                f"{self.partial}: locked; another process is preparing {folder.name!r}, expected "
                f"one at a time. Wait until it ends, then run `neurodx prepare {folder.name}`"
            )
        self._release = weakref.finalize(self, os.close, handle)
        self._begun: set[str] = set()
        self._recipe_hash = canonical_sha256(dict(recipe))
        self._progress_path = self.partial / _PROGRESS
        self.done: set[str] = self._resumable()
        if not self.done:
            empty(self.partial)
        recover(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets another writer go on; what has been written so far stays in the partial folder."""
        self._release()

    def _resumable(self) -> set[str]:
        """Chunks that an interrupted writer finished with the same recipe, arrays still there."""
        try:
            state = json.loads(self._progress_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return set()
        whole = all((self.partial / f"{name}.npy").is_file() for name in state["arrays"])
        return set(state["done"]) if whole and state["recipe"] == self._recipe_hash else set()

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> np.memmap:
        """Opens ``<name>.npy`` for writing; the same array again after an interruption.

        The space is claimed at once: a memory map on a disk that fills up later would end the
        process with a bus error.

        Raises:
            OSError: The disk is too small for the array.
            CohortError: What an interruption left is not the array that was begun.
        """
        path = self.partial / f"{name}.npy"
        self._begun.add(name)
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
        state = {"arrays": sorted(self._begun), "done": sorted(self.done)}
        write_json(self._progress_path, {"recipe": self._recipe_hash, **state})

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
            CohortError: A required entry of the datasheet is missing, an array that was begun is
                gone, or an array holds NaN or infinity; the participants are named.
        """
        missing = {"name", "title", "source", "licence", "synthetic", "preparation"} - set(card)
        if missing:
            raise CohortError(f"{self.folder}: datasheet lacks {', '.join(sorted(missing))}")
        self._check_arrays()
        parts = sorted(p for p in self.partial.iterdir() if p.suffix in {".npy", ".parquet"})
        hashes = {path.name: file_sha256(path) for path in parts}
        whole = {**card, "schema_version": 1, "sha256": hashes}
        if "participants.parquet" in hashes:
            whole["availability"] = modality_counts(self.partial)
        write_json(self.partial / CARD, whole)
        self._progress_path.unlink(missing_ok=True)
        put_in_place(self.partial, self.folder)
        self.close()

    def _check_arrays(self) -> None:
        gone = [
            f"{n}.npy" for n in sorted(self._begun) if not (self.partial / f"{n}.npy").is_file()
        ]
        if gone:
            raise CohortError(
                f"{self.partial}: {', '.join(gone)} was begun and is gone, expected every array "
                f"until the store is whole; run `neurodx prepare {self.folder.name}` again"
            )
        broken = list(broken_rows(self.partial, sorted(self._begun)))
        if broken:
            more = f" and {len(broken) - _MOST_SHOWN} more" if len(broken) > _MOST_SHOWN else ""
            raise CohortError(
                f"{self.folder}: NaN or infinity in {'; '.join(broken[:_MOST_SHOWN])}{more}; "
                f"expected finite numbers. Correct or leave out these scans, remove {self.partial} "
                f"and run `neurodx prepare {self.folder.name}` again"
            )

    def _unusable(self, path: Path, why: str) -> str:
        return (
            f"{path}: left by an interrupted preparation and unusable ({why}); remove "
            f"{self.partial} and run `neurodx prepare {self.folder.name}` again"
        )
