"""IXI: healthy people of 20 to 86 years, scanned at three hospitals in London.

https://brain-development.org/ixi-dataset/, CC BY-SA 3.0. A scan is ``IXI<number>-<site>-<exam>``;
the sites are Guys (Philips 1.5 T), HH (Philips 3 T) and IOP (GE 1.5 T).

The age table lists some numbers twice. Equal lines are one; where two lines of one number disagree
about age by more than a year or about sex, nobody can say which is right, and the person is left
out. ``SEX_ID`` is 1 for men and 2 for women, as its header says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile
from benchmark.cohorts.held.regional import read_regions
from benchmark.cohorts.held.released import ReleasedTable, find_file
from benchmark.errors import ConfigError

__all__ = ["IXI"]


class _AgeTable(NamedTuple):
    """Names of the columns of one form of the age table."""

    file: str
    number: str
    sex: str
    age: str


_AGES: Final = (
    _AgeTable("IXI.csv", "IXI_ID", "SEX_ID (1=m, 2=f)", "AGE"),
    _AgeTable("IXI_age_gender.csv", "participant_id", "sex", "age"),
    _AgeTable("demographics.csv", "Subject", "Gender", "Age"),
)
_AGE_NAMES: Final = "|".join(form.file for form in _AGES)
_FREESURFER: Final = "IXI_aparc_thickness.csv"
_ANTS: Final = "ants_thickness.csv"
_ANTS_BRAIN: Final = "ants_brain_volumes.csv"
_SCAN: Final = r"(?:sub-)?IXI(\d{1,3})(?:-(Guys|HH|IOP)-\d+.*)?"
_FIELD_STRENGTH_T: Final = {"Guys": 1.5, "HH": 3.0, "IOP": 1.5}
_SAME_AGE_YEARS: Final = 1.0
_NO_TABLE: Final = "none"
_FEATURES: Final = ("freesurfer", "ants", _NO_TABLE)


def _read(root: Path, options: Mapping[str, str], problems: Problems) -> Reading:
    form, path = _age_file(root)
    people, left_out = _people(ReleasedTable.read(path, problems, form[1:], name=form.file), form)
    wanted = options["features"]
    if wanted not in _FEATURES:
        expected = " or ".join(_FEATURES)
        raise ConfigError(f"cohort source 'ixi': features is {wanted!r}, expected {expected}")
    ants = _ants_tables(root, problems, needed=wanted == "ants")
    sites = _sites(ants.values())
    files = [path, *(find_file(root, name) for name in ants)]
    if wanted == _NO_TABLE:
        return _reading(_visits(people, sites), {}, files, left_out)
    if wanted == "ants":
        regions = _ants_regions(ants)
    else:
        file = find_file(root, _FREESURFER)
        table = ReleasedTable.read(file, problems, ["participant_id"], name=_FREESURFER)
        regions = _measured(table, "participant_id", "freesurfer")
        files.append(file)
    scans = {who.removeprefix("sub-IXI") for who in regions[v.PARTICIPANT_ID].dropna()}
    visits = _visits(people.loc[people.index.isin(scans)], sites)
    left_out["people with an age and without measurements"] = len(people) - len(visits)
    known = regions[v.PARTICIPANT_ID].isin(visits[v.PARTICIPANT_ID])
    left_out["scans of nobody whose age is known"] = int((~known).sum())
    regions = regions.loc[known].reset_index(drop=True)
    if v.HEAD_SIZE_MM3 in regions:
        head = regions.set_index(v.PARTICIPANT_ID)[v.HEAD_SIZE_MM3]
        visits[v.HEAD_SIZE_MM3] = visits[v.PARTICIPANT_ID].map(head)
    return _reading(visits, {"regions": regions}, files, left_out)


def _reading(
    visits: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    files: Sequence[Path | None],
    left_out: Mapping[str, int],
) -> Reading:
    return Reading(
        visits=visits,
        tables=tables,
        files=tuple(dict.fromkeys(file for file in files if file)),
        left_out={why: n for why, n in left_out.items() if n},
        tasks={"brain_age": "all are healthy by inclusion (brain-development.org)"},
    )


def _age_file(root: Path) -> tuple[_AgeTable, Path | None]:
    for form in _AGES:
        path = find_file(root, form.file)
        if path:
            return form, path
    return _AGES[0], None


def _people(table: ReleasedTable, form: _AgeTable) -> tuple[pd.DataFrame, dict[str, int]]:
    """Age and sex by number, and how many were left out."""
    numbers = _number(table.text(form.number, rf"\d{{1,3}}|{_SCAN}"))
    rows = pd.DataFrame(
        {
            v.AGE_YEARS: table.number(form.age, 15, 100),
            v.SEX: table.code(form.sex, {"1": "M", "2": "F"}),
        }
    ).set_index(numbers)
    ageless = rows[v.AGE_YEARS].isna()
    rows = rows.loc[~ageless.to_numpy() & rows.index.notna()]
    by_number = rows.groupby(level=0)
    ages = by_number[v.AGE_YEARS].agg(["min", "max"])
    apart = (ages["max"] - ages["min"]).to_numpy() > _SAME_AGE_YEARS
    agree = ~apart & (by_number[v.SEX].nunique() < 2).to_numpy()
    people = by_number.first().loc[agree]
    return people, {
        "lines without an age": int(ageless.sum()),
        "people whose lines disagree about age or sex": int((~agree).sum()),
    }


def _number(ids: pd.Series) -> pd.Series:
    """The IXI number as three digits, from ``sub-IXI002``, ``IXI002-Guys-0828`` or ``2``."""
    return ids.str.extract(r"^(?:sub-)?(?:IXI)?(\d{1,3})", expand=False).str.zfill(3)


def _ants_tables(root: Path, problems: Problems, *, needed: bool) -> dict[str, ReleasedTable]:
    """The tables of ANTs by name, each read once: their scans give the sites, whatever enters."""
    paths = {name: find_file(root, name) for name in (_ANTS, _ANTS_BRAIN)}
    return {
        name: ReleasedTable.read(path, problems, ["Subject"], name=name)
        for name, path in paths.items()
        if path or (needed and name == _ANTS)
    }


def _ants_regions(tables: Mapping[str, ReleasedTable]) -> pd.DataFrame:
    """Thickness, and brain volumes where they are given."""
    regions = _measured(tables[_ANTS], "Subject", "ants")
    if _ANTS_BRAIN not in tables:
        return regions
    table = tables[_ANTS_BRAIN]
    table = table.keep(table.frame["Subject"] != "")
    volumes = _keys(table, "Subject").assign(
        ants_brain_mm3=table.number("BrainVolumes", 1e5, 5e6).to_numpy()
    )
    first = volumes.drop_duplicates(v.PARTICIPANT_ID)
    return regions.merge(first, on=[v.PARTICIPANT_ID, v.SESSION_ID], how="left")


def _measured(table: ReleasedTable, key: str, form: str) -> pd.DataFrame:
    """One row a person: the first of several scans; rows that name no scan belong to nobody."""
    table = table.keep(table.frame[key] != "")
    regions = read_regions(table, form, _keys(table, key))
    return regions.drop_duplicates(v.PARTICIPANT_ID).reset_index(drop=True)


def _keys(table: ReleasedTable, key: str) -> pd.DataFrame:
    numbers = _number(table.text(key, _SCAN))
    keys = pd.DataFrame({v.PARTICIPANT_ID: "sub-IXI" + numbers, v.SESSION_ID: "ses-1"})
    return keys.reset_index(drop=True)


def _sites(tables: Iterable[ReleasedTable]) -> Mapping[str, str]:
    """Hospital by number, from tables whose scans are named in full."""
    found: dict[str, str] = {}
    for table in tables:
        parts = table.frame["Subject"].str.extract(rf"^{_SCAN}$").dropna()
        found |= dict(zip(parts[0].str.zfill(3), parts[1], strict=True))
    return found


def _scan_of(name: str) -> tuple[str, str] | None:
    """From ``IXI002-Guys-0828-T1``: one visit a person."""
    found = re.search(r"(?<![A-Za-z0-9])IXI(\d{3})(?!\d)", name)
    return (f"sub-IXI{found[1]}", "ses-1") if found else None


def _visits(people: pd.DataFrame, sites: Mapping[str, str]) -> pd.DataFrame:
    people = people.sort_index().rename_axis("number").reset_index()
    site = people["number"].map(dict(sites))
    return pd.DataFrame(
        {
            v.PARTICIPANT_ID: "sub-IXI" + people["number"],
            v.SESSION_ID: "ses-1",
            v.VISIT_MONTHS: 0.0,
            v.IS_INDEX: True,
            v.SITE_ID: site.fillna(v.UNKNOWN_SITE),
            v.PART: v.EVALUATE,
            v.AGE_YEARS: people[v.AGE_YEARS].astype(np.float64),
            v.SEX: people[v.SEX],
            v.DIAGNOSIS: v.HC,
            v.FIELD_STRENGTH_T: site.map(_FIELD_STRENGTH_T).astype(np.float64),
        }
    )


IXI: Final = Adapter(
    name="ixi",
    title="IXI: healthy adults, three hospitals in London",
    files=(
        ReleasedFile(
            _AGE_NAMES,
            "ages and sex: IXI.xls of https://brain-development.org/ixi-dataset/ saved as IXI.csv, "
            "or one of the tables that processed releases carry",
        ),
        ReleasedFile(
            _FREESURFER,
            "cortical thickness by FreeSurfer, one row a person (aparcstats2table), for "
            "features=freesurfer",
            needed=False,
        ),
        ReleasedFile(
            _ANTS,
            "cortical thickness by ANTs (data of Tustison et al. 2021, https://github.com/ANTsX), "
            "for features=ants; its scan names give the sites",
            needed=False,
        ),
        ReleasedFile(_ANTS_BRAIN, "brain volumes by ANTs, from the same place", needed=False),
    ),
    read=_read,
    source="IXI, https://brain-development.org/ixi-dataset/",
    licence="CC BY-SA 3.0",
    terms=(
        "Creative Commons Attribution-ShareAlike 3.0, "
        "https://creativecommons.org/licenses/by-sa/3.0/legalcode; the data are of the IXI "
        "project, https://brain-development.org/ixi-dataset/."
    ),
    citation="IXI dataset, Information eXtraction from Images (EPSRC GR/S21533/02), "
    "https://brain-development.org/ixi-dataset/",
    preparation=(
        "ages and sex joined to scans by IXI number; equal lines of the age table are one; people "
        "whose lines disagree are left out; one scan a person"
    ),
    options={"features": "freesurfer"},
    about_options={"features": "whose thickness enters: freesurfer, ants or none"},
    scan_of=_scan_of,
)
