"""A BIDS folder of any study, without a mapping: people, their sessions and what these state.

BIDS 1.10, https://bids-specification.readthedocs.io, "Data summary files" and "Tabular files":

- ``participants.tsv`` is in the folder itself and has one row a person; ``participant_id`` is
  ``sub-<label>`` and every subject's folder is named there. ``age`` is in years where
  ``participants.json`` states no ``Units``, and 89 or more may be written ``89+``; ``sex`` is
  male, female or other, spelt out or by the first letter.
- ``sub-<label>/sub-<label>_sessions.tsv`` has one row a session; ``session_id`` is ``ses-<label>``
  and ``acq_time`` is ISO 8601, possibly shifted. ``pathology`` is ``healthy`` or names the illness.
- ``Levels`` of the JSON file say what a column's values mean; ``n/a`` is missing.
- ``dataset_description.json`` states ``Name`` and ``License``.

BIDS does not say how groups or scales are named, nor which session comes first. Rules of this file:

- The group is in ``diagnosis``, ``group`` or ``pathology``, the first of these that is there, or in
  the column that option ``diagnosis`` names; :mod:`benchmark.cohorts.held.bids_groups` reads it.
- Scales bear the names of the store, in capitals or not; ``cdr`` and ``site`` are read as well.
- The order of sessions is that of ``acq_time``, else that of ``age``, else that of the file where
  ages are equal; the earliest is the index visit. What ``participants.tsv`` says of age, group and
  scales is said of that visit; sex, education, site, genotype and family are the same at all.
- Somebody without a table of sessions has one visit: the first ``ses-`` folder, or ``ses-1``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.bids_groups import GROUP, diagnoses, sexes
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile, months
from benchmark.cohorts.held.released import ReleasedTable
from benchmark.tasks import TASKS

__all__ = ["BIDS"]

_PEOPLE: Final = "participants.tsv"
_PERSON, _SESSION = r"sub-[A-Za-z0-9]+", r"ses-[A-Za-z0-9]+"
_GROUPS: Final = ("diagnosis", "group", "pathology")
_OPTION: Final = "diagnosis"
_ALIASES: Final = {v.CDR_GLOBAL: ("cdr",), v.SITE_ID: ("site",)}
_TEXTS: Final = (v.SITE_ID, v.FAMILY_ID)
_SCALES: Final = tuple(c for c in v.COLUMN_RANGES if c not in (v.VISIT_MONTHS, v.AGE_YEARS))
_CONSTANT: Final = (
    *(v.SEX, v.SITE_ID, v.FAMILY_ID, v.EDUCATION_YEARS, v.APOE_E4, v.FAMILY_HISTORY),
)
_YEARS: Final = {"year": 1.0, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25}
_TIME: Final = "time"
_PAIRS: Final = ("ad_cn", "mci_cn", "ad_mci")
_MOST_SHOWN: Final = 10


def _read(root: Path, options: Mapping[str, str], problems: Problems) -> Reading:
    sidecars = {n: _sidecar(root / f"{n}.json", problems) for n in ("participants", "sessions")}
    path = root / _PEOPLE
    table = ReleasedTable.read(path, problems, [v.PARTICIPANT_ID], name=_PEOPLE)
    ids = table.text(v.PARTICIPANT_ID, _PERSON)
    what = f"this person (one row each: sessions belong in sub-*_sessions.tsv), {v.PARTICIPANT_ID}"
    table.refuse_repeats([v.PARTICIPANT_ID], ids.to_frame(), what)
    people = _values(table, sidecars["participants"], options[_OPTION])
    people = people.assign(**{v.PARTICIPANT_ID: ids}).dropna(subset=v.PARTICIPANT_ID)
    people = people.drop_duplicates(v.PARTICIPANT_ID)
    _refuse_strangers(root, set(people[v.PARTICIPANT_ID]), problems)
    both = sidecars["participants"] | sidecars["sessions"]
    parts, files = [], [path] if path.is_file() else []
    for who in people[v.PARTICIPANT_ID]:
        place = root / who / f"{who}_sessions.tsv"
        if place.is_file():
            files.append(place)
            parts.append(_sessions(root, place, who, both, options[_OPTION], problems))
        else:
            one = {v.PARTICIPANT_ID: who, v.SESSION_ID: _only_session(root / who)}
            parts.append(pd.DataFrame([one]))
    visits = _joined(people, parts, problems)
    given = [GROUP in people, any(GROUP in part for part in parts)]
    if options[_OPTION] and not any(given):
        rule = "no table has this column, which option `diagnosis` names"
        problems.add(_PEOPLE, rule, column=options[_OPTION])
    visits = diagnoses(visits, both, problems)
    named = [root / f"{n}.json" for n in ("participants", "sessions", "dataset_description")]
    return Reading(
        visits=visits.reset_index(drop=True),
        files=(*files, *(name for name in named if name.is_file())),
        tasks=_tasks(visits),
        facts=_facts(_sidecar(root / "dataset_description.json", problems)),
    )


def _sidecar(path: Path, problems: Problems) -> dict[str, Any]:
    """A JSON object; empty where there is no file."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:  # of json and of the encoding
        problems.add(path.name, f"cannot be read as JSON: {error}")
        return {}
    if not isinstance(values, dict):
        problems.add(path.name, "expected an object: column names and what they mean")
        return {}
    return values


