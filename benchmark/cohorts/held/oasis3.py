"""OASIS-3: 1,379 people of the Knight ADRC, 42 to 95 years, followed for up to 30 years.

LaMontagne et al. 2019, medRxiv, 10.1101/2019.12.13.19014902, and the data dictionaries of the
release (folder ``OASIS3_data_files``):

- ``OASIS3_UDSb4_cdr``: one row a clinical visit, ``days_to_visit`` counted from the first entry,
  ``age at visit``, ``MMSE``, ``CDRTOT`` (global CDR) and the diagnosis ``dx1`` in words.
- ``OASIS3_demographics``: ``GENDER`` 1 man, 2 woman; ``EDUC`` in years; ``APOE`` as two digits
  (34).
- ``OASIS3_Freesurfer_output``: one row an MRI session ``OAS3xxxx_MR_d<day>``, volumes in mm3 and
  thickness in mm; ``FS QC Status`` says whether it passed.

Stages are those of OASIS-1 and OASIS-2: CDR 0 is CN, 0.5 MCI; CDR 1 and more is AD where ``dx1``
names Alzheimer's disease (``AD``, ``DAT``), and no class otherwise. The index visit is the first
with a CDR and an MRI session within half a year; without any session it is the first with a CDR.
Visits before it are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held import oasis
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import DAYS_A_MONTH, Adapter, Reading, ReleasedFile, months
from benchmark.cohorts.held.regional import read_regions
from benchmark.cohorts.held.released import ReleasedTable, find_one
from benchmark.cohorts.held.volumes import NO_VISIT

__all__ = ["OASIS3"]

_VISITS: Final = "OASIS3_UDSb4_cdr*.csv"
_PEOPLE: Final = "OASIS3_demographics*.csv"
_SCANS: Final = "OASIS3_Freesurfer_output*.csv"
_ID: Final = r"OAS3\d{4}"
_NEAR_DAYS: Final = 183
_APOE: Final = {a + b: float((a + b).count("4")) for a in "234" for b in "234"}
_SCAN_FACTS: Final = ["FS_FSDATA ID", "Subject", "MR_session", "version", "FS QC Status", "Session"]


def _read(root: Path, _options: Mapping[str, str], problems: Problems) -> Reading:
    paths = {name: find_one(root, problems, name) for name in (_VISITS, _PEOPLE, _SCANS)}
    visits = _visits(_table(paths, _VISITS, problems, "OASISID", "days_to_visit", "CDRTOT"))
    people = _people(_table(paths, _PEOPLE, problems, "OASISID", "GENDER"))
    n_rows = len(visits)
    visits = visits.drop_duplicates(["id", "day"])
    left_out = {"further rows of one person and day": n_rows - len(visits)}
    visits = visits.merge(people, on="id", how="left")
    scans = pd.DataFrame(columns=["id", "scan_day", v.HEAD_SIZE_MM3])
    if paths[_SCANS]:
        scans, n_failed = _scans(_table(paths, _SCANS, problems, "Subject", "MR_session"))
        left_out["MRI sessions that did not pass the quality check"] = n_failed
    visits = _indexed(visits, scans)
    index = visits.loc[visits[v.IS_INDEX], ["id", v.PARTICIPANT_ID, v.SESSION_ID, "scan_day"]]
    regions = index.merge(scans, on=["id", "scan_day"]).drop(columns=["id", "scan_day"])
    if len(regions):
        head = regions.set_index(v.PARTICIPANT_ID)[v.HEAD_SIZE_MM3]
        visits[v.HEAD_SIZE_MM3] = visits[v.PARTICIPANT_ID].map(head)
    return Reading(
        visits=visits.drop(columns=["id", "day", "scan_day"]).reset_index(drop=True),
        tables={"regions": regions} if len(regions) else {},
        files=tuple(path for path in paths.values() if path),
        left_out={why: n for why, n in left_out.items() if n},
        tasks={
            "dx3": "CDR 0, CDR 0.5, CDR 1 and more with Alzheimer's disease",
            "impaired": "CDR > 0 against CDR 0 at the index visit",
            "conversion": "CDR 0.5 at the index visit; CDR 1 or more with Alzheimer's disease "
            "within 36 months against none until 36 months or later",
            "brain_age": "CDR 0 at the index visit",
        },
    )


def _table(
    paths: Mapping[str, Path | None], name: str, problems: Problems, *needed: str
) -> ReleasedTable:
    path = paths[name]
    return ReleasedTable.read(path, problems, needed, name=path.name if path else name)


def _visits(table: ReleasedTable) -> pd.DataFrame:
    ids = table.text("OASISID", _ID)
    day = table.number("days_to_visit", -20_000, 20_000, needed=True)
    cdr = table.code("CDRTOT", oasis.CDR, missing=(".",)).astype(np.float64)
    words = table.text("dx1", needed=False).astype("str").fillna("")
    alzheimer = words.str.match(r"(?i)(AD|DAT)\b")
    state = cdr.map(oasis.STAGES).astype("object").where(cdr.notna(), None)
    return pd.DataFrame(
        {
            "id": ids,
            "day": day,
            v.AGE_YEARS: table.number("age at visit", 18, 110),
            v.MMSE: table.number("MMSE", 0, 30),
            v.CDR_GLOBAL: cdr,
            v.DIAGNOSIS: state.where((cdr < 1) | alzheimer, None),
            v.IMPAIRED: (cdr > 0).astype(np.float64).where(cdr.notna()),
        }
    ).loc[cdr.notna()]


def _people(table: ReleasedTable) -> pd.DataFrame:
    ids = table.text("OASISID", _ID)
    table.refuse_repeats(["OASISID"], ids.to_frame(), "this person")
    return pd.DataFrame(
        {
            "id": ids,
            v.SEX: table.code("GENDER", {"1": "M", "2": "F"}),
            v.EDUCATION_YEARS: table.number("EDUC", 0, 30, missing=("99",)),
            v.APOE_E4: table.code("APOE", _APOE).astype(np.float64),
        }
    )


def _scans(table: ReleasedTable) -> tuple[pd.DataFrame, int]:
    """Regions by person and day, and how many sessions failed the quality check."""
    passed = np.ones(len(table), dtype=bool)
    if "FS QC Status" in table:
        passed = table.frame["FS QC Status"].str.lower().str.startswith("passed").to_numpy()
    kept = table.keep(passed)
    keys = pd.DataFrame(
        {
            "id": kept.text("Subject", _ID),
            "scan_day": kept.text("MR_session", rf"{_ID}_MR_d\d+(_.*)?")
            .astype("str")
            .str.extract(r"_d(\d+)", expand=False)
            .astype(np.float64),
        }
    )
    shown = kept.frame.drop(columns=[c for c in _SCAN_FACTS if c in kept])
    regions = read_regions(ReleasedTable(kept.file, shown, kept.problems), "freesurfer", keys)
    return regions.drop_duplicates(["id", "scan_day"]), int((~passed).sum())


def _indexed(visits: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """Chooses index visits, and counts months from them."""
    days = scans[["id", "scan_day"]].astype({"scan_day": np.float64})
    pairs = visits[["id", "day"]].merge(days, on="id", how="inner")
    pairs["distance"] = (pairs["day"] - pairs["scan_day"]).abs()
    near = pairs.loc[pairs["distance"] <= _NEAR_DAYS].sort_values(["id", "day", "distance"])
    chosen = near.drop_duplicates("id").set_index("id")
    visits = visits.sort_values(["id", "day"], kind="stable").reset_index(drop=True)
    first = visits.groupby("id")["day"].transform("min")
    start = visits["id"].map(chosen["day"]).fillna(first)
    visits = visits.assign(scan_day=visits["id"].map(chosen["scan_day"]), start=start)
    visits = visits.loc[visits["day"] >= visits["start"]].copy()
    visits[v.IS_INDEX] = (visits["day"] == visits["start"]).to_numpy(dtype=bool)
    visits[v.VISIT_MONTHS] = months(visits["day"] - visits["start"])
    visits[v.PARTICIPANT_ID] = "sub-" + visits["id"].astype("str")
    visits[v.SESSION_ID] = "ses-d" + visits["day"].astype(int).astype(str).str.zfill(4)
    visits[v.SITE_ID] = "WashU"
    visits[v.PART] = v.EVALUATE
    return visits.drop(columns="start")


def _visit_of(scan: str, sessions: Sequence[str]) -> tuple[str, float] | None:
    """The nearest visit within half a year of ``ses-d0129``, or of Clinica's ``ses-M006``.

    So ``ses-M000`` is the first half year after entry, and not the index visit.
    """
    found = re.fullmatch(r"ses-(?:d(-?\d+)|M(\d+))", scan)
    if not found:
        return None
    day = float(found[1]) if found[1] else float(found[2]) * DAYS_A_MONTH
    distances = {visit: abs(float(visit.removeprefix("ses-d")) - day) for visit in sessions}
    nearest = min(distances, key=distances.__getitem__)
    return (nearest, distances[nearest]) if distances[nearest] <= _NEAR_DAYS else NO_VISIT


OASIS3: Final = Adapter(
    name="oasis3",
    title="OASIS-3: longitudinal neuroimaging and clinical data, 42 to 95 years",
    files=(
        ReleasedFile(_VISITS, "clinical visits (UDS form B4), from OASIS3_data_files on NITRC-IR"),
        ReleasedFile(_PEOPLE, "demographics, from the same folder"),
        ReleasedFile(
            _SCANS, "FreeSurfer output by MRI session, from the same folder", needed=False
        ),
    ),
    read=_read,
    source="OASIS-3, https://sites.wustl.edu/oasisbrains/",
    licence=oasis.LICENCE,
    terms=(
        f"{oasis.TERMS} Data were provided by OASIS-3: Longitudinal Multimodal Neuroimaging: "
        "Principal Investigators T. Benzinger, D. Marcus, J. Morris; NIH P30 AG066444, "
        "P50 AG00561, P30 NS09857781, P01 AG026276, P01 AG003991, R01 AG043434, UL1 TR000448, "
        "R01 EB009352."
    ),
    citation=(
        "LaMontagne PJ, Benzinger TLS, Morris JC, et al. OASIS-3: longitudinal neuroimaging, "
        "clinical, and cognitive dataset for normal aging and Alzheimer disease. medRxiv 2019. "
        "doi:10.1101/2019.12.13.19014902"
    ),
    preparation=(
        "columns renamed; days to months from the index visit; regions of the nearest MRI session "
        "within 183 days; stages from the CDR and, from CDR 1 on, the diagnosis in words"
    ),
    visit_of=_visit_of,
)
