"""Reads a cohort that nobody foresaw, as its mapping says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.mapping_columns import column_values, refuse_changes
from benchmark.cohorts.held.mapping_schema import (
    EventRule,
    MappingFile,
    TableRule,
    load_mapping,
)
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.reading import Adapter, Reading, ReleasedFile
from benchmark.cohorts.held.regional import read_regions, snake_case
from benchmark.cohorts.held.released import ReleasedTable, find_file
from benchmark.tasks import TASKS

__all__ = ["mapping_adapter"]

_ANY_NUMBER: Final = (-1e12, 1e12)
_VISIT: Final = "visit_code"
_BEFORE_MONTHS: Final = 0.01  # a state "until then" is written down just before
_NEEDS: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    "impaired": (frozenset({v.IMPAIRED}), frozenset({v.CDR_GLOBAL})),
    "brain_age": (frozenset({v.DIAGNOSIS, v.AGE_YEARS}),),
    **dict.fromkeys(
        ("dx3", "ad_cn", "mci_cn", "ad_mci", "conversion", "pd_hc"), (frozenset({v.DIAGNOSIS}),)
    ),
}
_PAIRS: Final = ("ad_cn", "mci_cn", "ad_mci")


def mapping_adapter(path: Path) -> Adapter:
    """The adapter that a mapping describes.

    Args:
        path: The YAML file.

    Raises:
        ConfigError: The mapping is missing or wrong.
    """
    mapping = load_mapping(path)
    others = dict.fromkeys(t.file for t in mapping.tables if t.file != mapping.file)
    return Adapter(
        name=path.stem,
        title=mapping.title,
        files=(
            ReleasedFile(mapping.file, "one row a visit"),
            *(ReleasedFile(name, "measurements") for name in others),
        ),
        read=partial(_read, path, mapping),
        source=mapping.source,
        licence=mapping.licence,
        terms=mapping.terms or mapping.licence,
        citation=mapping.citation,
        preparation=f"as the mapping {path.name} says: columns, units and codes translated",
        fmri=mapping.fmri,
        snps=mapping.snps,
    )


def _read(
    path: Path, mapping: MappingFile, root: Path, _options: Mapping[str, str], problems: Problems
) -> Reading:
    file = find_file(root, mapping.file)
    table = ReleasedTable.read(
        file,
        problems,
        _columns_named(mapping),
        name=mapping.file,
        separator=mapping.separator or None,
    )
    visits = _visits(table, mapping)
    files = [path.resolve(), *([file] if file else [])]
    tables: dict[str, pd.DataFrame] = {}
    left_out: dict[str, int] = {}
    for rule in mapping.tables:
        place = find_file(root, rule.file)
        files += [place] if place else []
        needed = [c for c in (rule.participant_id, rule.visit, *rule.columns.values()) if c]
        measured = ReleasedTable.read(
            place, problems, needed, name=rule.file, separator=_separator(mapping, rule)
        )
        frame, unknown = _measurements(measured, rule, visits)
        if unknown:
            left_out[f"{rule.file}: rows of no known visit"] = unknown
        before = tables.get(rule.kind)
        keys = [v.PARTICIPANT_ID, v.SESSION_ID]
        tables[rule.kind] = frame if before is None else before.merge(frame, on=keys, how="outer")
    kept = visits.drop(columns=[_VISIT], errors="ignore").reset_index(drop=True)
    tasks = mapping.tasks or _tasks(kept)
    return Reading(
        visits=kept,
        tables=tables,
        files=tuple(dict.fromkeys(files)),
        left_out=left_out,
        tasks=tasks,
    )


def _separator(mapping: MappingFile, rule: TableRule) -> str | None:
    """Its own, a tab for another ``.tsv``, else that of the table of visits."""
    tabs = rule.file.endswith(".tsv") and rule.file != mapping.file
    return rule.separator or ("\t" if tabs else mapping.separator) or None


def _columns_named(mapping: MappingFile) -> list[str]:
    """All columns of the table of visits that the mapping reads."""
    event = mapping.time_to_event
    rules = [*mapping.columns.values(), *((event.months, event.event) if event else ())]
    names = [name for rule in rules for name in (rule.column, rule.since)]
    return list(dict.fromkeys(name for name in (*names, mapping.visit) if name))


def _visits(table: ReleasedTable, mapping: MappingFile) -> pd.DataFrame:
    visits = pd.DataFrame({v.PARTICIPANT_ID: _labels(table, mapping)})
    for target, rule in mapping.columns.items():
        if target != v.PARTICIPANT_ID:
            visits[target] = column_values(table, target, rule, visits[v.PARTICIPANT_ID])
    refuse_changes(table, mapping.columns, visits[v.PARTICIPANT_ID])
    if mapping.visit:
        visits[_VISIT] = table.text(mapping.visit)
    visits = visits.loc[visits[v.PARTICIPANT_ID].notna()]
    visits = _in_order(table, mapping, visits)
    if mapping.time_to_event:
        visits = _with_events(table, mapping.time_to_event, visits)
    plain = {v.SITE_ID: v.UNKNOWN_SITE, v.PART: v.EVALUATE}
    return visits.assign(**{name: value for name, value in plain.items() if name not in visits})


def _labels(table: ReleasedTable, mapping: MappingFile) -> pd.Series:
    """``sub-`` and the letters and digits of the identifier; too like ones are refused."""
    column = mapping.columns[v.PARTICIPANT_ID].column
    ids = table.text(column)
    plain = _plain(ids)
    alike = plain.str.lower().str.replace(r"(?<!\d)0+(?=\d)", "", regex=True)
    spelt = pd.DataFrame({"alike": alike, "ids": ids}).dropna().drop_duplicates()
    for _, rows in spelt.groupby("alike"):
        same = ", ".join(map(repr, rows["ids"]))
        rule = (
            f"{same} differ by signs, blanks, case or leading zeros alone: write one person in "
            "one way, two people with another difference"
        )
        for line in rows.index if len(rows) > 1 else ():
            table.problems.add(table.file, rule, column=column, line=int(line))
    return plain


def _plain(ids: pd.Series) -> pd.Series:
    """BIDS labels: ``sub-`` and letters and digits; an identifier that is one stays as it is."""
    labels = ids.astype("str").str.removeprefix("sub-")
    return "sub-" + labels.str.replace(r"[^A-Za-z0-9]", "", regex=True)


def _in_order(table: ReleasedTable, mapping: MappingFile, visits: pd.DataFrame) -> pd.DataFrame:
    """Visits by person and time; the first is the index visit and lies at month 0."""
    if v.VISIT_MONTHS in mapping.columns:
        column = mapping.columns[v.VISIT_MONTHS].column
        for line in visits.index[visits[v.VISIT_MONTHS].isna()]:
            if not table.problems.knows(table.file, column, int(line)):
                what = "a visit needs its time"
                table.problems.add(table.file, what, column=column, line=int(line))
        visits = visits.loc[visits[v.VISIT_MONTHS].notna()]
        visits = visits.sort_values([v.PARTICIPANT_ID, v.VISIT_MONTHS], kind="stable")
        first = visits.groupby(v.PARTICIPANT_ID)[v.VISIT_MONTHS].transform("min")
        visits = visits.assign(**{v.VISIT_MONTHS: (visits[v.VISIT_MONTHS] - first).round(2)})
        twice, what = [v.PARTICIPANT_ID, v.VISIT_MONTHS], "this visit appears twice"
    else:
        visits = visits.assign(**{v.VISIT_MONTHS: 0.0})
        twice, what = [v.PARTICIPANT_ID], "several rows of a person need `columns.visit_months`"
    for line in visits.index[visits.duplicated(twice)]:
        column = mapping.columns[v.PARTICIPANT_ID].column
        table.problems.add(table.file, what, column=column, line=int(line))
    number = visits.groupby(v.PARTICIPANT_ID).cumcount()
    visits = visits.copy()
    visits[v.SESSION_ID] = "ses-" + (number + 1).astype(str)
    visits[v.IS_INDEX] = number == 0
    return visits


def _with_events(table: ReleasedTable, rule: EventRule, visits: pd.DataFrame) -> pd.DataFrame:
    """Adds, for each person with a time, the state at that time as a later visit without inputs."""
    people = visits[v.PARTICIPANT_ID]
    months = column_values(table, v.VISIT_MONTHS, rule.months, people).reindex(visits.index)
    event = column_values(table, v.IMPAIRED, rule.event, people).reindex(visits.index)
    for line in visits.index[visits[v.IS_INDEX] & (months < 0).to_numpy()]:
        column, what = rule.months.column, "expected 0 months or more to the event"
        cell = rule.months.value or str(table.frame.loc[line, column])
        table.problems.add(table.file, what, column=column, line=int(line), value=cell)
    index = visits.loc[visits[v.IS_INDEX] & (months > 0).to_numpy() & event.notna().to_numpy()]
    happened = event.loc[index.index].to_numpy() == 1
    own = [v.PARTICIPANT_ID, v.DIAGNOSIS, *(c for c in (v.SITE_ID, v.FAMILY_ID) if c in visits)]
    later = index[own].copy()
    later[v.VISIT_MONTHS] = months.loc[index.index].round(2)
    later[v.IS_INDEX] = False
    free = later.loc[happened].copy()
    later[v.SESSION_ID], free[v.SESSION_ID] = "ses-event", "ses-free"
    later[v.DIAGNOSIS] = np.where(happened, rule.becomes, later[v.DIAGNOSIS])
    free[v.VISIT_MONTHS] = free[v.VISIT_MONTHS] - _BEFORE_MONTHS
    parts: list[pd.DataFrame] = [visits, later, *([free] if rule.exact else [])]
    return pd.concat(parts, ignore_index=True)


def _measurements(
    table: ReleasedTable, rule: TableRule, visits: pd.DataFrame
) -> tuple[pd.DataFrame, int]:
    """Measurements by visit, and how many rows belong to no known visit."""
    ids = table.text(rule.participant_id)
    keys = pd.DataFrame({v.PARTICIPANT_ID: _plain(ids)})
    if rule.visit:
        keys[_VISIT] = table.text(rule.visit)
        wanted = visits[[v.PARTICIPANT_ID, _VISIT, v.SESSION_ID]].dropna()
    else:
        wanted = visits.loc[visits[v.IS_INDEX], [v.PARTICIPANT_ID, v.SESSION_ID]]
    table.refuse_repeats([rule.participant_id], keys, "this person's visit")
    on = [c for c in keys if c in wanted]
    found = keys.merge(wanted.drop_duplicates(on), on=on, how="left")
    found.index = keys.index
    sessions = found[[v.PARTICIPANT_ID, v.SESSION_ID]]
    if rule.kind == "regions":
        shown = table.frame.drop(columns=[rule.participant_id, rule.visit], errors="ignore")
        frame = read_regions(ReleasedTable(table.file, shown, table.problems), rule.form, sessions)
    else:
        frame = pd.concat([sessions, _analytes(table, rule)], axis=1).reset_index(drop=True)
    known = frame[v.SESSION_ID].notna()
    return frame.loc[known].reset_index(drop=True), int((~known).sum())


def _analytes(table: ReleasedTable, rule: TableRule) -> pd.DataFrame:
    keys = {rule.participant_id, rule.visit}
    all_others = {snake_case(c): c for c in map(str, table.frame.columns) if c not in keys}
    columns = rule.columns or all_others
    low, high = _ANY_NUMBER
    return pd.DataFrame(
        {
            name: table.number(column, low, high, missing=rule.missing)
            for name, column in columns.items()
        }
    )


def _tasks(visits: pd.DataFrame) -> dict[str, str]:
    """All tasks whose columns are there; pairs of diagnoses only where there are no three."""
    have = {c for c in visits if visits[c].notna().any()}
    seen = set(visits[v.DIAGNOSIS].dropna()) if v.DIAGNOSIS in have else set()
    states = {name: set(TASKS[name].classes) for name in (*_PAIRS, "dx3", "pd_hc")}
    states["conversion"] = {v.MCI}
    found = [
        name
        for name, ways in _NEEDS.items()
        if any(way <= have for way in ways) and states.get(name, set()) <= seen
    ]
    if "dx3" in found:
        found = [name for name in found if name not in _PAIRS]
    return dict.fromkeys(found, "as the mapping translates the table's own codes")
