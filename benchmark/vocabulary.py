"""Every name that crosses a file boundary, spelled once.

Units are suffixes (``_years _mm _mm3 _s _mib _t``); identifiers follow BIDS; class labels are the
field's standard abbreviations.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# Diagnoses ---------------------------------------------------------------
CN: Final = "CN"  # cognitively normal
MCI: Final = "MCI"  # mild cognitive impairment
AD: Final = "AD"  # dementia of the Alzheimer type
PD: Final = "PD"  # Parkinson's disease
HC: Final = "HC"  # healthy control
DIAGNOSES: Final = (CN, MCI, AD, PD, HC)

# Columns of a visit table ---------------------------------------------------------------
PARTICIPANT_ID: Final = "participant_id"
SESSION_ID: Final = "session_id"
VISIT_MONTHS: Final = "visit_months"  # months since the participant's index visit
IS_INDEX: Final = "is_index"  # the one visit of a person that enters Samples
SITE_ID: Final = "site_id"
UNKNOWN_SITE: Final = "unknown"  # the site of whom the source states none: no scanner of its own
FAMILY_ID: Final = "family_id"  # equal for declared siblings and twins; empty otherwise
PART: Final = "part"  # "pretrain" or "evaluate"
AGE_YEARS: Final = "age_years"
SEX: Final = "sex"  # "F" or "M"
EDUCATION_YEARS: Final = "education_years"
DIAGNOSIS: Final = "diagnosis"
IMPAIRED: Final = "impaired"  # 1, 0 or missing, where the source states it directly
MMSE: Final = "mmse"
CDR_GLOBAL: Final = "cdr_global"
FAMILY_HISTORY: Final = "family_history"  # a first-degree relative: 1, 0 or missing
APOE_E4: Final = "apoe_e4"  # number of APOE e4 alleles: 0, 1, 2 or missing
HEAD_SIZE_MM3: Final = "head_size_mm3"  # measured from the volume
FIELD_STRENGTH_T: Final = "field_strength_t"

FAQ_TOTAL: Final = "faq_total"  # Functional Activities Questionnaire

# The smallest and the largest value that is possible, in the unit that the name ends in.
COLUMN_RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        VISIT_MONTHS: (-1200.0, 1200.0),
        AGE_YEARS: (0.0, 120.0),
        EDUCATION_YEARS: (0.0, 40.0),
        MMSE: (0.0, 30.0),
        CDR_GLOBAL: (0.0, 3.0),
        FAQ_TOTAL: (0.0, 30.0),
        APOE_E4: (0.0, 2.0),
        FAMILY_HISTORY: (0.0, 1.0),
        IMPAIRED: (0.0, 1.0),
        FIELD_STRENGTH_T: (0.1, 12.0),
        HEAD_SIZE_MM3: (1e5, 5e6),
    }
)

REQUIRED_COLUMNS: Final = (PARTICIPANT_ID, SESSION_ID, VISIT_MONTHS, IS_INDEX, SITE_ID, PART)

PRETRAIN: Final = "pretrain"
EVALUATE: Final = "evaluate"

# Modalities: what a person may or may not have had measured ---------------------------------------
T1W: Final = "t1w"
FMRI: Final = "fmri"
GENETIC: Final = "genetic"
CLINICAL: Final = "clinical"
REPORT: Final = "report"
BIOMARKER: Final = "biomarker"
MODALITIES: Final = (T1W, FMRI, GENETIC, CLINICAL, REPORT, BIOMARKER)

# Parts of a fold ---------------------------------------------------------------
TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
EXTERNAL: Final = "external"

# Provenance of a row ---------------------------------------------------------------
REPRODUCED: Final = "reproduced here"
VERIFIED: Final = "verified submission"
AUTHOR_REPORTED: Final = "author-reported"
QUOTED: Final = "quoted from paper"
PROVENANCES: Final = (REPRODUCED, VERIFIED, AUTHOR_REPORTED, QUOTED)
