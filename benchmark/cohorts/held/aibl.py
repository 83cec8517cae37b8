"""AIBL: the Australian counterpart of ADNI, visits every 18 months.

Ellis et al. 2009, International Psychogeriatrics 21(4):672, 10.1017/S1041610209009405. Tables
``Data_extract_3.3.0`` of https://ida.loni.usc.edu, each named ``aibl_<table>_<date>.csv``:

- ``pdxconv``: ``DXCURREN`` 1 healthy, 2 MCI, 3 Alzheimer's disease; further codes are other
  diagnoses and no class here; -4 is missing. ``VISCODE`` is ``bl`` or ``m18``, months.
- ``ptdemog``: ``PTGENDER`` 1 man, 2 woman; of the date of birth only the year is given
  (``/1935``), so ages are taken from the middle of that year to the date of the MMSE or CDR.
- ``mmse``, ``cdr`` (``CDGLOBAL``), ``apoeres`` (``APGEN1 APGEN2``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held import loni
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile
from benchmark.cohorts.held.released import ReleasedTable, find_one

__all__ = ["AIBL"]

_DIAGNOSES: Final = "aibl_pdxconv_*.csv"
_PEOPLE: Final = "aibl_ptdemog_*.csv"
_MMSE: Final = "aibl_mmse_*.csv"
_CDR: Final = "aibl_cdr_*.csv"
_GENES: Final = "aibl_apoeres_*.csv"
_FILES: Final = (_DIAGNOSES, _PEOPLE, _MMSE, _CDR, _GENES)
_MISSING: Final = ("-4",)
_STATE: Final = {"1": v.CN, "2": v.MCI, "3": v.AD} | dict.fromkeys("456789")
_GLOBAL: Final = {"0": 0.0, "0.5": 0.5, "1": 1.0, "2": 2.0, "3": 3.0}
_KEYS: Final = ["rid", v.VISIT_MONTHS]
_MID_YEAR: Final = 0.5


def _read(root: Path, _options: Mapping[str, str], problems: Problems) -> Reading:
    paths = {name: find_one(root, problems, name) for name in _FILES}
    tables = {
        name: ReleasedTable.read(path, problems, ["RID"], name=path.name if path else name)
        for name, path in paths.items()
        if path or name in (_DIAGNOSES, _PEOPLE)
    }
    visits = _by_visit(tables[_DIAGNOSES])
    visits[v.DIAGNOSIS] = tables[_DIAGNOSES].code(
        "DXCURREN", _STATE, missing=_MISSING, needed=False
    )
    visits = visits.dropna(subset=[v.VISIT_MONTHS])
    dates = [visits[_KEYS].assign(date=np.nan)]
    for name, column in ((_MMSE, v.MMSE), (_CDR, v.CDR_GLOBAL)):
        if name in tables:
            table = tables[name]
            rows = _by_visit(table)
            rows[column] = _scale(table, column)
            rows["date"] = _decimal_year(table)
            dates.append(rows[[*_KEYS, "date"]])
            visits = visits.merge(rows[[*_KEYS, column]].dropna(), on=_KEYS, how="left")
    people = _people(tables[_PEOPLE])
    seen = pd.concat(dates).dropna().groupby(_KEYS)["date"].first()
    visits = visits.merge(people, on="rid", how="left").merge(seen, on=_KEYS, how="left")
    if _GENES in tables:
        visits[v.APOE_E4] = visits["rid"].map(
            loni.e4_alleles(tables[_GENES], missing=_MISSING, needed=False)
        )
    visits[v.AGE_YEARS] = (visits["date"] - visits["born"] - _MID_YEAR).round(2)
    visits[v.IS_INDEX] = (visits[v.VISIT_MONTHS] == 0).to_numpy(dtype=bool)
    n_all = visits["rid"].nunique()
    visits = visits.loc[visits["rid"].isin(visits.loc[visits[v.IS_INDEX], "rid"])]
    without = n_all - visits["rid"].nunique()
    visits = visits.assign(part=v.EVALUATE)
    visits[v.PARTICIPANT_ID] = "sub-AIBL" + visits["rid"].astype(int).astype(str)
    visits[v.SESSION_ID] = loni.session(visits[v.VISIT_MONTHS])
    return Reading(
        visits=visits.drop(columns=["rid", "born", "date"]).reset_index(drop=True),
        files=tuple(path for path in paths.values() if path),
        left_out={"people without a baseline visit": without} if without else {},
        tasks={
            "dx3": "the diagnosis at baseline (AIBL, DXCURREN)",
            "conversion": "MCI at baseline; Alzheimer's disease within 36 months against none "
            "until 36 months or later (Bron et al. 2021)",
        },
    )


def _by_visit(table: ReleasedTable) -> pd.DataFrame:
    """Person and month of each row, and the site where the table has one."""
    rows = pd.DataFrame(
        {
            "rid": table.number("RID", 1, 99999, needed=True),
            v.VISIT_MONTHS: loni.visit_months(table.text("VISCODE", loni.VISIT)),
            v.SITE_ID: table.text("SITEID", needed=False).fillna(v.UNKNOWN_SITE),
        }
    )
    table.refuse_repeats(["VISCODE"], rows[_KEYS], "this person's visit")
    return rows


def _scale(table: ReleasedTable, column: str) -> pd.Series:
    if column == v.MMSE:
        return table.number("MMSCORE", 0, 30, missing=_MISSING)
    return table.code("CDGLOBAL", _GLOBAL, missing=_MISSING).astype(np.float64)


def _decimal_year(table: ReleasedTable) -> pd.Series:
    """EXAMDATE, month/day/year, as a year with decimals."""
    dates = table.dates("EXAMDATE", "%m/%d/%Y", "month/day/year", needed=False, missing=_MISSING)
    years: pd.Series = dates.dt.year + (dates.dt.day_of_year - 1) / 365.25
    return years


def _people(table: ReleasedTable) -> pd.DataFrame:
    born = table.text("PTDOB", r".*(18|19|20)\d\d", needed=False).astype("str")
    people = pd.DataFrame(
        {
            "rid": table.number("RID", 1, 99999, needed=True),
            v.SEX: table.code("PTGENDER", {"1": "M", "2": "F"}, missing=_MISSING),
            "born": born.str.extract(r"(\d{4})$", expand=False).astype(np.float64),
        }
    )
    return people.dropna(subset=["rid"]).drop_duplicates("rid")


AIBL: Final = Adapter(
    name="aibl",
    title="AIBL: cognitively normal, MCI and Alzheimer's disease, with follow-up",
    files=(
        ReleasedFile(_DIAGNOSES, "diagnoses by visit, from Data_extract_3.3.0 (LONI IDA, AIBL)"),
        ReleasedFile(_PEOPLE, "demographics"),
        ReleasedFile(_MMSE, "MMSE by visit; its dates give the ages", needed=False),
        ReleasedFile(_CDR, "CDR by visit", needed=False),
        ReleasedFile(_GENES, "APOE genotypes", needed=False),
    ),
    read=_read,
    source="AIBL, https://aibl.org.au, through https://ida.loni.usc.edu",
    licence="AIBL data use agreement",
    terms=(
        "AIBL data use agreement (LONI IDA): no attempt to identify participants, no "
        "redistribution, AIBL acknowledged in every publication. Whoever holds the data has agreed "
        "to the text in full."
    ),
    citation=(
        "Ellis KA, Bush AI, Darby D, et al. The Australian Imaging, Biomarkers and Lifestyle "
        "(AIBL) study of aging. Int Psychogeriatr 2009;21(4):672-687. doi:10.1017/S1041610209009405"
    ),
    preparation=(
        "tables joined by RID and visit code; ages from the middle of the year of birth; -4 is "
        "missing; other diagnoses are no class"
    ),
    visit_of=loni.visit_of,
)
