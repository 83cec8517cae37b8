"""The four modalities: what of a person enters a batch, who has it, and which encoder reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from torch import Tensor, nn

from benchmark.api import Samples
from benchmark.encoders import (
    GeneticsEncoder,
    PrepareVolumes,
    TextEncoder,
    TimeSeriesEncoder,
    TokenEncoder,
    VolumeAnchor,
    build_encoder,
)

from .info import AnchoredConfig
from .records import written

__all__ = ["FMRI", "GENETICS", "MODALITIES", "SMRI", "TEXT", "Columns", "Reader", "make_readers"]

TEXT, SMRI, FMRI, GENETICS = "text", "smri", "fmri", "genetics"
MODALITIES: Final = (TEXT, SMRI, FMRI, GENETICS)
_APOE: Final = "apoe_e4"

Columns = Mapping[str, Any]  # arrays of N rows, lazy or in memory


class Reader(nn.Module, ABC):
    """One modality.

    Attributes:
        encoder: From what :meth:`embed` makes to tokens.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def columns(self, samples: Samples) -> Columns:
        """What enters a batch."""

    @abstractmethod
    def there(self, columns: Columns) -> np.ndarray:
        """Who has the modality, (N,) bool, from such columns."""

    @abstractmethod
    def embed(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The transformer's input, tokens (B, T, d) and mask (B, T), of a batch."""

    def learned(self) -> list[nn.Parameter]:
        """What the first stage trains of the encoder."""
        return list(self.encoder.parameters())


class TextReader(Reader):
    """Clinical record and report."""

    def __init__(self, encoder: TextEncoder, order: str, *, tune_embeddings: bool) -> None:
        super().__init__(encoder)
        self.order, self.tune_embeddings = order, tune_embeddings

    def columns(self, samples: Samples) -> Columns:
        """Token ids (N, T) and which are real (N, T)."""
        ids, mask = self.encoder.tokenise(written(samples, self.order))
        return {"text_ids": ids.cpu().numpy(), "text_mask": mask.cpu().numpy()}

    def there(self, columns: Columns) -> np.ndarray:
        """Who has any token."""
        return columns["text_mask"].any(axis=1)

    def embed(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings of words, positions and types."""
        return self.encoder.embed_tokens(inputs["text_ids"]), inputs["text_mask"]

    def learned(self) -> list[nn.Parameter]:
        """All, or all but embeddings."""
        named = self.encoder.named_parameters()
        return [p for name, p in named if self.tune_embeddings or "embed" not in name]


class VolumeReader(Reader):
    """T1w volumes."""

    def __init__(self, encoder: VolumeAnchor, prepare: PrepareVolumes) -> None:
        super().__init__(encoder)
        self.prepare = prepare

    def columns(self, samples: Samples) -> Columns:
        """Volumes as stored, lazy."""
        return {"t1w": samples.arrays["t1w"]}

    def there(self, columns: Columns) -> np.ndarray:
        """Who was scanned."""
        return columns["t1w"].available

    def embed(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Patches of volumes brought to one size and scale, with their positions."""
        return self.encoder.embed(self.prepare(inputs["t1w"]))


class SeriesReader(Reader):
    """fMRI time series."""

    def columns(self, samples: Samples) -> Columns:
        """Series (T, R), lazy."""
        return {"fmri": samples.arrays["fmri"]}

    def there(self, columns: Columns) -> np.ndarray:
        """Who was scanned."""
        return columns["fmri"].available

    def embed(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Regions with their correlations."""
        return self.encoder.embed(inputs["fmri"])


class GenotypeReader(Reader):
    """SNP dosages and APOE e4."""

    def columns(self, samples: Samples) -> Columns:
        """Dosages (N, S + 1), the last APOE e4, NaN where missing."""
        empty = np.zeros((samples.n, 0), dtype=np.float32)
        snps = samples.array("snps") if "snps" in samples.arrays else empty
        table = samples.tables.get("genetic", pd.DataFrame())
        known = table[_APOE] if _APOE in table else pd.Series(np.nan, index=range(samples.n))
        apoe = known.to_numpy(dtype=np.float32, na_value=np.nan)
        return {"dosages": np.concatenate([snps, apoe[:, None]], axis=1)}

    def there(self, columns: Columns) -> np.ndarray:
        """Who has any call."""
        return ~np.isnan(columns["dosages"]).all(axis=1)

    def embed(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Dosages with the identities of their SNPs, and the polygenic score."""
        return self.encoder.embed(inputs["dosages"])


def make_readers(config: AnchoredConfig, samples: Samples) -> dict[str, Reader]:
    """Readers of the modalities that the track opens and the cohort holds, whoever lacks them.

    Args:
        config: Settings.
        samples: Gives shapes and columns; it need not hold people.
    """
    readers: dict[str, Reader] = {}
    if "clinical" in samples.tables or "report" in samples.texts:
        readers[TEXT] = _text(config)
    if "t1w" in samples.arrays:
        readers[SMRI] = _volumes(config, samples)
    if "fmri" in samples.arrays:
        s = config.fmri
        readers[FMRI] = SeriesReader(
            TimeSeriesEncoder(
                samples.arrays["fmri"].shape[1],
                width=s.width,
                depth=s.depth,
                heads=s.heads,
                patch=s.patch,
                series=s.series,
                dropout=s.dropout,
            )
        )
    if "snps" in samples.arrays or _APOE in samples.tables.get("genetic", ()):
        g = config.genetics
        snps = samples.arrays["snps"].shape[0] if "snps" in samples.arrays else 0
        encoder = GeneticsEncoder(
            snps, width=g.width, depth=g.depth, heads=g.heads, dropout=g.dropout
        )
        readers[GENETICS] = GenotypeReader(encoder)
    return readers


def _text(config: AnchoredConfig) -> Reader:
    text = config.text
    encoder = TextEncoder(
        Path(text.folder) if text.folder else None,
        layers=text.layers or None,
        max_tokens=text.max_tokens,
        keep=text.keep,
        dtype=text.dtype,
    )
    return TextReader(encoder, text.order, tune_embeddings=text.tune_embeddings)


def _volumes(config: AnchoredConfig, samples: Samples) -> Reader:
    smri = config.smri
    prepare = PrepareVolumes(samples.spacing_mm, grid=smri.grid, fit=smri.fit)
    shape = prepare.shape(samples.arrays["t1w"].shape)
    return VolumeReader(VolumeAnchor(build_encoder(smri.encoder, smri.settings, shape)), prepare)
