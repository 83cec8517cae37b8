"""What a map has to beat: chance, the head's outline, brightness, a map of group differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmark.samples import Samples
from benchmark.stats.resamples import seeded_generator
from benchmark.tasks import Task

__all__ = ["CONTROLS", "GroupMaps", "control_maps", "head_mask"]

Array = NDArray[Any]
CONTROLS: Final = ("random", "tissue", "brightness", "group_t")
_BACKGROUND = 0.05  # of white matter, as in NormaliseVolumes
_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class GroupMaps:
    """What the training people's volumes show voxel by voxel.

    Attributes:
        reference: Mean volume of the first class, or of everybody for a value, (D, H, W) float32.
        mean: Mean volume of everybody.
        t: Statistic of the difference of the last from the first class (Welch), or of the
            correlation with the value, (D, H, W); 0 where nothing varies.
    """

    reference: Array
    mean: Array
    t: Array

    @classmethod
    def learn(cls, train: Samples, task: Task) -> GroupMaps:
        """Measures them in people with a volume and a label, a few at a time.

        Args:
            train: Training people with labels.
            task: The task.
        """
        values, known = train.labels(task.name)
        rows = np.flatnonzero(known & train.arrays["t1w"].available)
        shape = train.arrays["t1w"].shape
        if task.classes:
            classes = values[rows].astype(np.int64)
            weights = np.stack([classes == 0, classes == classes.max(), classes >= 0])
        else:
            y = values[rows] - values[rows].mean()
            weights = np.stack([y, np.ones(len(rows))])
        sums = np.zeros((len(weights), int(np.prod(shape))))
        squares = np.zeros_like(sums)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            x = train.volumes(rows[part]).reshape(-1, sums.shape[1]).astype(np.float64)
            sums += weights[:, part] @ x
            squares += weights[:, part] @ x**2
        n = weights.sum(axis=1)
        mean = (sums[-1] / len(rows)).reshape(shape)
        if task.classes:
            means = sums / n[:, None]
            variance = np.maximum(squares / n[:, None] - means**2, 0)
            spread = np.sqrt((variance / np.maximum(n - 1, 1)[:, None])[:2].sum(axis=0))
            difference = means[1] - means[0]
            t = np.divide(difference, spread, out=np.zeros_like(spread), where=spread > 1e-9)
            reference = means[0].reshape(shape)
        else:
            variance = np.maximum(squares[1] / n[1] - (sums[1] / n[1]) ** 2, 0)
            scale = np.sqrt(variance * len(rows) * (weights[0] ** 2).sum())
            r = np.divide(sums[0], scale, out=np.zeros_like(scale), where=scale > 1e-9)
            t = r * np.sqrt((len(rows) - 2) / np.maximum(1 - r**2, 1e-9))
            reference = mean
        kind = np.float32
        return cls(reference.astype(kind), mean.astype(kind), t.reshape(shape).astype(kind))


def head_mask(volume: Array) -> Array:
    """Voxels of a stored volume that are not background, bool."""
    mask: Array = np.asarray(volume) > _BACKGROUND
    return mask


def control_maps(volume: Array, participant: str, groups: GroupMaps) -> dict[str, Array]:
    """The controls of one person.

    Args:
        volume: The person's stored volume, (D, H, W).
        participant: Seeds the random map.
        groups: What training people show.

    Returns:
        ``random``: independent noise; ``tissue``: 1 in the head; ``brightness``: the mean volume
        of training people; ``group_t``: their group difference.
    """
    noise = seeded_generator("saliency control", participant).random(volume.shape)
    found = (noise, head_mask(volume).astype(np.float32), groups.mean, groups.t)
    return dict(zip(CONTROLS, found, strict=True))
