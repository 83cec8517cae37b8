"""OASIS-1: 416 people of 18 to 96 years, one T1w session each, 20 of them scanned again.

Marcus et al. 2007, Journal of Cognitive Neuroscience 19(9):1498, 10.1162/jocn.2007.19.9.1498:

- A session is ``OAS1_xxxx_MR1``; ``_MR2`` is a second session of the same person within 90 days,
  for reliability. The first is the index visit.
- CDR was rated in older people. Those under 60 are without dementia; those of 60 and over have
  CDR 0, or CDR > 0 and a diagnosis of very mild to moderate Alzheimer's disease. So ``impaired`` is
  CDR > 0 against CDR 0 from 60 years on, and nobody younger is eligible: else age alone would tell.
- ``Educ`` holds levels from 1 (below high school) to 5 (beyond college), no years: it is kept as
  ``education_level``, which no track opens.
- ``eTIV`` is in cm3, ``nWBV`` is a share of it.
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
from benchmark.cohorts.held.regional import read_regions
from benchmark.cohorts.held.released import ReleasedTable, find_file, find_one

__all__ = ["OASIS1"]

_TABLE: Final = "oasis_cross-sectional*.csv"
_THICKNESS: Final = "ants_thickness.csv"
_BRAIN: Final = "ants_brain_volumes.csv"
_SESSION: Final = r"OAS1_\d{4}_MR[12]"
_ID_LENGTH: Final = len("OAS1_0000_MR1")  # what follows in the names of processed scans varies
_COLUMNS: Final = ("ID", "M/F", "Age", "Educ", "SES", "MMSE", "CDR", "eTIV", "nWBV", "Delay")
_OLD_YEARS: Final = 60.0


def _read(root: Path, _options: Mapping[str, str], problems: Problems) -> Reading:
    path = find_one(root, problems, _TABLE)
    name = path.name if path else _TABLE
    table = ReleasedTable.read(path, problems, _COLUMNS, name=name)
    visits = _visits(table)
    regions = pd.concat(
        [
            visits[[v.PARTICIPANT_ID, v.SESSION_ID]],
            oasis.head_volumes(table, visits[v.HEAD_SIZE_MM3]),
        ],
        axis=1,
    ).reset_index(drop=True)
    files = [path] if path else []
    left_out: dict[str, int] = {}
    for name in (_THICKNESS, _BRAIN):
        scans = find_file(root, name)
        if scans:
            files.append(scans)
            measured = _ants(scans, problems)
            known = measured.merge(visits[[v.PARTICIPANT_ID, v.SESSION_ID]])
            if len(measured) > len(known):
                left_out[f"{name}: scans without a row in the table"] = len(measured) - len(known)
            regions = regions.merge(known, on=[v.PARTICIPANT_ID, v.SESSION_ID], how="left")
    return Reading(
        visits=visits.reset_index(drop=True),
        tables={"regions": regions},
        files=tuple(files),
        left_out=left_out,
        tasks={
            "impaired": "CDR > 0 against CDR 0 at 60 years and over (Marcus et al. 2007)",
            "brain_age": "people with CDR 0, and people under 60 without a rating: without "
            "dementia by the study's inclusion (Marcus et al. 2007)",
        },
    )


def _visits(table: ReleasedTable) -> pd.DataFrame:
    ids = table.text("ID", _SESSION)
    table.refuse_repeats(["ID"], ids.to_frame(), "this session")
    second = ids.str.endswith("MR2").fillna(value=False).to_numpy(dtype=bool)
    delay = table.keep(second).number("Delay", 0, 90, needed=True)
    visits = pd.DataFrame(
        {
            v.PARTICIPANT_ID: "sub-" + ids.str.slice(0, 9).str.replace("_", ""),
            v.SESSION_ID: "ses-" + ids.str.slice(10),
            v.VISIT_MONTHS: months(delay.reindex(ids.index).fillna(0.0)),
            v.IS_INDEX: ~second,
            v.SITE_ID: "WashU",
            v.PART: v.EVALUATE,
            v.FIELD_STRENGTH_T: 1.5,
            "education_level": table.number("Educ", 1, 5),
        }
    )
    visits = pd.concat([visits, oasis.clinical_columns(table)], axis=1)
    young = (visits[v.AGE_YEARS] < _OLD_YEARS).to_numpy()
    unrated = visits[v.CDR_GLOBAL].isna().to_numpy()
    visits.loc[young & unrated, v.DIAGNOSIS] = v.CN
    impaired = (visits[v.CDR_GLOBAL] > 0).astype(np.float64)
    return visits.assign(**{v.IMPAIRED: impaired.where(~young & ~unrated)})


def _ants(path: Path, problems: Problems) -> pd.DataFrame:
    scans = ReleasedTable.read(path, problems, ["Subject"])
    ids = scans.text("Subject").str.slice(0, _ID_LENGTH)
    scans.refuse_repeats(["Subject"], ids.to_frame(), "this scan")
    keys = pd.DataFrame(
        {
            v.PARTICIPANT_ID: "sub-" + ids.str.slice(0, 9).str.replace("_", ""),
            v.SESSION_ID: "ses-" + ids.str.slice(10),
        }
    )
    if path.name == _BRAIN:
        volume = scans.number("BrainVolumes", 1e5, 5e6)
        return keys.assign(ants_brain_mm3=volume).reset_index(drop=True)
    return read_regions(scans, "ants", keys)


def _scan_of(name: str) -> tuple[str, str] | None:
    """From ``OAS1_0001_MR1_mpr_n4_anon_sbj_111``, whose signs the preparation may have changed.

    Clinica names it ``sub-OASIS10001`` and takes first sessions alone.
    """
    found = re.search(r"OAS(?:1[_-](\d{4})[_-](MR[12])|IS1(\d{4}))(?!\d)", name)
    return (f"sub-OAS1{found[1] or found[3]}", f"ses-{found[2] or 'MR1'}") if found else None


OASIS1: Final = Adapter(
    name="oasis1",
    title="OASIS-1: cross-sectional MRI, 18 to 96 years",
    files=(
        ReleasedFile(
            _TABLE,
            "demographics and clinical scores (spreadsheet of OASIS-1, saved as CSV), from "
            "https://sites.wustl.edu/oasisbrains/",
        ),
        ReleasedFile(
            _THICKNESS,
            "cortical thickness of 62 regions by ANTs (data of Tustison et al. 2021, "
            "https://github.com/ANTsX)",
            needed=False,
        ),
        ReleasedFile(_BRAIN, "brain volumes by ANTs, from the same place", needed=False),
    ),
    read=_read,
    source="OASIS-1, https://sites.wustl.edu/oasisbrains/",
    licence=oasis.LICENCE,
    terms=f"{oasis.TERMS} {oasis.ACKNOWLEDGEMENT.format(release='OASIS-1: Cross-Sectional')}",
    citation=(
        "Marcus DS, Wang TH, Parker J, et al. Open Access Series of Imaging Studies (OASIS): "
        "cross-sectional MRI data in young, middle aged, nondemented, and demented older adults. "
        "J Cogn Neurosci 2007;19(9):1498-1507. doi:10.1162/jocn.2007.19.9.1498"
    ),
    preparation=(
        "columns renamed; eTIV from cm3 to mm3, nWBV times eTIV as whole_brain_mm3; regional "
        "thickness joined where given; MR2 is a later visit of the same person"
    ),
    scan_of=_scan_of,
)
