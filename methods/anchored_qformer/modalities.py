"""The four modalities: what of a person enters a batch, who has it, and which encoder reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from benchmark.api import MethodError, Samples, one_of
from benchmark.encoders import (
    ArrayReader,
    ColumnReader,
    GeneticsEncoder,
    GenotypeReader,
    PrepareVolumes,
    Reader,
    SeriesReader,
    TextEncoder,
    TimeSeriesEncoder,
    TokenEncoder,
    VolumeTokens,
    build_encoder,
    count_snps,
)
from benchmark.encoders.readers import Columns

from .info import AnchoredConfig, GeneticsConfig, SeriesConfig
from .records import written
from .released import (
    SequenceReader,
    brain_jepa,
    dna_encoder,
    refuse_unread,
    released_volumes,
)

__all__ = [
    "FMRI",
    "GENETICS",
    "MODALITIES",
    "SMRI",
    "SOURCES",
    "TEXT",
    "TokenReader",
    "make_readers",
]

TEXT, SMRI, FMRI, GENETICS = "text", "smri", "fmri", "genetics"
MODALITIES: Final = (TEXT, SMRI, FMRI, GENETICS)
SOURCES: Final = ("clinical", "report", "t1w", "fmri", "genetic")  # names of the samples


class TextReader(Reader):
    """Clinical record and report."""

    reads = ("text_ids", "text_mask")

    def __init__(self, encoder: TextEncoder, order: str, *, tune_embeddings: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.order, self.tune_embeddings = order, tune_embeddings

    def columns(self, samples: Samples) -> Columns:
        """Token ids (N, T) and which are real (N, T)."""
        ids, mask = self.encoder.tokenise(written(samples, self.order))
        return {"text_ids": ids.cpu().numpy(), "text_mask": mask.cpu().numpy()}

    def there(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Who has any token."""
        return columns["text_mask"].any(axis=1)

    def embed(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings of words, positions and types."""
        return self.encoder.embed_tokens(inputs["text_ids"]), inputs["text_mask"]

    def learned(self) -> list[nn.Parameter]:
        """All, or all but embeddings."""
        named = self.encoder.named_parameters()
        return [p for name, p in named if self.tune_embeddings or "embed" not in name]


class VolumeReader(ArrayReader):
    """T1w volumes: patches brought to one size and scale, with their positions."""

    reads = ("t1w",)


TokenReader = TextReader | ColumnReader  # its encoder is a TokenEncoder


def make_readers(config: AnchoredConfig, samples: Samples) -> dict[str, TokenReader]:
    """Readers of the modalities that the track opens and the cohort holds, whoever lacks them.

    Args:
        config: Settings.
        samples: Gives shapes and columns; it need not hold people.
    """
    readers: dict[str, TokenReader] = {}
    if "clinical" in samples.tables or "report" in samples.texts:
        readers[TEXT] = _text(config)
    if "t1w" in samples.arrays:
        readers[SMRI] = _volumes(config, samples)
    if "fmri" in samples.arrays:
        readers[FMRI] = SeriesReader(_series(config.fmri, samples))
    snps = count_snps(samples)
    if snps is not None:
        readers[GENETICS] = _genotypes(config.genetics, samples, snps)
    return readers


def _series(s: SeriesConfig, samples: Samples) -> TokenEncoder:
    frames, regions = samples.arrays["fmri"].shape
    if one_of("fmri.encoder", s.encoder, ("own", "brain-jepa")) == "brain-jepa":
        return brain_jepa(s, frames, regions)
    refuse_unread("fmri", "own", "brain-jepa", folder=s.folder, settings=s.settings)
    return TimeSeriesEncoder(
        regions,
        width=s.width,
        depth=s.depth,
        heads=s.heads,
        patch=s.patch,
        series=s.series,
        dropout=s.dropout,
    )


def _genotypes(g: GeneticsConfig, samples: Samples, snps: int) -> GenotypeReader:
    own, released = "own", "nucleotide-transformer"
    if one_of("genetics.encoder", g.encoder, (own, released)) == released:
        refuse_unread("genetics", released, own, log_odds=g.log_odds)
        return SequenceReader(dna_encoder(g, samples))
    refuse_unread("genetics", own, released, folder=g.folder)
    encoder = GeneticsEncoder(
        snps,
        width=g.width,
        depth=g.depth,
        heads=g.heads,
        log_odds=_log_odds(g, samples) if g.log_odds and snps else None,
        dropout=g.dropout,
    )
    return GenotypeReader(encoder)


def _log_odds(g: GeneticsConfig, samples: Samples) -> list[float]:
    """The published weight of each SNP, in the samples' order; a table may hold others as well.

    Raises:
        MethodError: A SNP has none.
    """
    snps = samples.names["snps"]
    lacking = [snp for snp in snps if snp not in g.log_odds]
    if lacking:
        raise MethodError(
            f"genetics.log_odds: no weight for {len(lacking)} of {len(snps)} SNPs: "
            f"{', '.join(lacking[:5])}; give each one, 0 where it should not count"
        )
    return [g.log_odds[snp] for snp in snps]


def _text(config: AnchoredConfig) -> TextReader:
    text = config.text
    encoder = TextEncoder(
        Path(text.folder) if text.folder else None,
        layers=text.layers or None,
        max_tokens=text.max_tokens,
        keep=text.keep,
        dtype=text.dtype,
    )
    return TextReader(encoder, text.order, tune_embeddings=text.tune_embeddings)


def _volumes(config: AnchoredConfig, samples: Samples) -> VolumeReader:
    smri = config.smri
    prepare = PrepareVolumes(samples.spacing_mm, grid=smri.grid, fit=smri.fit)
    shape = prepare.shape(samples.arrays["t1w"].shape)
    released = released_volumes(smri, prepare)
    if released is not None:
        return VolumeReader(released)
    return VolumeReader(VolumeTokens(build_encoder(smri.encoder, smri.settings, shape), prepare))
