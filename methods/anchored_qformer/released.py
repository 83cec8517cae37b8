"""Released encoders of volumes, time series and genotypes in the places of those trained here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import torch
from torch import Tensor

from benchmark.api import MethodError, Samples, one_of
from benchmark.encoders import GenotypeReader, PrepareVolumes, TokenEncoder, VolumeTokens
from benchmark.encoders.released import BrainJEPA, NucleotideTransformer, build
from benchmark.encoders.released.vit import ReleasedViT
from benchmark.encoders.volume import pad_to_multiple

from .info import GeneticsConfig, SeriesConfig, VolumeConfig

__all__ = [
    "GRADIENTS",
    "SEQUENCES",
    "GenotypesAsDNA",
    "ReleasedVolumes",
    "SequenceReader",
    "brain_jepa",
    "dna_encoder",
    "refuse_unread",
    "released_volumes",
]

GRADIENTS: Final = "gradient_mapping_450.csv"  # as Brain-JEPA's repository calls it
SEQUENCES: Final = "snp_sequences.csv"
_COLUMNS: Final = ("snp", "counted", "other")
_APOE: Final = "apoe_e4"
_WORD: Final = 6  # letters of a token of DNA
_TRAINED: Final = ("volume_vit", "dense_vit")
_RELEASED: Final = ("m3d-clip", "brainiac")


def refuse_unread(modality: str, encoder: str, reader: str, **given: object) -> None:
    """Refuses settings that the chosen encoder does not read.

    Args:
        modality: Whose encoder it is.
        encoder: The chosen one.
        reader: The one that reads them.
        given: Value by setting; empty where it is not set.

    Raises:
        MethodError: One is set.
    """
    for name, value in given.items():
        if value:
            raise MethodError(
                f"{modality}.{name} is not read with {modality}.encoder={encoder}; set "
                f"{modality}.encoder={reader}, or leave {modality}.{name} empty"
            )


def _folder(key: str, value: str, holds: str) -> Path:
    if not value:
        raise MethodError(f"{key} is empty: give the folder that holds {holds}")
    return Path(value)


# Volumes -----------------------------------------------------------------------------------------


class ReleasedVolumes(VolumeTokens):
    """Volumes as stored to the tokens of a released vision transformer.

    Args:
        encoder: It.
        prepare: What volumes go through before it; sides are then padded to whole patches.
    """

    encoder: ReleasedViT

    def __init__(self, encoder: ReleasedViT, prepare: PrepareVolumes) -> None:
        TokenEncoder.__init__(self)
        self.encoder, self.prepare, self.width = encoder, prepare, encoder.width

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, d), a cls token first, and mask (B, T) of volumes (B, 1, D, H, W)."""
        present = x.flatten(1).any(dim=1)
        tokens, _ = self.encoder.embed(pad_to_multiple(self.prepare(x), self.encoder.patch))
        return tokens, present[:, None].expand(tokens.shape[:2])

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.encoder.run_blocks(tokens, mask)


def released_volumes(config: VolumeConfig, prepare: PrepareVolumes) -> ReleasedVolumes | None:
    """The released encoder of volumes that is asked for; None where it is one trained here.

    Its weights are those that ``pretrained`` names.

    Raises:
        MethodError: The encoder is not known or cannot be an anchor, or has no such setting.
    """
    if one_of("smri.encoder", config.encoder, (*_TRAINED, *_RELEASED)) in _TRAINED:
        return None
    encoder = build(config.encoder, **config.settings)
    assert isinstance(encoder, ReleasedViT)
    return ReleasedVolumes(encoder, prepare)


# Time series -------------------------------------------------------------------------------------


def brain_jepa(config: SeriesConfig, frames: int, regions: int) -> BrainJEPA:
    """Brain-JEPA with its weights and the regions' gradients.

    Args:
        config: Settings.
        frames: Frames of the samples' series.
        regions: Their regions.

    Raises:
        MethodError: The series do not fit, or a file is missing or does not fit.
    """
    encoder = build("brain-jepa", **config.settings)
    assert isinstance(encoder, BrainJEPA)
    if (frames, regions) != (encoder.frames, encoder.regions):
        raise MethodError(
            f"fmri.encoder=brain-jepa takes {encoder.frames} frames of {encoder.regions} regions, "
            f"these series have {frames} frames of {regions} regions; take its regions (400 of "
            f"Schaefer's atlas, then 50 of Tian's) and `--frames {encoder.frames}` when the cohort "
            "is added, or fmri.encoder=own"
        )
    folder = _folder("fmri.folder", config.folder, f"Brain-JEPA's weights and {GRADIENTS}")
    encoder.load_pretrained(folder)
    encoder.read_gradients(folder / GRADIENTS)
    return encoder


