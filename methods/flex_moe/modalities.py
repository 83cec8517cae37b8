"""The four modalities: what of a person enters a batch, who has it, and which encoder reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import Samples
from benchmark.encoders import (
    ArrayReader,
    FeatureStore,
    GeneticsEncoder,
    GenotypeReader,
    PrepareVolumes,
    Reader,
    SeriesReader,
    TimeSeriesEncoder,
    VolumeEncoder,
    build_encoder,
    count_snps,
)
from benchmark.encoders.readers import Columns

from .info import FlexConfig, RecordConfig
from .records import has_record, number_columns, numbers, report_features

__all__ = ["FMRI", "GENETICS", "MODALITIES", "RECORD", "SMRI", "make_readers"]

RECORD, SMRI, FMRI, GENETICS = "record", "smri", "fmri", "genetics"
MODALITIES: Final = (RECORD, SMRI, FMRI, GENETICS)
_LEAST_SD: Final = 1e-6


class RecordReader(Reader):
    """Clinical table and report.

    Features are standardised by the training people; a missing number is then 0, and so are all
    features of a missing report. Which are missing is told beside them.

    Attributes:
        width: Features of what it gives.

    Args:
        config: Settings.
        columns: Columns of the table.
        store: Where features of sentences are kept.
    """

    reads = ("report", "report_there", "numbers")
    mean: Tensor
    sd: Tensor

    def __init__(self, config: RecordConfig, columns: list[str], store: FeatureStore) -> None:
        super().__init__()
        self.names, self.features_of = columns, report_features(config, store)
        self.report_width, self.width = self.features_of.width, config.hidden
        features = self.report_width + len(columns)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("sd", torch.ones(features))
        self.layer = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(features + 1 + len(columns), config.hidden),
            nn.GELU(),
        )

    def columns(self, samples: Samples) -> Columns:
        """Features of reports (N, F), who has one (N,), and the table's numbers (N, C)."""
        reports = samples.reports() if "report" in samples.texts else [""] * samples.n
        return {
            "report": self.features_of(reports),
            "report_there": np.array([bool(r.strip()) for r in reports], dtype=bool),
            "numbers": numbers(samples, self.names),
            "record_there": has_record(samples),
        }

    def there(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Who has a record or a report."""
        return np.asarray(columns["record_there"])

    def measure(self, columns: Mapping[str, Any]) -> None:
        """Mean and standard deviation of each feature over those who have it."""
        there = columns["record_there"]
        reports = columns["report"][there & columns["report_there"]]
        table = columns["numbers"][there]
        moments = [_moments(column) for part in (reports, table) for column in part.T]
        self.mean.copy_(torch.tensor([mean for mean, _ in moments]))
        self.sd.copy_(torch.tensor([sd for _, sd in moments]))

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Standardised features through one trained layer."""
        told = inputs["report_there"][:, None].to(self.mean.dtype)  # b 1
        unknown = inputs["numbers"].isnan()  # b c
        x = (torch.cat([inputs["report"], inputs["numbers"]], dim=1) - self.mean) / self.sd
        report, table = x.split([self.report_width, len(self.names)], dim=1)
        table = table.masked_fill(unknown, 0.0)
        out: Tensor = self.layer(torch.cat([report * told, told, table, unknown.to(x.dtype)], 1))
        return out


class VolumeReader(ArrayReader):
    """T1w volumes."""

    reads = ("t1w",)

    def __init__(self, encoder: VolumeEncoder, prepare: PrepareVolumes) -> None:
        super().__init__(encoder)
        self.prepare = prepare

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Mean of the coarsest map, of volumes brought to one size and scale."""
        pooled: Tensor = self.encoder(self.prepare(inputs["t1w"])).pooled
        return pooled


def make_readers(config: FlexConfig, samples: Samples, store: FeatureStore) -> dict[str, Reader]:
    """Readers of the modalities that the track opens and the cohort holds, whoever lacks them.

    Args:
        config: Settings.
        samples: Gives shapes and columns; it need not hold people.
        store: Where features of frozen encoders are kept.
    """
    readers: dict[str, Reader] = {}
    if "clinical" in samples.tables or "report" in samples.texts:
        readers[RECORD] = RecordReader(config.record, number_columns(samples), store)
    if "t1w" in samples.arrays:
        smri = config.smri
        prepare = PrepareVolumes(samples.spacing_mm, grid=smri.grid, fit=smri.fit)
        shape = prepare.shape(samples.arrays["t1w"].shape)
        readers[SMRI] = VolumeReader(build_encoder(smri.encoder, smri.settings, shape), prepare)
    if "fmri" in samples.arrays:
        f = config.fmri
        regions = samples.arrays["fmri"].shape[1]
        series = TimeSeriesEncoder(
            regions, width=f.width, depth=f.depth, heads=f.heads, patch=2, dropout=f.dropout
        )
        readers[FMRI] = SeriesReader(series)
    snps = count_snps(samples)
    if snps is not None:
        g = config.genetics
        readers[GENETICS] = GenotypeReader(
            GeneticsEncoder(snps, width=g.width, depth=g.depth, heads=g.heads, dropout=g.dropout)
        )
    return readers


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what is known; 0 and 1 where nothing is or nothing varies."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return 0.0, 1.0
    sd = float(known.std())
    return float(known.mean()), sd if sd > _LEAST_SD else 1.0
