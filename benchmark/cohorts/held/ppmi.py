"""PPMI: Parkinson's disease and healthy controls at enrolment.

Marek et al. 2018, Annals of Clinical and Translational Neurology 5(12):1460, 10.1002/acn3.644, and
the PPMI Data User Guide and code list of https://www.ppmi-info.org:

- ``Participant_Status``: ``COHORT`` 1 Parkinson's disease, 2 healthy control, 3 SWEDD, 4 prodromal;
  ``CONCOHORT`` is the same by the consensus committee, which comes later and counts where it is
  given; ``ENROLL_AGE`` in years.
- ``Demographics``: ``SEX`` 0 woman, 1 man. ``Socio-Economics``: ``EDUCYRS``.
- ``FS7_ASEG_VOL``, ``FS7_APARC_CTH``: FreeSurfer 7 volumes (mm3) and thickness (mm) by
  ``EVENT_ID``; those of the baseline visit (``BL``, or ``SC``) are read.

SWEDD, prodromal and excluded people are neither class and are left out. MDS-UPDRS and DaTscan, by
which people are enrolled, are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
_FILES: Final = (_STATUS, _PEOPLE, _EDUCATION, _VOLUMES, _THICKNESS)
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

    status = table(_STATUS, "PATNO", "COHORT", "ENROLL_AGE")
    enrolled = status.code("COHORT", _CLASS)
    if "CONCOHORT" in status:
        agreed = status.code("CONCOHORT", _CLASS)
        decided = status.frame["CONCOHORT"].str.strip() != ""
        enrolled = agreed.where(decided, enrolled)
    ids = status.text("PATNO", r"\d+")
    status.refuse_repeats(["PATNO"], ids.to_frame(), "this person")
    visits = pd.DataFrame(
        {
            "id": ids,
            v.PARTICIPANT_ID: "sub-PPMI" + ids.astype("str"),
            v.SESSION_ID: "ses-BL",
            v.VISIT_MONTHS: 0.0,
            v.IS_INDEX: True,
            v.SITE_ID: v.UNKNOWN_SITE,
            v.PART: v.EVALUATE,
            v.AGE_YEARS: status.number("ENROLL_AGE", 18, 110),
            v.DIAGNOSIS: enrolled,
        }
    )
    neither = visits[v.DIAGNOSIS].isna()
    visits = visits.loc[~neither]
    people = table(_PEOPLE, "PATNO", "SEX")
    visits[v.SEX] = visits["id"].map(_first(people, people.code("SEX", {"0": "F", "1": "M"})))
    if paths[_EDUCATION]:
        education = table(_EDUCATION, "PATNO", "EDUCYRS")
        visits[v.EDUCATION_YEARS] = visits["id"].map(
            _first(education, education.number("EDUCYRS", 0, 40))
        )
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
        left_out={"people of neither class": int(neither.sum())} if neither.any() else {},
        tasks={"pd_hc": "the enrolment cohort, by consensus where given (Marek et al. 2018)"},
    )


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
        ReleasedFile(_STATUS, "cohort and age at enrolment (Study Data, Subject Characteristics)"),
        ReleasedFile(_PEOPLE, "sex"),
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