# Genotypes ---------------------------------------------------------------------------------------


class GenotypesAsDNA(TokenEncoder):
    """Dosages (B, S + 1) to the words of the DNA around each SNP, and a class token first.

    A person's word is that of the other allele plus dosage / 2 of its way to the counted allele's,
    before the first block, so that of one copy each it is the mean of both. The words of a SNP
    without a call are masked; a person without any call has no token. APOE e4 is read as a SNP
    where there is DNA for it.

    Args:
        dna: The encoder of DNA.
        columns: Columns of the dosages that are read.
        counted: DNA around each of these with the counted allele, whole words of six letters.
        other: The same with the other allele.

    Raises:
        MethodError: The DNA is too long, or holds other letters than A, C, G and T.
    """

    def __init__(
        self,
        dna: NucleotideTransformer,
        columns: Sequence[int],
        counted: Sequence[str],
        other: Sequence[str],
    ) -> None:
        super().__init__()
        self.dna, self.width, self.lora_targets = dna, dna.width, dna.lora_targets
        self.columns = list(columns)
        self.words = [len(sequence) // _WORD for sequence in counted]
        self.alleles = ["".join(other), "".join(counted)]
        dna.tokenise(self.alleles)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, 1 + W, d) and mask (B, 1 + W) of dosages, NaN where missing.

        Raises:
            MethodError: A dosage is outside 0 to 2.
        """
        x = x[:, self.columns]
        if bool(((x < 0) | (x > 2)).any()):
            raise MethodError("dosages must be 0 to 2, and NaN where missing")
        times = torch.tensor(self.words, device=x.device)
        called = ~x.isnan()
        mask = torch.cat(
            [called.any(dim=1, keepdim=True), called.repeat_interleave(times, dim=1)], dim=1
        )
        other, counted = self.dna.embed(self.alleles)[0]  # t d
        share = x.nan_to_num(0.0).repeat_interleave(times, dim=1) / 2  # b w
        share = torch.cat([share.new_zeros(len(x), 1), share], dim=1).to(other.dtype)
        return other + share[..., None] * (counted - other), mask

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.dna.run_blocks(tokens, mask)


class SequenceReader(GenotypeReader):
    """Dosages by :class:`GenotypesAsDNA`, which measures nothing of training people."""

    def measure(self, columns: Mapping[str, Any]) -> None:
        """Nothing."""


def dna_encoder(config: GeneticsConfig, samples: Samples) -> GenotypesAsDNA:
    """Nucleotide Transformer on the DNA around each SNP of the samples.

    Args:
        config: Settings. The folder holds the release, and ``snp_sequences.csv``: columns ``snp``
            (its name in the cohort, or ``apoe_e4``), ``counted`` and ``other``, the DNA around it
            with either allele.
        samples: Name the SNPs.

    Raises:
        MethodError: A file is missing or does not fit, or a SNP has no DNA.
    """
    folder = _folder("genetics.folder", config.folder, f"the release and {SEQUENCES}")
    dna = NucleotideTransformer.from_folder(folder)
    names = list(samples.names["snps"]) if "snps" in samples.arrays else []
    columns = list(range(len(names)))
    if _APOE in samples.tables.get("genetic", ()):
        names, columns = [*names, _APOE], [*columns, len(columns)]
    table = _sequences(folder / SEQUENCES)
    lacking = [name for name in names if name not in table.index]
    if lacking:
        raise MethodError(
            f"{folder / SEQUENCES}: no DNA for {len(lacking)} of {len(names)} SNPs: "
            f"{', '.join(lacking[:5])}; add a line for each, or take genetics.encoder=own"
        )
    rows = table.loc[names]
    return GenotypesAsDNA(dna, columns, rows["counted"].tolist(), rows["other"].tolist())


def _sequences(file: Path) -> pd.DataFrame:
    """DNA by SNP."""
    if not file.is_file():
        raise MethodError(
            f"{file}: not there; write the DNA around each SNP into it, columns "
            f"{', '.join(_COLUMNS)}"
        )
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    if not {*_COLUMNS} <= {*table.columns}:
        raise MethodError(
            f"{file}: expected the columns {', '.join(_COLUMNS)}, got {', '.join(table.columns)}"
        )
    table = table.set_index("snp")
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise MethodError(f"{file}: {twice} has several lines, expected one")
    for snp, counted, other in table[["counted", "other"]].itertuples():
        plain = not {*counted.upper(), *other.upper()} - {*"ACGT"}
        if not counted or len(counted) != len(other) or len(counted) % _WORD or not plain:
            raise MethodError(
                f"{file}: {snp}: expected two sequences of A, C, G and T, equally long, of whole "
                f"words of {_WORD} letters, got {len(counted)} and {len(other)} letters"
            )
    return table
