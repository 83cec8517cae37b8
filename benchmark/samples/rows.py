"""Rows of memory-mapped arrays, read when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from benchmark.errors import SampleError

__all__ = ["LazyRows"]

_ROWS_AT_ONCE = 64


class LazyRows:
    """N rows that lie in one or several arrays on disk; -1 marks a row that is missing.

    Args:
        blocks: Arrays of shape (M_b, ...), equal in all but the first axis.
        block: Which block each row lies in, shape (N,).
        rows: Row within its block, shape (N,); -1 where missing.
    """

    def __init__(self, blocks: Sequence[np.ndarray], block: np.ndarray, rows: np.ndarray) -> None:
        shapes = {array.shape[1:] for array in blocks}
        if len(shapes) != 1:
            raise SampleError(
                f"cohorts of one suite must share a grid; got {sorted(shapes)}: prepare them with "
                "the same profile"
            )
        self._blocks = list(blocks)
        self._block = np.asarray(block, dtype=np.int64)
        self._rows = np.asarray(rows, dtype=np.int64)
        self.shape: tuple[int, ...] = shapes.pop()
        filled = [array.dtype for array in blocks if len(array)]
        self.dtype: np.dtype = np.result_type(*(filled or [blocks[0].dtype]))

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def available(self) -> np.ndarray:
        """Which rows exist, shape (N,), bool."""
        return self._rows >= 0

    def take(self, indices: np.ndarray, dtype: str = "float32") -> np.ndarray:
        """Reads rows into memory.

        Args:
            indices: Positions among the N rows, shape (B,), or a boolean mask, shape (N,).
            dtype: Type of the result.

        Returns:
            Array of shape (B, ...); zeros where a row is missing.
        """
        indices = _positions(indices)
        out = np.zeros((len(indices), *self.shape), dtype=dtype)
        for number, array in enumerate(self._blocks):
            wanted = np.flatnonzero((self._block[indices] == number) & (self._rows[indices] >= 0))
            out[wanted] = array[self._rows[indices[wanted]]]
        return out

    def places(self, indices: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Where rows lie: the array, and the row in it; -1 where missing.

        Args:
            indices: Positions among the N rows, shape (B,), or a boolean mask, shape (N,).
        """
        indices = _positions(indices)
        for block, row in zip(
            self._block[indices].tolist(), self._rows[indices].tolist(), strict=True
        ):
            yield self._blocks[block], row

    def subset(self, indices: np.ndarray) -> LazyRows:
        """The same arrays seen through fewer rows; nothing is read."""
        indices = _positions(indices)
        return LazyRows(self._blocks, self._block[indices], self._rows[indices])

    def without(self, gone: np.ndarray) -> LazyRows:
        """The same rows, missing where ``gone`` (N,) is true."""
        return LazyRows(self._blocks, self._block, np.where(gone, -1, self._rows))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Rows of several parts, one after the other; nothing is read."""
        blocks: list[np.ndarray] = []
        offsets = []
        for part in parts:
            offsets.append(part._block + len(blocks))
            blocks += part._blocks
        rows = np.concatenate([part._rows for part in parts])
        return cls(blocks, np.concatenate(offsets), rows)

    @classmethod
    def missing(cls, n: int, shape: tuple[int, ...]) -> Self:
        """N rows that are all missing."""
        empty = np.zeros((0, *shape), dtype=np.float32)
        return cls([empty], np.zeros(n, dtype=np.int64), np.full(n, -1))

    def write(self, stem: Path) -> None:
        """Writes ``<stem>.npy`` and ``<stem>_available.npy``, a few rows at a time.

        Rows that are missing are not stored.
        """
        present = np.flatnonzero(self.available)
        np.save(stem.with_name(f"{stem.name}_available.npy"), self.available)
        with stem.with_name(f"{stem.name}.npy").open("wb") as handle:
            shape = (len(present), *self.shape)
            header = {"descr": self.dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            for start in range(0, len(present), _ROWS_AT_ONCE):
                chunk = present[start : start + _ROWS_AT_ONCE]
                handle.write(self.take(chunk, self.dtype.str).tobytes())

    @classmethod
    def read(cls, stem: Path) -> Self:
        """Opens what :meth:`write` wrote; nothing is read but which rows exist."""
        available = np.load(stem.with_name(f"{stem.name}_available.npy"))
        array = np.load(stem.with_name(f"{stem.name}.npy"), mmap_mode="r")
        rows = np.where(available, np.cumsum(available) - 1, -1)
        return cls([array], np.zeros(len(rows), dtype=np.int64), rows)


def _positions(indices: np.ndarray) -> np.ndarray:
    indices = np.asarray(indices)
    return np.flatnonzero(indices) if indices.dtype == bool else indices.astype(np.int64)
