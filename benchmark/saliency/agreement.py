"""Agreement of maps with the true map of change: pure functions without torch.

Area under the precision-recall curve as in Arun et al. 2021; the pointing game as in Zhang et al.
2018, without a margin around the target.

References:
    Arun et al. 2021, Radiology: Artificial Intelligence, 10.1148/ryai.2021200267.
    Zhang et al. 2018, Top-down neural attention by excitation backprop, 10.1007/s11263-017-1059-x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from benchmark.stats.bootstrap import bootstrap_interval
from benchmark.stats.resamples import draw_resamples

__all__ = [
    "CHANGE_SHARE",
    "SCORES",
    "auprc",
    "change_mask",
    "mean_with_interval",
    "person_scores",
    "pointing",
    "summarise",
]

Array = NDArray[Any]
CHANGE_SHARE: Final = 0.5
SCORES: Final = ("auprc", "pointing")
_LEAST_PEOPLE = 2


def change_mask(change: Array, share: float = CHANGE_SHARE) -> Array:
    """The fewest voxels that hold a share of all change.

    Voxels are taken in the order of their absolute change until their sum reaches the share; ties
    with the last one are taken too.

    Args:
        change: True change, e.g. log volume change, any shape.
        share: Within 0 and 1.

    Returns:
        Same shape, bool; all false where nothing changes.

    Example:
        >>> change_mask(np.array([0.0, -4.0, 3.0, 1.0])).tolist()
        [False, True, False, False]
        >>> change_mask(np.zeros(2)).tolist()
        [False, False]
    """
    size = np.abs(np.asarray(change, dtype=np.float64))
    ordered = np.sort(size, axis=None)[::-1]
    total = np.cumsum(ordered)
    if not total[-1] > 0:
        return np.zeros(size.shape, dtype=bool)
    last = min(int(np.searchsorted(total, share * total[-1])), len(ordered) - 1)
    mask: Array = (size >= ordered[last]) & (size > 0)
    return mask


def auprc(saliency: Array, mask: Array, within: Array | None = None) -> float:
    """Area under the precision-recall curve of absolute saliency against a mask.

    Args:
        saliency: A map, (D, H, W).
        mask: True voxels, same shape.
        within: Voxels that count; all by default.

    Returns:
        Average precision; ties share a threshold, so a constant map gives the share of true voxels.
        NaN where no voxel that counts is true.
    """
    inside = np.ones(mask.shape, dtype=bool) if within is None else within.astype(bool)
    truth = mask[inside]
    if not truth.any():
        return float("nan")
    return float(average_precision_score(truth, np.abs(saliency[inside]).astype(np.float64)))


def pointing(saliency: Array, mask: Array, within: Array | None = None) -> float:
    """Whether the greatest absolute saliency lies in a mask, 1 or 0.

    Args:
        saliency: A map, (D, H, W).
        mask: True voxels, same shape.
        within: Voxels that count; all by default.

    Returns:
        Where several voxels are greatest, the share of them in the mask: what breaking the tie by
        lot gives on average. NaN where no voxel that counts is true.
    """
    inside = np.ones(mask.shape, dtype=bool) if within is None else within.astype(bool)
    truth, size = mask[inside], np.abs(saliency[inside])
    if not truth.any():
        return float("nan")
    return float(truth[size == size.max()].mean())


def person_scores(
    maps: Mapping[str, Array], change: Array, regions: Mapping[str, Array | None]
) -> list[dict[str, Any]]:
    """Scores of all maps of one person.

    Args:
        maps: By kind, (D, H, W) each, controls among them.
        change: The person's true change, (D, H, W).
        regions: By name, the voxels that count, (D, H, W) bool; None for all.

    Returns:
        One record per kind and region: ``kind region prevalence auprc pointing``.
    """
    mask = change_mask(change)
    rows: list[dict[str, Any]] = []
    for region, within in regions.items():
        counted = mask if within is None else mask[within]
        for kind, saliency in maps.items():
            rows.append(
                {
                    "kind": kind,
                    "region": region,
                    "prevalence": float(counted.mean()),
                    "auprc": auprc(saliency, mask, within),
                    "pointing": pointing(saliency, mask, within),
                }
            )
    return rows


def mean_with_interval(
    values: Array, people: Sequence[str], n_resamples: int = 2000
) -> tuple[int, float, float, float]:
    """Mean over people and its bootstrap interval (BCa, 95 %).

    Args:
        values: One a person, NaN where undefined.
        people: Participant ids.
        n_resamples: Bootstrap resamples.

    Returns:
        Number of people with a value, mean, low, high; NaN where there are fewer than two.
    """
    known = ~np.isnan(values)
    found, who = values[known], np.asarray(people)[known]
    if len(found) < _LEAST_PEOPLE:
        mean = float(found.mean()) if len(found) else float("nan")
        return len(found), mean, float("nan"), float("nan")
    strata = np.zeros(len(found))

    def mean_of(weights: Array | None) -> Array:
        if weights is None:
            return np.asarray(found.mean())
        average: Array = weights @ found / weights.sum(axis=1)
        return average

    weights = draw_resamples(who, strata, n_resamples=n_resamples)
    result = bootstrap_interval(mean_of, weights, strata)
    return len(found), result.score, result.interval.low, result.interval.high


def summarise(
    scores: pd.DataFrame, controls: Sequence[str], n_resamples: int = 2000
) -> pd.DataFrame:
    """Means over people with intervals, and differences to each control, person by person.

    Args:
        scores: As :func:`person_scores`, with ``participant_id`` and ``group``, e.g. the class.
        controls: Kinds that are no explanation.
        n_resamples: Bootstrap resamples.

    Returns:
        ``kind region group score against n mean low high``; ``against`` is "" or a control.
        ``group`` is "everybody" or one of those given.
    """
    rows = []
    groups = {"everybody": scores, **dict(iter(scores.groupby("group", sort=True)))}
    for group, chosen in groups.items():
        for region, part in chosen.groupby("region", sort=True):
            for score in SCORES:
                table = part.pivot_table(score, "participant_id", "kind", dropna=False, sort=True)
                for kind, against in _comparisons(list(table.columns), controls):
                    values = table[kind] - (table[against] if against else 0.0)
                    found = mean_with_interval(
                        values.to_numpy(dtype=np.float64), list(table.index), n_resamples
                    )
                    names = (kind, region, group, score, against)
                    rows.append((*names, *found))
    columns = ["kind", "region", "group", "score", "against", "n", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _comparisons(kinds: Sequence[str], controls: Sequence[str]) -> list[tuple[str, str]]:
    alone = [(kind, "") for kind in kinds]
    pairs = [(k, c) for k in kinds if k not in controls for c in controls if c in kinds]
    return alone + pairs
