"""PPMI: Parkinson's disease and healthy controls at enrolment.

Marek et al. 2018, Annals of Clinical and Translational Neurology 5(12):1460, 10.1002/acn3.644, and
the PPMI Data User Guide and code list of https://www.ppmi-info.org:

- ``Participant_Status``: ``COHORT`` 1 Parkinson's disease, 2 healthy control, 3 SWEDD, 4 prodromal;
  ``CONCOHORT`` is the same by the consensus committee, which comes later and counts where it is
  given; ``ENROLL_AGE`` in years.
- ``Demographics``: ``SEX`` 0 woman, 1 man. ``Socio-Economics``: ``EDUCYRS``.
- ``FS7_ASEG_VOL``, ``FS7_APARC_CTH``: FreeSurfer 7 volumes (mm3) and thickness (mm) by
  ``EVENT_ID``; those of the baseline visit (``BL``, or ``SC``) are read.
- ``PPMI_Curated_Data_Cut_Public``: in place of the three tables of people, one row a visit with
  ``PATNO COHORT CONCOHORT EVENT_ID age_at_visit SEX EDUCYRS`` and optional ``SITE APOE``; ``.`` is
  missing. Its dictionary needs an account; these names are those that public programs read from
  the cuts of 2023 to 2025: ``R/subtyper.R`` of https://github.com/stnava/subtyper has
  ``PATNO EVENT_ID age_at_visit COHORT``, the codes of ``CONCOHORT``, ``APOE`` as ``e3/e3`` and
  ``.``. ``SITE`` is of a list of its variables (https://hackmd.io/XG3ITA8iR2S8A2M-0O6GfA). Codes of
  ``SEX`` are taken to be those of ``Demographics``. The row of ``BL`` is read.

SWEDD, prodromal and excluded people are neither class and are left out. MDS-UPDRS and DaTscan, by
which people are enrolled, are not read (in the curated table ``updrs3_score`` and others), nor MoCA
(``moca``), for which the store has no column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile
from benchmark.cohorts.held.regional import read_regions
from benchmark.cohorts.held.released import ReleasedTable, find_one

__all__ = ["PPMI"]

_STATUS: Final = "Participant_Status*.csv"
_PEOPLE: Final = "Demographics*.csv"
_EDUCATION: Final = "Socio-Economics*.csv"
_VOLUMES: Final = "FS7_ASEG_VOL*.csv"
_THICKNESS: Final = "FS7_APARC_CTH*.csv"
_CURATED: Final = "PPMI_Curated_Data_Cut_Public*.csv"
_XLSX: Final = "PPMI_Curated_Data_Cut_Public*.xlsx"
_SINGLE: Final = (_STATUS, _PEOPLE, _EDUCATION)
_FILES: Final = (_CURATED, *_SINGLE, _VOLUMES, _THICKNESS)
_SEX: Final = {"0": "F", "1": "M"}
_APOE: Final = r"[eE]?[234]/[eE]?[234]"
_CLASS: Final = {"1": v.PD, "2": v.HC} | dict.fromkeys("0345678") | {"9": None}
_SCAN_FACTS: Final = re.compile(
    r"PATNO|EVENT_ID|REC_ID|PAG_NAME|INFODT|.*(DATE|UPDATE).*|.*VERSION.*"
)
_BASELINE: Final = ("BL", "SC")


def _read(root: Path, _options: Mapping[str, str], problems: Problems) -> Reading:
    paths = {name: find_one(root, problems, name) for name in _FILES}

    def table(name: str, *needed: str) -> ReleasedTable:
        path = paths[name]
        return ReleasedTable.read(path, problems, needed, name=path.name if path else name)

    _refuse_excel(root, problems)
    if paths[_CURATED]:
        for other in (paths[name] for name in _SINGLE if paths[name]):
            rule = "the curated data cut is there as well, leave one form in the folder"
            problems.add(other.name if other else "", rule)
        visits, left_out = _curated(table(_CURATED, "PATNO", "COHORT", "EVENT_ID", "age_at_visit"))
    else:
        education = table(_EDUCATION, "PATNO", "EDUCYRS") if paths[_EDUCATION] else None
        status = table(_STATUS, "PATNO", "COHORT", "ENROLL_AGE")
        visits, left_out = _single(status, table(_PEOPLE, "PATNO", "SEX"), education)
    neither = visits[v.DIAGNOSIS].isna()
    visits = visits.loc[~neither]
    left_out["people of neither class"] = int(neither.sum())
    regions = visits[["id", v.PARTICIPANT_ID, v.SESSION_ID]]
    for name in (_VOLUMES, _THICKNESS):
        if paths[name]:
            measured = _measured(table(name, "PATNO", "EVENT_ID"), thickness=name == _THICKNESS)
            regions = regions.merge(measured, on="id", how="left")
    regions = regions.drop(columns="id")
    if v.HEAD_SIZE_MM3 in regions:
        head = regions.set_index(v.PARTICIPANT_ID)[v.HEAD_SIZE_MM3]
        visits[v.HEAD_SIZE_MM3] = visits[v.PARTICIPANT_ID].map(head)
    return Reading(
        visits=visits.drop(columns="id").reset_index(drop=True),
        tables={"regions": regions} if regions.shape[1] > 2 else {},
        files=tuple(path for path in paths.values() if path),
        left_out={why: n for why, n in left_out.items() if n},
        tasks={"pd_hc": "the enrolment cohort, by consensus where given (Marek et al. 2018)"},
    )


def _refuse_excel(root: Path, problems: Problems) -> None:
    """The cut is released as a workbook too, which this project has no reader for."""
    if find_one(root, problems, _CURATED):
        return
    for path in sorted({*root.glob(_XLSX), *root.glob(f"*/{_XLSX}")}):
        rule = "a workbook is not read; save its sheet of data as CSV beside it"
        problems.add(path.name, rule)


def _single(
    status: ReleasedTable, people: ReleasedTable, education: ReleasedTable | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """People by the single tables, with ``id``; one row each."""
    ids = status.text("PATNO", r"\d+")
    status.refuse_repeats(["PATNO"], ids.to_frame(), "this person")
    visits = _baseline(ids, _enrolled(status))
    visits[v.AGE_YEARS] = status.number("ENROLL_AGE", 18, 110)
    visits[v.SEX] = visits["id"].map(_first(people, people.code("SEX", _SEX)))
    if education:
        years = _first(education, education.number("EDUCYRS", 0, 40))
        visits[v.EDUCATION_YEARS] = visits["id"].map(years)
    return visits, {}


def _curated(table: ReleasedTable) -> tuple[pd.DataFrame, dict[str, int]]:
    """People by the curated data cut, with ``id``; the baseline row of each."""
    everybody = table.text("PATNO", r"\d+")
    events = table.text("EVENT_ID")
    baseline = table.keep(events == "BL")
    ids = baseline.text("PATNO", r"\d+")
    baseline.refuse_repeats(["PATNO"], ids.to_frame(), "this person's baseline visit")
    visits = _baseline(ids, _enrolled(baseline))
    genotype = baseline.text("APOE", _APOE, needed=False)
    visits = visits.assign(
        **{
            v.SITE_ID: baseline.text("SITE", needed=False).fillna(v.UNKNOWN_SITE),
            v.AGE_YEARS: baseline.number("age_at_visit", 18, 110),
            v.SEX: baseline.code("SEX", _SEX),
            v.EDUCATION_YEARS: baseline.number("EDUCYRS", 0, 40),
            v.APOE_E4: genotype.astype("object").str.count("4").astype(np.float64),
        }
    )
    absent = everybody.dropna().nunique() - ids.dropna().nunique()
    return visits, {"people without a baseline visit": absent}


def _baseline(ids: pd.Series, diagnosis: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ids,
            v.PARTICIPANT_ID: "sub-PPMI" + ids.astype("str"),
            v.SESSION_ID: "ses-BL",
            v.VISIT_MONTHS: 0.0,
            v.IS_INDEX: True,
            v.SITE_ID: v.UNKNOWN_SITE,
            v.PART: v.EVALUATE,
            v.DIAGNOSIS: diagnosis,
        }
    )


def _enrolled(table: ReleasedTable) -> pd.Series:
    """The class by enrolment, or by consensus where that is given."""
    enrolled = table.code("COHORT", _CLASS)
    decided = table.text("CONCOHORT", needed=False).notna()
    return table.code("CONCOHORT", _CLASS).where(decided, enrolled)


def _first(table: ReleasedTable, values: pd.Series) -> Mapping[str, object]:
    """The first known value of each person."""
    known = pd.DataFrame({"id": table.text("PATNO", r"\d+"), "value": values}).dropna()
    known = known.drop_duplicates("id")
    return dict(zip(known["id"], known["value"], strict=True))


def _measured(table: ReleasedTable, *, thickness: bool) -> pd.DataFrame:
    """Regions at baseline, by person; the first scan of several."""
    baseline = table.keep(table.frame["EVENT_ID"].isin(_BASELINE))
    shown = baseline.frame[[c for c in baseline.frame if not _SCAN_FACTS.fullmatch(str(c))]]
    if thickness:
        names = {c: re.sub(r"_(cth|thickness)$", "", str(c).lower()) + "_thickness" for c in shown}
        shown = shown.rename(columns=names)
    keys = baseline.text("PATNO", r"\d+").rename("id").to_frame()
    regions = read_regions(ReleasedTable(table.file, shown, table.problems), "freesurfer", keys)
    return regions.drop_duplicates("id")


PPMI: Final = Adapter(
    name="ppmi",
    title="PPMI: Parkinson's disease and healthy controls",
    files=(
        ReleasedFile(
            f"{_STATUS}|{_CURATED}",
            "cohort and age at enrolment (Study Data, Subject Characteristics), or the curated "
            "data cut, saved as CSV, which stands for this table and the next two",
        ),
        ReleasedFile(_PEOPLE, "sex; needed with Participant_Status", needed=False),
        ReleasedFile(_EDUCATION, "years of education", needed=False),
        ReleasedFile(_VOLUMES, "FreeSurfer 7 volumes (Study Data, Imaging)", needed=False),
        ReleasedFile(_THICKNESS, "FreeSurfer 7 thickness", needed=False),
    ),
    read=_read,
    source="Parkinson's Progression Markers Initiative, https://www.ppmi-info.org",
    licence="PPMI data use agreement",
    terms=(
        "PPMI data use agreement, https://www.ppmi-info.org/access-data-specimens/download-data: "
        "no attempt to identify participants, no redistribution, PPMI and its funders "
        "acknowledged, publications by PPMI's policy. Whoever holds the data has agreed to "
        "the text in full."
    ),
    citation=(
        "Marek K, Chowdhury S, Siderowf A, et al. The Parkinson's progression markers initiative "
        "(PPMI): establishing a PD biomarker cohort. Ann Clin Transl Neurol 2018;5(12):1460-1477. "
        "doi:10.1002/acn3.644"
    ),
    preparation="tables joined by PATNO; the baseline visit alone; SWEDD and prodromal left out",
)