def _refuse_strangers(root: Path, known: set[str], problems: Problems) -> None:
    folders = sorted(path.name for path in root.glob("sub-*") if path.is_dir())
    strangers = [name for name in folders if name not in known]
    if strangers:
        more = f" and {len(strangers) - _MOST_SHOWN} more" if len(strangers) > _MOST_SHOWN else ""
        names = ", ".join(strangers[:_MOST_SHOWN]) + more
        rule = f"every subject's folder needs a row, these have none: {names}"
        problems.add(_PEOPLE, rule, column=v.PARTICIPANT_ID)


def _only_session(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("ses-*") if path.is_dir())
    return names[0] if names else "ses-1"


def _values(table: ReleasedTable, sidecar: Mapping[str, Any], group: str) -> pd.DataFrame:
    """The columns of the store that a table has, and the group as it stands, by line."""
    named = {str(name).lower(): str(name) for name in reversed(list(table.frame))}
    values = pd.DataFrame(index=table.frame.index)
    for target in _SCALES:
        name = _named(named, target)
        if name:
            values[target] = table.number(name, *v.COLUMN_RANGES[target])
    for target in _TEXTS:
        name = _named(named, target)
        if name:
            values[target] = table.text(name, needed=False)
    if "age" in named:
        values[v.AGE_YEARS] = _ages(table, named["age"], sidecar)
    if "sex" in named:
        values[v.SEX] = sexes(table, named["sex"], sidecar)
    wanted = (group.lower(),) if group else _GROUPS
    column = next((named[name] for name in wanted if name in named), "")
    if column:
        values[GROUP] = table.text(column, needed=False)
        values = values.assign(file=table.file, column=column, line=table.frame.index)
    return values


def _named(named: Mapping[str, str], target: str) -> str:
    return next((named[n] for n in (target, *_ALIASES.get(target, ())) if n in named), "")


def _ages(table: ReleasedTable, column: str, sidecar: Mapping[str, Any]) -> pd.Series:
    """Ages in years; ``89+`` is 89."""
    described = sidecar.get(column, {})
    unit = str(described.get("Units", "") if isinstance(described, dict) else "") or "year"
    years = _YEARS.get(unit.strip().lower().removesuffix("s"))
    if years is None:
        known = ", ".join(_YEARS)
        rule = f"Units of this column are {unit!r} in the JSON file, expected one of {known}"
        table.problems.add(table.file, rule, column=column)
        return pd.Series(np.nan, index=table.frame.index)
    capped = table.frame[column].str.replace(r"^(\d+)\+$", r"\1", regex=True)
    plain = ReleasedTable(table.file, table.frame.assign(**{column: capped}), table.problems)
    low, high = v.COLUMN_RANGES[v.AGE_YEARS]
    return plain.number(column, low / years, high / years) * years


def _sessions(
    root: Path,
    path: Path,
    who: str,
    sidecar: Mapping[str, Any],
    group: str,
    problems: Problems,
) -> pd.DataFrame:
    """One person's sessions, with the time of each in months from an origin of its own."""
    name = path.relative_to(root).as_posix()
    table = ReleasedTable.read(path, problems, [v.SESSION_ID], name=name)
    sessions = table.text(v.SESSION_ID, _SESSION)
    table.refuse_repeats([v.SESSION_ID], sessions.to_frame(), "this session")
    values = _values(table, sidecar, group)
    values[v.PARTICIPANT_ID], values[v.SESSION_ID] = who, sessions
    dates = table.dates("acq_time", "ISO8601", "YYYY-MM-DDThh:mm:ss", needed=False, utc=True)
    ages = values.get(v.AGE_YEARS, pd.Series(np.nan, index=values.index))
    if len(values) > 1:
        known = dates if dates.notna().sum() > ages.notna().sum() else ages
        for line in known.index[known.isna()]:
            rule = (
                "several sessions need `acq_time` each, or `age` each, to be put in order; without "
                "this file the person has one visit"
            )
            if not any(problems.knows(name, c, int(line)) for c in ("acq_time", "age")):
                problems.add(name, rule, line=int(line))
    values[_TIME] = 0.0
    if dates.notna().all():
        values[_TIME] = months((dates - dates.min()).dt.total_seconds() / 86400)
    elif ages.notna().all():
        values[_TIME] = ((ages - ages.min()) * 12).round(2)
    return values.dropna(subset=v.SESSION_ID).sort_values(_TIME, kind="stable")


