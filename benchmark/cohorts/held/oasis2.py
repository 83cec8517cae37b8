"""OASIS-2: 150 people of 60 to 96 years, two to five visits each, 373 in all.

Marcus et al. 2010, Journal of Cognitive Neuroscience 22(12):2677, 10.1162/jocn.2009.21407:

- The study groups people over the whole of their follow-up: 72 nondemented throughout, 64 demented
  from the first visit on, 14 converted between two visits. ``Group`` thus knows the future, and
  nothing is made from it.
- The labels come from the CDR of each visit; OASIS calls people demented where it is above 0. CDR 0
  is CN, 0.5 is MCI, 1 and more is AD. OASIS's word for CDR 0.5 is "very mild dementia"; it is the
  CDR of MCI in ADNI (Petersen et al. 2010, 10.1212/WNL.0b013e3181cb3e25). So ``conversion`` here
  reads: CDR 0.5 at the first visit, CDR 1 or more within 36 months.
- ``MR Delay`` counts days from the first visit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held import oasis
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile, months
from benchmark.cohorts.held.released import ReleasedTable, find_one

__all__ = ["OASIS2"]

_TABLE: Final = "oasis_longitudinal*.csv"
_COLUMNS: Final = (
    *("Subject ID", "MRI ID", "Group", "Visit", "MR Delay", "M/F", "Age", "EDUC", "SES", "MMSE"),
    *("CDR", "eTIV", "nWBV"),
)
_GROUPS: Final = ("Nondemented", "Demented", "Converted")
_LAST_DAY: Final = 20 * 365


def _read(root: Path, _options: Mapping[str, str], problems: Problems) -> Reading:
    path = find_one(root, problems, _TABLE)
    name = path.name if path else _TABLE
    table = ReleasedTable.read(path, problems, _COLUMNS, name=name)
    visits = _visits(table)
    keys = visits[[v.PARTICIPANT_ID, v.SESSION_ID]]
    volumes = oasis.head_volumes(table, visits[v.HEAD_SIZE_MM3])
    regions = pd.concat([keys, volumes], axis=1)
    return Reading(
        visits=visits.reset_index(drop=True),
        tables={"regions": regions.reset_index(drop=True)},
        files=(path,) if path else (),
        tasks={
            "impaired": "CDR > 0 against CDR 0 at the first visit (Marcus et al. 2010)",
            "conversion": "CDR 0.5 at the first visit; CDR 1 or more within 36 months against none "
            "until 36 months or later (CDR 0.5 as MCI: Petersen et al. 2010)",
        },
    )


def _visits(table: ReleasedTable) -> pd.DataFrame:
    people = table.text("Subject ID", r"OAS2_\d{4}")
    sessions = table.text("MRI ID", r"OAS2_\d{4}_MR\d")
    table.refuse_repeats(["MRI ID"], sessions.to_frame(), "this session")
    table.code("Group", dict(zip(_GROUPS, _GROUPS, strict=True)), needed=True)
    visit = table.number("Visit", 1, 9, needed=True)
    visits = pd.DataFrame(
        {
            v.PARTICIPANT_ID: "sub-" + people.str.replace("_", ""),
            v.SESSION_ID: "ses-" + sessions.str.slice(10),
            v.VISIT_MONTHS: months(table.number("MR Delay", 0, _LAST_DAY, needed=True)),
            v.IS_INDEX: (visit == visit.groupby(people).transform("min")).to_numpy(dtype=bool),
            v.SITE_ID: "WashU",
            v.PART: v.EVALUATE,
            v.FIELD_STRENGTH_T: 1.5,
            v.EDUCATION_YEARS: table.number("EDUC", 0, 30),
        }
    )
    visits = pd.concat([visits, oasis.clinical_columns(table)], axis=1)
    _check_first(table, visits)
    rated = visits[v.CDR_GLOBAL].notna()
    impaired = (visits[v.CDR_GLOBAL] > 0).astype(np.float64).where(rated)
    return visits.assign(**{v.IMPAIRED: impaired})


def _check_first(table: ReleasedTable, visits: pd.DataFrame) -> None:
    """First visits lie at day 0."""
    late = visits.loc[visits[v.IS_INDEX] & (visits[v.VISIT_MONTHS] > 0)]
    for line in late.index:
        value = str(table.frame.loc[line, "MR Delay"])
        rule = "expected 0 at the first visit"
        table.problems.add(table.file, rule, column="MR Delay", line=int(line), value=value)


def _scan_of(name: str) -> tuple[str, str] | None:
    """From ``OAS2_0001_MR1``, whose signs the preparation may have changed."""
    found = re.search(r"OAS2[_-](\d{4})[_-](MR\d+)", name)
    return (f"sub-OAS2{found[1]}", f"ses-{found[2]}") if found else None


OASIS2: Final = Adapter(
    name="oasis2",
    title="OASIS-2: longitudinal MRI in nondemented and demented older adults",
    files=(
        ReleasedFile(
            _TABLE,
            "demographics and clinical scores of all visits (spreadsheet of OASIS-2, saved "
            "as CSV), from https://sites.wustl.edu/oasisbrains/",
        ),
    ),
    read=_read,
    source="OASIS-2, https://sites.wustl.edu/oasisbrains/",
    licence=oasis.LICENCE,
    terms=f"{oasis.TERMS} {oasis.ACKNOWLEDGEMENT.format(release='OASIS-2: Longitudinal')}",
    citation=(
        "Marcus DS, Fotenos AF, Csernansky JG, Morris JC, Buckner RL. Open Access Series of "
        "Imaging Studies: longitudinal MRI data in nondemented and demented older adults. J Cogn "
        "Neurosci 2010;22(12):2677-2684. doi:10.1162/jocn.2009.21407"
    ),
    preparation=(
        "columns renamed; days to months; eTIV from cm3 to mm3, nWBV times eTIV as "
        "whole_brain_mm3; stages from the CDR of each visit; the study's Group, "
        "which knows the future, is not kept"
    ),
    scan_of=_scan_of,
)
