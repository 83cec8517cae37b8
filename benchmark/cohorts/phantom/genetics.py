"""APOE and a panel of 30 SNPs: allele frequencies and odds ratios from published studies.

A log odds ratio enters the mean of the latent severity times ``SEVERITY_PER_LOG_OR``, which is
set so that the realised odds ratio of patients against controls is about the published one.

References:
    Alzheimer's disease: Kunkle et al. 2019, Nature Genetics, 10.1038/s41588-019-0358-2, table 1.
    Parkinson's disease: Nalls et al. 2014, Nature Genetics, 10.1038/ng.3043, table 1. SNCA: the
    table gives the other allele of rs356182 (about 0.76 for A); inverted, about 1.32 for G, and
    rounded up. The numbers here make the published cohorts and stay as they are.
    APOE: Farrer et al. 1997, JAMA, 10.1001/jama.1997.03550160069041 (Caucasian, e3/e4 3.2). The
    frequency of e4 is set, not cited: between that of the population and that of patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

__all__ = [
    "APOE_FREQUENCY",
    "APOE_LOG_OR",
    "PANEL",
    "SEVERITY_PER_LOG_OR",
    "Locus",
    "dosage",
    "log_odds",
]

APOE_FREQUENCY: Final = 0.20  # set, not cited: as volunteers of memory studies might have it
APOE_LOG_OR: Final = log(3.2)
SEVERITY_PER_LOG_OR: Final = 0.38


@dataclass(frozen=True, slots=True)
class Locus:
    """A SNP: gene, counted allele's frequency and its odds ratio on one axis."""

    gene: str
    rsid: str
    frequency: float
    odds_ratio: float
    axis: str

    @property
    def name(self) -> str:
        """Column name, e.g. ``BIN1_rs6733839``."""
        return f"{self.gene}_{self.rsid}"


PANEL: Final = (
    Locus("CR1", "rs4844610", 0.187, 1.17, "ad"),
    Locus("BIN1", "rs6733839", 0.407, 1.20, "ad"),
    Locus("INPP5D", "rs10933431", 0.223, 0.91, "ad"),
    Locus("HLA-DRB1", "rs9271058", 0.270, 1.10, "ad"),
    Locus("TREM2", "rs75932628", 0.008, 2.08, "ad"),
    Locus("CD2AP", "rs9473117", 0.280, 1.09, "ad"),
    Locus("EPHA1", "rs10808026", 0.197, 0.90, "ad"),
    Locus("PTK2B", "rs73223431", 0.367, 1.10, "ad"),
    Locus("CLU", "rs9331896", 0.387, 0.88, "ad"),
    Locus("MS4A2", "rs7933202", 0.391, 0.89, "ad"),
    Locus("PICALM", "rs3851179", 0.356, 0.88, "ad"),
    Locus("SORL1", "rs11218343", 0.040, 0.80, "ad"),
    Locus("FERMT2", "rs17125924", 0.093, 1.14, "ad"),
    Locus("SLC24A4", "rs12881735", 0.221, 0.92, "ad"),
    Locus("ABCA7", "rs3752246", 0.182, 1.15, "ad"),
    Locus("CASS4", "rs6024870", 0.088, 0.88, "ad"),
    Locus("SNCA", "rs356182", 0.370, 1.34, "pd"),
    Locus("GBA", "rs35749011", 0.017, 1.82, "pd"),
    Locus("MAPT", "rs17649553", 0.226, 0.77, "pd"),
    Locus("LRRK2", "rs76904798", 0.143, 1.155, "pd"),
    Locus("TMEM175", "rs34311866", 0.190, 1.27, "pd"),
    Locus("MCCC1", "rs12637471", 0.193, 0.84, "pd"),
    Locus("STK39", "rs1474055", 0.128, 1.21, "pd"),
    Locus("ACMSD", "rs6430538", 0.430, 0.875, "pd"),
    Locus("GCH1", "rs11158026", 0.335, 0.90, "pd"),
    Locus("RAB29", "rs823118", 0.560, 1.12, "pd"),
    Locus("NULL", "null1", 0.100, 1.0, "none"),
    Locus("NULL", "null2", 0.250, 1.0, "none"),
    Locus("NULL", "null3", 0.350, 1.0, "none"),
    Locus("NULL", "null4", 0.450, 1.0, "none"),
)


def dosage(uniform: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Allele counts in Hardy-Weinberg proportions from uniforms, int8, any shape."""
    none = (1.0 - frequency) ** 2
    one = none + 2.0 * frequency * (1.0 - frequency)
    counts: np.ndarray = (uniform >= none).astype(np.int8) + (uniform >= one).astype(np.int8)
    return counts


def log_odds(axis: str) -> np.ndarray:
    """Log odds ratio per counted allele on an axis, zero for other loci, shape (30,)."""
    return np.array([log(s.odds_ratio) if s.axis == axis else 0.0 for s in PANEL])
