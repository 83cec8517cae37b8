"""Batches read straight from memory-mapped arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from benchmark.samples.rows import LazyRows
from benchmark.training.keys import key
from benchmark.training.reading import RowReader

__all__ = ["Batch", "BatchSource", "epoch_batches", "even_batches", "label_strata"]

Column = LazyRows | np.ndarray
_VOLUME_DIMENSIONS = 3


@dataclass(frozen=True)
class Batch:
    """B people as tensors.

    Attributes:
        inputs: What ``forward`` gets, e.g. ``t1w`` (B, 1, D, H, W) and ``t1w_available`` (B,) bool.
        labels: By task, (B,): class index (int64) or standardised value (float32); 0 where masked.
        masks: By task, (B,) float32, 1 where the label is known.
        targets: Auxiliary targets, e.g. ``hippocampus_mask`` (B, 1, D, H, W).
        training: Whether the batch is learned from.
    """

    inputs: dict[str, Tensor]
    labels: dict[str, Tensor] = field(default_factory=dict)
    masks: dict[str, Tensor] = field(default_factory=dict)
    targets: dict[str, Tensor] = field(default_factory=dict)
    training: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def to(self, device: torch.device) -> Batch:
        """The batch on a device; on cuda through pinned memory, without waiting."""
        if device.type == "cpu":
            return self

        def moved(group: dict[str, Tensor]) -> dict[str, Tensor]:
            return {n: t.pin_memory().to(device, non_blocking=True) for n, t in group.items()}

        return replace(
            self,
            inputs=moved(self.inputs),
            labels=moved(self.labels),
            masks=moved(self.masks),
            targets=moved(self.targets),
        )


@dataclass(frozen=True)
class BatchSource:
    """N people from whom batches are read.

    Attributes:
        inputs: Arrays of N rows, in memory or lazy. A lazy array also gives ``<name>_available``.
        labels: By task, (N,), NaN where unknown; class indices or standardised values.
        classification: Tasks whose labels are class indices.
        targets: Auxiliary arrays of N rows.
        strata: Which people are alike in their labels, (N,); None deals them out by chance.
        reader: Reads lazy arrays; parts of a source share it, and with it the memory of batches.
    """

    inputs: Mapping[str, Column]
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    classification: frozenset[str] = frozenset()
    targets: Mapping[str, Column] = field(default_factory=dict)
    strata: np.ndarray | None = None
    reader: RowReader = field(default_factory=RowReader, repr=False, compare=False)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def subset(self, rows: np.ndarray) -> BatchSource:
        """Some of the people; lazy arrays stay lazy.

        Args:
            rows: Positions among the N people, or (N,) bool.
        """
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows

        def taken(columns: Mapping[str, Column]) -> dict[str, Column]:
            return {
                name: column.subset(rows) if isinstance(column, LazyRows) else column[rows]
                for name, column in columns.items()
            }

        return replace(
            self,
            inputs=taken(self.inputs),
            labels={task: values[rows] for task, values in self.labels.items()},
            targets=taken(self.targets),
            strata=None if self.strata is None else self.strata[rows],
        )

    def read(self, rows: np.ndarray, *, training: bool = False) -> Batch:
        """Reads some people into memory.

        Args:
            rows: Positions among the N people, shape (B,).
            training: Marks the batch.
        """
        inputs = {}
        for name, column in self.inputs.items():
            inputs[name] = self._tensor(column, rows)
            if isinstance(column, LazyRows):
                inputs[f"{name}_available"] = torch.from_numpy(column.available[rows])
        labels, masks = {}, {}
        for task, values in self.labels.items():
            picked = values[rows]
            known = ~np.isnan(picked)
            kind = np.int64 if task in self.classification else np.float32
            labels[task] = torch.from_numpy(np.where(known, picked, 0.0).astype(kind))
            masks[task] = torch.from_numpy(known.astype(np.float32))
        targets = {name: self._tensor(column, rows) for name, column in self.targets.items()}
        return Batch(inputs, labels, masks, targets, training)

    def _tensor(self, column: Column, rows: np.ndarray) -> Tensor:
        if isinstance(column, LazyRows):
            tensor = self.reader.read(column, rows)
            return tensor.unsqueeze(1) if len(column.shape) == _VOLUME_DIMENSIONS else tensor
        picked = np.ascontiguousarray(column[rows])
        kind = picked.dtype if picked.dtype.kind in "bi" else np.float32
        return torch.from_numpy(picked.astype(kind, copy=False))


def even_batches(rows: np.ndarray, size: int) -> Sequence[np.ndarray]:
    """Cuts rows into batches whose sizes differ by one at most and do not exceed ``size``.

    >>> [len(b) for b in even_batches(np.arange(10), 4)]
    [4, 3, 3]
    >>> even_batches(np.arange(0), 4)
    []
    """
    if not len(rows):
        return []
    return np.array_split(rows, -(-len(rows) // size))


def label_strata(labels: Mapping[str, np.ndarray], classes: frozenset[str]) -> np.ndarray:
    """Numbers the combinations of labels that people have, (N,).

    Args:
        labels: By task, (N,), NaN where unknown.
        classes: Tasks whose labels are classes; of the others it counts whether there is one.
    """
    columns = [np.where(np.isnan(y), -1, y if task in classes else 0) for task, y in labels.items()]
    return np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def epoch_batches(
    n: int, size: int, seed: int, epoch: int, strata: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Batches of one epoch: each person once, in an order keyed by seed and epoch.

    With strata, the people of each are dealt out to the batches one by one, like cards: two batches
    differ by one person of a stratum at most. Which batches get the odd ones is drawn anew each
    epoch.
    """
    rng = np.random.default_rng(key(seed, "order", epoch))
    order = rng.permutation(n)
    if strata is None:
        yield from even_batches(order, size)
        return
    numbers = np.unique(strata, return_inverse=True)[1]
    turn = rng.permutation(numbers.max() + 1)[numbers]
    dealt = order[np.argsort(turn[order], kind="stable")]
    n_batches = len(even_batches(order, size))
    for first in rng.permutation(n_batches):
        yield dealt[first::n_batches]
