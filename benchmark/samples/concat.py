"""Joins the samples of several cohorts into those of one suite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from benchmark.samples.rows import LazyRows
from benchmark.samples.samples import LabelPair, Samples

__all__ = ["concat_samples"]


def concat_samples(parts: Sequence[Samples]) -> Samples:
    """Stacks samples; what one cohort lacks is marked missing for its people.

    Args:
        parts: Samples with one cohort code each, on the same grid.
    """
    if len(parts) == 1:
        return parts[0]
    labelled = all(part.has_labels for part in parts)
    return Samples(
        n=sum(part.n for part in parts),
        tables={
            name: pd.concat(
                [p.tables.get(name, pd.DataFrame(index=range(p.n))) for p in parts],
                ignore_index=True,
            )
            for name in _names(part.tables for part in parts)
        },
        arrays=_concat_rows([part.arrays for part in parts], [part.n for part in parts]),
        texts={
            name: [t for p in parts for t in p.texts.get(name, [""] * p.n)]
            for name in _names(part.texts for part in parts)
        },
        available={
            name: np.concatenate([part.has(name) for part in parts])
            for name in _names(part.available for part in parts)
        },
        cohort=np.concatenate([part.cohort for part in parts]),
        names={name: values for part in parts for name, values in part.names.items()},
        spacing_mm=max(part.spacing_mm for part in parts),
        _labels=_concat_labels(parts) if labelled else None,
        _targets=_concat_rows([p._targets or {} for p in parts], [p.n for p in parts])  # noqa: SLF001
        if labelled
        else None,
    )


def _names(groups: Iterable[Iterable[str]]) -> list[str]:
    return sorted({name for group in groups for name in group})


def _concat_rows(groups: Sequence[object], sizes: Sequence[int]) -> dict[str, LazyRows]:
    joined = {}
    mappings = [dict(group) for group in groups]  # type: ignore[call-overload]
    for name in _names(mappings):
        shape = next(group[name].shape for group in mappings if name in group)
        joined[name] = LazyRows.concat(
            [
                group.get(name, LazyRows.missing(n, shape))
                for group, n in zip(mappings, sizes, strict=True)
            ]
        )
    return joined


def _concat_labels(parts: Sequence[Samples]) -> dict[str, LabelPair]:
    joined = {}
    labels = [part._labels or {} for part in parts]  # noqa: SLF001
    for name in _names(labels):
        pairs = [
            group.get(name, (np.full(part.n, np.nan), np.zeros(part.n, dtype=bool)))
            for group, part in zip(labels, parts, strict=True)
        ]
        joined[name] = (np.concatenate([y for y, _ in pairs]), np.concatenate([m for _, m in pairs]))
    return joined