def _joined(people: pd.DataFrame, parts: list[pd.DataFrame], problems: Problems) -> pd.DataFrame:
    """All visits, the index visit of each person first, with what is said of the person."""
    if not parts:
        problems.add(_PEOPLE, "nobody is in this table")
    keys = [v.PARTICIPANT_ID, v.SESSION_ID]
    visits = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=keys)
    first = ~visits.duplicated(v.PARTICIPANT_ID)
    own = people.set_index(v.PARTICIPANT_ID).reindex(visits[v.PARTICIPANT_ID])
    own.index = visits.index
    time = visits.get(_TIME, pd.Series(np.nan, index=visits.index)).fillna(0.0)
    origin = ["file", "column", "line"] if GROUP in own else []
    if origin:
        stated = visits.get(GROUP, pd.Series(None, index=visits.index, dtype="object")).notna()
        for name in (GROUP, *origin):
            before = visits.get(name, pd.Series(None, index=visits.index, dtype="object"))
            visits[name] = before.astype("object").where(stated | ~first, own[name])
    for name in [str(c) for c in own if c not in (GROUP, *origin)]:
        before = visits.get(name, own[name].where(pd.Series(False, index=visits.index)))
        filled = own[name] if name in _CONSTANT else own[name].where(first)
        visits[name] = before.where(before.notna(), filled)
    if v.AGE_YEARS in visits:
        start = (
            visits[v.AGE_YEARS].where(first).groupby(visits[v.PARTICIPANT_ID]).transform("first")
        )
        visits[v.AGE_YEARS] = visits[v.AGE_YEARS].fillna(start + time / 12)
    site = visits.get(v.SITE_ID, pd.Series(None, index=visits.index, dtype="object"))
    return visits.drop(columns=_TIME, errors="ignore").assign(
        **{
            v.VISIT_MONTHS: time,
            v.IS_INDEX: first.to_numpy(dtype=bool),
            v.PART: v.EVALUATE,
            v.SITE_ID: site.where(site.notna(), v.UNKNOWN_SITE),
        }
    )


def _tasks(visits: pd.DataFrame) -> dict[str, str]:
    """The tasks whose columns and classes are there."""
    seen = set(visits[v.DIAGNOSIS].dropna())
    found = [t for t in ("dx3", *_PAIRS, "pd_hc") if set(TASKS[t].classes) <= seen]
    if "dx3" in found:
        found = [name for name in found if name not in _PAIRS]
    found += ["conversion"] if {v.MCI, v.AD} <= seen else []
    found += ["brain_age"] if v.AGE_YEARS in visits and {v.CN, v.HC} & seen else []
    rules = dict.fromkeys(found, "the group at the index visit, by common codes of the field")
    if {v.IMPAIRED, v.CDR_GLOBAL} & set(visits):
        rules["impaired"] = "`impaired` as stated, else CDR > 0 against CDR 0, at the index visit"
    return rules


def _facts(description: Mapping[str, Any]) -> dict[str, str]:
    """What ``dataset_description.json`` says for the datasheet."""
    texts = {name: str(description.get(name) or "") for name in ("Name", "DatasetDOI", "License")}
    facts = {
        "source": ", ".join(t for t in (texts["Name"], texts["DatasetDOI"]) if t),
        "licence": texts["License"],
        "terms": texts["License"],
        "citation": str(description.get("HowToAcknowledge") or ""),
    }
    return {name: text for name, text in facts.items() if text}


BIDS: Final = Adapter(
    name="bids",
    title="A BIDS folder",
    files=(
        ReleasedFile(_PEOPLE, "one row a person; participants.json says what its codes mean"),
        ReleasedFile(
            "sub-*_sessions.tsv", "in each subject's folder: one row a session", needed=False
        ),
        ReleasedFile(
            "dataset_description.json", "name and licence, for the datasheet", needed=False
        ),
    ),
    read=_read,
    source="a folder in BIDS, https://bids-specification.readthedocs.io",
    licence="that of the study; dataset_description.json should state it",
    terms="those of the study that the folder comes from.",
    citation=(
        "The study that the folder comes from, and Gorgolewski KJ, Auer T, Calhoun VD, et al. The "
        "brain imaging data structure, a format for organizing and describing outputs of "
        "neuroimaging experiments. Sci Data 2016;3:160044. doi:10.1038/sdata.2016.44"
    ),
    preparation=(
        "columns renamed; ages to years; time from the earliest session; groups by common codes of "
        "the field; the handedness and columns of the study's own are not read"
    ),
    options={_OPTION: ""},
    about_options={_OPTION: "column with the group, if not diagnosis, group or pathology"},
)
