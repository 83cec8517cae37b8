"""Gives samples the tables and arrays that a method was fitted on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from benchmark.errors import SampleError
from benchmark.samples.rows import LazyRows
from benchmark.samples.samples import Samples

__all__ = ["align_samples"]

_PREPARE = "prepare both cohorts with the same profile"


def align_samples(samples: Samples, like: Samples) -> Samples:
    """Returns the people of ``samples`` with the sources and columns of ``like``, in its order.

    A cohort that lacks what the training cohort has gets it as missing: missing values, rows that
    are not available, empty texts. What the training cohort lacks is dropped.

    Args:
        samples: Test or external samples.
        like: The training samples.

    Raises:
        SampleError: Grid, voxel size or array columns differ from those of ``like``.
    """
    _refuse_other_grid(samples, like)
    return dataclasses.replace(
        samples,
        tables={
            name: _table(samples.tables.get(name), table, samples.n)
            for name, table in like.tables.items()
        },
        arrays={
            name: samples.arrays.get(name, LazyRows.missing(samples.n, rows.shape))
            for name, rows in like.arrays.items()
        },
        texts={name: samples.texts.get(name, [""] * samples.n) for name in like.texts},
        available={name: samples.has(name) for name in like.available},
        names=like.names,
        spacing_mm=like.spacing_mm,
    )


def _table(table: pd.DataFrame | None, like: pd.DataFrame, n: int) -> pd.DataFrame:
    table = pd.DataFrame(index=range(n)) if table is None else table
    columns = {
        name: table[name] if name in table else _missing(column, n) for name, column in like.items()
    }
    return pd.DataFrame(columns, index=range(n))


def _missing(like: pd.Series, n: int) -> pd.Series:
    numeric = pd.api.types.is_numeric_dtype(like)
    return pd.Series([np.nan if numeric else None] * n, dtype="float64" if numeric else "str")


def _refuse_other_grid(samples: Samples, like: Samples) -> None:
    for name in samples.arrays.keys() & like.arrays.keys():
        got, expected = samples.arrays[name].shape, like.arrays[name].shape
        if got != expected:
            raise SampleError(f"{name!r} has the shape {got}, training had {expected}; {_PREPARE}")
        if list(samples.names.get(name, ())) != list(like.names.get(name, ())):
            raise SampleError(f"the columns of {name!r} differ from those in training; {_PREPARE}")
    both = "t1w" in samples.arrays and "t1w" in like.arrays
    if both and samples.spacing_mm != like.spacing_mm:
        raise SampleError(
            f"voxels of {samples.spacing_mm:g} mm, training had {like.spacing_mm:g} mm; {_PREPARE}"
        )
