"""Rows of memory-mapped arrays, read when asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.errors import SampleError

__all__ = ["LazyRows"]


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

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def available(self) -> np.ndarray:
        """Which rows exist, shape (N,), bool."""
        return self._rows >= 0

    def take(self, indices: np.ndarray, dtype: str = "float32") -> np.ndarray:
        """Reads rows into memory.

        Args:
            indices: Positions among the N rows, shape (B,).
            dtype: Type of the result.

        Returns:
            Array of shape (B, ...); zeros where a row is missing.
        """
        indices = np.asarray(indices, dtype=np.int64)
        out = np.zeros((len(indices), *self.shape), dtype=dtype)
        for number, array in enumerate(self._blocks):
            wanted = np.flatnonzero((self._block[indices] == number) & (self._rows[indices] >= 0))
            out[wanted] = array[self._rows[indices[wanted]]]
        return out

    def subset(self, indices: np.ndarray) -> LazyRows:
        """The same arrays seen through fewer rows; nothing is read."""
        return LazyRows(self._blocks, self._block[indices], self._rows[indices])

    @staticmethod
    def concat(parts: Sequence[LazyRows]) -> LazyRows:
        """Rows of several parts, one after the other; nothing is read."""
        blocks: list[np.ndarray] = []
        offsets = []
        for part in parts:
            offsets.append(part._block + len(blocks))
            blocks += part._blocks
        rows = np.concatenate([part._rows for part in parts])
        return LazyRows(blocks, np.concatenate(offsets), rows)

    @staticmethod
    def missing(n: int, shape: tuple[int, ...]) -> LazyRows:
        """N rows that are all missing."""
        empty = np.zeros((0, *shape), dtype=np.float32)
        return LazyRows([empty], np.zeros(n, dtype=np.int64), np.full(n, -1))
