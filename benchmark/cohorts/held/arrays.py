"""Time series and genotypes of a held cohort: where they lie, and what was read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["GenotypeRule", "HeldArray", "SeriesRule"]


@dataclass
class SeriesRule:
    """Where the ROI time series lie; :mod:`~benchmark.cohorts.held.timeseries` has the rules.

    Attributes:
        folder: Folder of the tables, absolute or below the cohort's root.
        files: Names of the tables to take, a glob; by default ``sub-*timeseries.tsv`` and the like.
        frames: Length in the store: longer series are cut, shorter ones left out. 0: all must have
            one length.
    """

    folder: str = ""
    files: str = ""
    frames: int = 0


@dataclass
class GenotypeRule:
    """Where the genotypes lie; :mod:`~benchmark.cohorts.held.genotypes` has the rules.

    Attributes:
        file: plink's ``.bed``, with ``.bim`` and ``.fam`` beside it, or ``.raw``; absolute or below
            the cohort's root.
        keep: SNPs to take, ``ID`` or ``ID ALLELE`` to count that allele; by default all.
        keep_file: The same, one a line.
    """

    file: str = ""
    keep: list[str] = field(default_factory=list)
    keep_file: str = ""


@dataclass(frozen=True, slots=True)
class HeldArray:
    """An array of the store and whose its rows are.

    Attributes:
        name: Name in the store: ``fmri`` or ``snps``.
        rows: ``participant_id`` and ``session_id`` of each row.
        values: ``fmri`` float16 (N, T, R), ``snps`` int8 (N, S).
        facts: Entries of the datasheet.
        files: The files that were read.
        left_out: What was left out: why -> how many.
    """

    name: str
    rows: pd.DataFrame
    values: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
