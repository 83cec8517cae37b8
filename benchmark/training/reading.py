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


class _Foreign:
    """Rows of an array that torch cannot look into: another byte order, or a negative stride."""

    def __init__(self, block: np.ndarray) -> None:
        self._block = block

    def __getitem__(self, row: int) -> Tensor:
        native = self._block.dtype.newbyteorder("=")
        return torch.from_numpy(np.array(self._block[row], dtype=native, order="C"))


class RowReader:
    """Reads batches of rows; a batch whose tensors are all gone gives its memory to a later one.

    Fresh memory must be handed out page by page, which takes longer than widening float16 to
    float32 does. What a caller, a view or autograd still holds is never written over. A copy of a
    reader, in this process or another, starts with nothing.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[int, ...], list[np.ndarray]] = {}
        self._blocks: dict[int, tuple[np.ndarray, Tensor | _Foreign]] = {}

    def __reduce__(self) -> tuple[type[RowReader], tuple[()]]:
        return RowReader, ()

    def read(self, column: LazyRows, rows: np.ndarray) -> Tensor:
        """Reads rows, widened or rounded to float32.

        Args:
            column: N rows.
            rows: Positions among them, (B,), or a boolean mask, (N,).

        Returns:
            (B, ...), contiguous; zeros where a row is missing.
        """
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        out = torch.from_numpy(self._unheld(column.shape, len(rows))[: len(rows)])
        for position, (block, row) in enumerate(column.places(rows)):
            if row < 0:
                out[position].zero_()
            else:
                out[position].copy_(self._opened(block)[row])
        return out

    def _opened(self, block: np.ndarray) -> Tensor | _Foreign:
        known = self._blocks.get(id(block))
        if known is None or known[0] is not block:
            known = self._blocks[id(block)] = (block, _opened(block))
        return known[1]

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


def _opened(block: np.ndarray) -> Tensor | _Foreign:
    if not block.dtype.isnative or min(block.strides, default=0) < 0:
        return _Foreign(block)
    with warnings.catch_warnings():  # the file is mapped to be read, and is only read here
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(block)


def _references(arrays: list[np.ndarray], number: int) -> int:
    return sys.getrefcount(arrays[number])


_OURS: Final = _references([np.empty(0)], 0)  # what the list alone gives, in this Python
