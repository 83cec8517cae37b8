"""From samples to encoders: what of a modality enters a batch, who has it, and who reads it.

A reader of one's own, e.g. of written records, inherits :class:`Reader`; those of arrays and of
genotypes are here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmark.encoders.base import Encoder
from benchmark.encoders.genetics import GeneticsEncoder
from benchmark.encoders.tokens import TokenEncoder
from benchmark.samples.samples import Samples

__all__ = [
    "ArrayReader",
    "ColumnReader",
    "Columns",
    "GenotypeReader",
    "Reader",
    "SeriesReader",
    "count_snps",
]

_APOE: Final = "apoe_e4"

Columns = dict[str, Any]  # arrays of N rows, lazy or in memory


class Reader(nn.Module, ABC):
    """One modality.

    Attributes:
        reads: Names of the columns that are read of a batch.
    """

    reads: tuple[str, ...]

    @abstractmethod
    def columns(self, samples: Samples) -> Columns:
        """What enters a batch."""

    @abstractmethod
    def there(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Who has the modality, (N,) bool, from such columns."""

    def measure(self, columns: Mapping[str, Any]) -> None:
        """Takes what it must know of the training people who have the modality; often nothing."""

    def learned(self) -> list[nn.Parameter]:
        """What is trained of it where it is trained at all; everything by default."""
        return list(self.parameters())


class ColumnReader(Reader):
    """A modality whose encoder reads one column.

    Args:
        encoder: Takes rows of that column.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def width(self) -> int:
        """Features of what :meth:`encode` gives, d."""
        return self.encoder.width

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """One vector a person, (B, d), of people who have the modality."""
        pooled: Tensor = self.encoder(inputs[self.reads[0]]).pooled
        return pooled

    def embed(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The transformer's input, tokens (B, T, d) and mask (B, T), of a ``TokenEncoder``."""
        assert isinstance(self.encoder, TokenEncoder)
        return self.encoder.embed(inputs[self.reads[0]])


class ArrayReader(ColumnReader):
    """An array of the samples under its own name, which is the one that it reads; lazy."""

    def columns(self, samples: Samples) -> Columns:
        """The array as stored."""
        return {name: samples.arrays[name] for name in self.reads}

    def there(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Who has a row of it."""
        return np.asarray(columns[self.reads[0]].available)


class SeriesReader(ArrayReader):
    """fMRI: time series of regions (T, R), by a ``TimeSeriesEncoder``."""

    reads = ("fmri",)


class GenotypeReader(ColumnReader):
    """SNP dosages and APOE e4, by a ``GeneticsEncoder``."""

    reads = ("dosages",)

    def columns(self, samples: Samples) -> Columns:
        """Dosages (N, S + 1) float32, the last APOE e4, NaN where missing."""
        empty = np.zeros((samples.n, 0), dtype=np.float32)
        snps = samples.array("snps") if "snps" in samples.arrays else empty
        table = samples.tables.get("genetic", pd.DataFrame())
        known = table[_APOE] if _APOE in table else pd.Series(np.nan, index=range(samples.n))
        apoe = known.to_numpy(dtype=np.float32, na_value=np.nan)
        return {"dosages": np.concatenate([snps, apoe[:, None]], axis=1)}

    def there(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Who has any call."""
        return np.asarray(~np.isnan(columns["dosages"]).all(axis=1))

    def measure(self, columns: Mapping[str, Any]) -> None:
        """Mean dosages, and the spread of a published score."""
        assert isinstance(self.encoder, GeneticsEncoder)
        dosages = torch.from_numpy(columns["dosages"][self.there(columns)])
        self.encoder.fit_statistics(dosages.to(self.encoder.mean_dosage.device))


def count_snps(samples: Samples) -> int | None:
    """Number of SNPs, APOE not counted; None where there are neither SNPs nor APOE e4."""
    if "snps" in samples.arrays:
        return samples.arrays["snps"].shape[0]
    return 0 if _APOE in samples.tables.get("genetic", ()) else None
