"""Joins the samples of several cohorts into those of one suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.errors import SampleError
from benchmark.samples.rows import LazyRows
from benchmark.samples.samples import LabelPair, Samples

__all__ = ["concat_samples"]


def concat_samples(parts: Sequence[Samples]) -> Samples:
    """Stacks samples; what one cohort lacks is marked missing for its people.

    Args:
        parts: Samples with one cohort code each, on the same grid.

    Raises:
        SampleError: Grids differ, or arrays of one name have different columns.
    """
    if len(parts) == 1:
        return parts[0]
    sizes = [part.n for part in parts]
    labelled = all(part.has_labels for part in parts)
    return Samples(
        n=sum(sizes),
        tables={
            name: pd.concat(
                [p.tables.get(name, pd.DataFrame(index=range(p.n))) for p in parts],
                ignore_index=True,
            )
            for name in _names(part.tables for part in parts)
        },
        arrays=_concat_rows([part.arrays for part in parts], sizes),
        texts={
            name: [t for p in parts for t in p.texts.get(name, [""] * p.n)]
            for name in _names(part.texts for part in parts)
        },
        available={
            name: np.concatenate([part.has(name) for part in parts])
            for name in _names(part.available for part in parts)
        },
        cohort=np.concatenate([part.cohort for part in parts]),
        names=_same_names(parts),
        spacing_mm=_same_spacing(parts),
        _labels=_concat_labels(parts) if labelled else None,
        _targets=_concat_rows([p._targets or {} for p in parts], sizes) if labelled else None,
    )


def _names(groups: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for group in groups for name in group})


def _same_names(parts: Sequence[Samples]) -> dict[str, Sequence[str]]:
    joined: dict[str, Sequence[str]] = {}
    for part in parts:
        for name, columns in part.names.items():
            if list(joined.setdefault(name, columns)) != list(columns):
                raise SampleError(
                    f"cohorts of one suite must share the columns of {name!r}: got "
                    f"{', '.join(joined[name][:3])}, ... and {', '.join(columns[:3])}, ..."
                )
    return joined


def _same_spacing(parts: Sequence[Samples]) -> float:
    spacings = {part.spacing_mm for part in parts} - {0.0}
    if len(spacings) > 1:
        raise SampleError(
            f"cohorts of one suite must share a voxel size; got {sorted(spacings)} mm: prepare "
            "them with the same profile"
        )
    return max(spacings, default=0.0)


def _concat_rows(
    groups: Sequence[Mapping[str, LazyRows]], sizes: Sequence[int]
) -> dict[str, LazyRows]:
    joined = {}
    for name in _names(groups):
        shape = next(group[name].shape for group in groups if name in group)
        joined[name] = LazyRows.concat(
            [
                group[name] if name in group else LazyRows.missing(n, shape)
                for group, n in zip(groups, sizes, strict=True)
            ]
        )
    return joined


def _concat_labels(parts: Sequence[Samples]) -> dict[str, LabelPair]:
    joined = {}
    labels = [part._labels or {} for part in parts]
    for name in _names(labels):
        pairs = [
            group.get(name, (np.full(part.n, np.nan), np.zeros(part.n, dtype=bool)))
            for group, part in zip(labels, parts, strict=True)
        ]
        values, masks = zip(*pairs, strict=True)
        joined[name] = (np.concatenate(values), np.concatenate(masks))
    return joined
