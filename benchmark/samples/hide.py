"""Takes modalities away from people, as if they had never been measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.errors import SampleError
from benchmark.samples.samples import Samples
from benchmark.tracks import SOURCES

__all__ = ["hide"]


def hide(samples: Samples, hidden: Mapping[str, np.ndarray]) -> Samples:
    """The same people with some of their modalities missing.

    Columns become missing values, array rows unavailable, texts empty: what a method gets for
    somebody who was never measured.

    Args:
        samples: The people.
        hidden: By modality, from whom it is taken, (N,) bool.

    Raises:
        SampleError: These samples do not open such a modality.
    """
    for modality in hidden:
        if modality not in samples.available:
            raise SampleError(
                f"modality {modality!r} is not open in these samples; there are: "
                f"{', '.join(samples.available) or 'none'}"
            )
    tables, arrays, texts = dict(samples.tables), dict(samples.arrays), dict(samples.texts)
    available = dict(samples.available)
    for modality, gone in hidden.items():
        available[modality] = samples.available[modality] & ~gone
        for name in _sources(modality):
            if name in tables:
                tables[name] = _without(tables[name], gone)
            if name in texts:
                texts[name] = ["" if g else t for t, g in zip(texts[name], gone, strict=True)]
        for name in _ARRAYS.get(modality, ()):
            if name in arrays:
                arrays[name] = arrays[name].without(gone)
    return dataclasses.replace(
        samples, tables=tables, arrays=arrays, texts=texts, available=available
    )


_ARRAYS = {"t1w": ("t1w",), "fmri": ("fmri",), "genetic": ("snps",)}


def _sources(modality: str) -> list[str]:
    return [s.name for s in SOURCES.values() if (s.modality or s.name) == modality]


def _without(table: pd.DataFrame, gone: np.ndarray) -> pd.DataFrame:
    flags = dict.fromkeys(table.select_dtypes("bool"), "float64")
    return table.astype(flags).mask(pd.Series(gone, index=table.index), axis=0)
