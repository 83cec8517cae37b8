"""The modalities: what of a person enters a batch, who has it, and which encoder reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
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
    ReportFeatures,
    SeriesReader,
    TimeSeriesEncoder,
    VolumeEncoder,
    build_encoder,
    count_snps,
)
from benchmark.encoders.readers import Columns

from .info import FlexConfig, RecordConfig
from .records import number_columns, numbers, report_features

__all__ = ["FMRI", "GENETICS", "RECORD", "REPORT", "SMRI", "held", "make_readers"]

RECORD, SMRI, FMRI, GENETICS, REPORT = "record", "smri", "fmri", "genetics", "report"
_LEAST_SD: Final = 1e-6


class RecordReader(Reader):
    """Clinical table, report, or both; demographics alone are neither.

    Features are standardised by the training people; a missing number is then 0, and so are all
    features of a missing report. Which are missing is told beside them.

    Attributes:
        width: Features of what it gives.

    Args:
        name: The modality's.
        sources: ``clinical``, ``report`` or both: whoever has one of them has the modality.
        config: Settings.
        columns: Columns of the table; none where reports are read alone.
        features_of: What makes features of reports; None where the table is read alone.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        name: str,
        sources: Sequence[str],
        config: RecordConfig,
        columns: Sequence[str],
        features_of: ReportFeatures | None,
    ) -> None:
        super().__init__()
        self.sources, self.names, self.features_of = sources, columns, features_of
        self.reads = (f"{name}_text", f"{name}_text_there", f"{name}_numbers")
        self.who = f"{name}_there"
        self.report_width = 0 if features_of is None else features_of.width
        self.width = config.hidden
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
        reports: Sequence[str] = [""] * samples.n
        features = np.zeros((samples.n, 0), dtype=np.float32)
        if self.features_of is not None:
            reports = samples.texts.get("report", reports)
            features = self.features_of(reports)
        told = np.array([bool(r.strip()) for r in reports], dtype=bool)
        read = (features, told, numbers(samples, self.names))
        who = np.any([samples.has(source) for source in self.sources], axis=0)
        return {**dict(zip(self.reads, read, strict=True)), self.who: who}

    def there(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Who has any of its sources."""
        return np.asarray(columns[self.who])

    def measure(self, columns: Mapping[str, Any]) -> None:
        """Mean and standard deviation of each feature over those who have it."""
        there = columns[self.who]
        text, told, known = (columns[name] for name in self.reads)
        reports, table = text[there & told], known[there]
        moments = [_moments(column) for part in (reports, table) for column in part.T]
        self.mean.copy_(torch.tensor([mean for mean, _ in moments]))
        self.sd.copy_(torch.tensor([sd for _, sd in moments]))

    def encode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Standardised features through one trained layer."""
        text, there, known = (inputs[name] for name in self.reads)
        told = there[:, None].to(self.mean.dtype)  # b 1
        unknown = known.isnan()  # b c
        x = (torch.cat([text, known], dim=1) - self.mean) / self.sd
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


def held(samples: Samples) -> Samples:
    """The same people without tables, arrays and texts of what nobody of them has.

    What is made for them is then the same as where the cohort does not hold these at all.
    """
    known = {
        "clinical": samples.has("clinical").any(),
        "report": any(report.strip() for report in samples.texts.get("report", ())),
        "genetic": samples.tables.get("genetic", pd.DataFrame()).notna().any(axis=None),
        "snps": "snps" in samples.arrays and not np.isnan(samples.array("snps")).all(),
    }
    known |= {
        name: samples.arrays[name].available.any() for name in samples.arrays if name != "snps"
    }
    return replace(
        samples,
        tables={name: table for name, table in samples.tables.items() if known.get(name, True)},
        arrays={name: array for name, array in samples.arrays.items() if known[name]},
        texts={name: text for name, text in samples.texts.items() if known[name]},
    )


def make_readers(config: FlexConfig, samples: Samples, store: FeatureStore) -> dict[str, Reader]:
    """Readers of the modalities that these samples hold; see :func:`held`.

    Args:
        config: Settings.
        samples: Gives shapes and columns; it need not hold people.
        store: Where features of frozen encoders are kept.
    """
    readers: dict[str, Reader] = {}
    features, columns = report_features(config.record, store), number_columns(samples)
    has_table, has_text = "clinical" in samples.tables, "report" in samples.texts
    if config.record.report == "separate":
        if has_table:
            readers[RECORD] = RecordReader(RECORD, ["clinical"], config.record, columns, None)
    elif has_table or has_text:
        both = ("clinical", "report")
        readers[RECORD] = RecordReader(RECORD, both, config.record, columns, features)
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
    if config.record.report == "separate" and has_text:  # last, so that others keep their bits
        readers[REPORT] = RecordReader(REPORT, ["report"], config.record, [], features)
    return readers


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what is known; 0 and 1 where nothing is or nothing varies."""
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known):
        return 0.0, 1.0
    sd = float(known.std())
    return float(known.mean()), sd if sd > _LEAST_SD else 1.0
