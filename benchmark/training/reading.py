"""Rows on disk as float32 tensors, in memory that is used again once nobody holds it."""

from __future__ import annotations

import sys
import warnings
from typing import Final

import numpy as np
import torch
from torch import Tensor

from benchmark.samples.rows import LazyRows

__all__ = ["RowReader"]

_KEPT: Final = 4  # arrays of one shape: the batch before, this one, and what a caller sets aside


class RowReader:
    """Reads batches of rows; a batch whose tensors are all gone gives its memory to a later one.

    Fresh memory costs a page fault every few KiB, which takes several times as long as widening
    float16 to float32 does. What a caller, a view or autograd still holds is never overwritten.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[int, ...], list[np.ndarray]] = {}
        self._blocks: dict[int, tuple[np.ndarray, Tensor]] = {}

    def read(self, column: LazyRows, rows: np.ndarray) -> Tensor:
        """Reads rows, widened or rounded to float32.

        Args:
            column: N rows.
            rows: Positions among them, (B,).

        Returns:
            (B, ...), contiguous; zeros where a row is missing.
        """
        out = torch.from_numpy(self._unheld(column.shape, len(rows))[: len(rows)])
        for position, (block, row) in enumerate(column.places(rows)):
            if row < 0:
                out[position].zero_()
            else:
                out[position].copy_(self._opened(block)[row])
        return out

    def _opened(self, block: np.ndarray) -> Tensor:
        if id(block) not in self._blocks:
            with warnings.catch_warnings():  # the file is mapped to be read, and is only read here
                warnings.filterwarnings("ignore", "The given NumPy array is not writable")
                self._blocks[id(block)] = (block, torch.from_numpy(block))
        return self._blocks[id(block)][1]

    def _unheld(self, shape: tuple[int, ...], n: int) -> np.ndarray:
        """An array of at least ``n`` rows that no tensor refers to."""
        kept = self._memory.setdefault(shape, [])
        for number in range(len(kept)):
            if _references(kept, number) == _OURS:
                if len(kept[number]) < n:
                    kept[number] = np.empty((n, *shape), dtype=np.float32)
                return kept[number]
        fresh = np.empty((n, *shape), dtype=np.float32)
        if len(kept) < _KEPT:
            kept.append(fresh)
        return fresh


def _references(arrays: list[np.ndarray], number: int) -> int:
    return sys.getrefcount(arrays[number])


_OURS: Final = _references([np.empty(0)], 0)  # what the list alone gives, in this Python
