"""What the OASIS cohorts share: codes, stages, terms.

References:
    CDR: Morris 1993, Neurology 43:2412, 10.1212/WNL.43.11.2412-a.
    eTIV, nWBV: Buckner et al. 2004, NeuroImage, 10.1016/j.neuroimage.2004.06.018.
    MCI at CDR 0.5: Petersen et al. 2010, Neurology (ADNI), 10.1212/WNL.0b013e3181cb3e25.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.released import ReleasedTable

__all__ = [
    "ACKNOWLEDGEMENT",
    "CDR",
    "LICENCE",
    "STAGES",
    "TERMS",
    "clinical_columns",
    "head_volumes",
]

LICENCE: Final = "OASIS data use agreement"
TERMS: Final = (
    "OASIS data use agreement, https://sites.wustl.edu/oasisbrains/: do not try to identify or "
    "to contact participants (no facial recognition, no 3D rendering of faces), acknowledge OASIS "
    "and its grants in every publication, cite the paper of the release, and tell the Knight ADRC "
    "about your use when asked. Whoever holds the data has agreed to the text in full."
)
ACKNOWLEDGEMENT: Final = (
    "Data were provided by {release}: Principal Investigators D. Marcus, R. Buckner, "
    "J. Csernansky, J. Morris; P50 AG05681, P01 AG03991, P01 AG026276, R01 AG021910, "
    "P20 MH071616, U24 RR021382."
)
# CDR -> stage; 0.5 is "very mild dementia" in OASIS's own words and the CDR of MCI in ADNI's.
STAGES: Final = {0.0: v.CN, 0.5: v.MCI, 1.0: v.AD, 2.0: v.AD, 3.0: v.AD}
CDR: Final = {"0": 0.0, "0.5": 0.5, "1": 1.0, "2": 2.0, "3": 3.0}
_MM3_A_CM3: Final = 1000.0


def clinical_columns(table: ReleasedTable) -> pd.DataFrame:
    """Age, sex, MMSE, CDR and its stage, SES and head size, one row per row of the table."""
    cdr = table.code("CDR", CDR).astype(np.float64)
    return pd.DataFrame(
        {
            v.AGE_YEARS: table.number("Age", 18, 120, needed=True),
            v.SEX: table.code("M/F", {"M": "M", "F": "F"}, needed=True),
            v.MMSE: table.number("MMSE", 0, 30),
            v.CDR_GLOBAL: cdr,
            v.DIAGNOSIS: cdr.map(STAGES).astype("object").where(cdr.notna(), None),
            "socioeconomic_status": table.number("SES", 1, 5),
            v.HEAD_SIZE_MM3: table.number("eTIV", 500, 3000, needed=True) * _MM3_A_CM3,
        }
    )


def head_volumes(table: ReleasedTable, head: pd.Series) -> pd.DataFrame:
    """Head size and brain size in mm3; nWBV is the brain's share of the head."""
    share = table.number("nWBV", 0.3, 1.0, needed=True)
    return pd.DataFrame({v.HEAD_SIZE_MM3: head, "whole_brain_mm3": (share * head).round(1)})
