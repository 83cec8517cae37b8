"""Turns a source's column into one of the store, as its rule says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.mapping_schema import LEVELS, UNITS, ColumnRule
from benchmark.cohorts.held.released import ReleasedTable

__all__ = ["column_values", "refuse_changes"]

_DAYS: Final = {"months": UNITS["months"]["days"], "years": UNITS["years"]["days"]}


def column_values(
    table: ReleasedTable, target: str, rule: ColumnRule, people: pd.Series
) -> pd.Series:
    """The values of one column of the store, indexed like the table.

    Args:
        table: The source.
        target: Name in the store; its suffix is the unit.
        rule: How it is made.
        people: Whose row each is, for times from the first visit.
    """
    if rule.value:
        value = rule.value if target in LEVELS else float(rule.value)
        return pd.Series(value, index=table.frame.index)
    if rule.date:
        return _time(table, target, rule, people)
    if target in LEVELS:
        return _text(table, target, rule)
    low, high = v.COLUMN_RANGES[target]
    if rule.codes:
        codes = {code: float(value) for code, value in rule.codes.items()}
        values = table.code(rule.column, codes, needed=rule.needed, missing=rule.missing)
        return values.astype(np.float64)
    factor = UNITS.get(target.rpartition("_")[2], {}).get(rule.unit, 1.0)
    values = table.number(
        rule.column, low / factor, high / factor, needed=rule.needed, missing=rule.missing
    )
    return values * factor


def refuse_changes(
    table: ReleasedTable, columns: Mapping[str, ColumnRule], people: pd.Series
) -> None:
    """Records each row of a person whose sex or date of birth is not the same in all of them.

    Args:
        table: The source.
        columns: How the columns of the store are made.
        people: Whose row each is.
    """
    values: dict[str, pd.Series] = {}
    sex, age = columns.get(v.SEX), columns.get(v.AGE_YEARS)
    if sex and sex.column:
        values[sex.column] = column_values(table, v.SEX, sex, people)
    if age and age.since:
        values[age.since] = _dates(table, age.since, age.since_date or age.date, age)
    for column, found in values.items():
        several = (found.groupby(people).transform("nunique") > 1) & found.notna()
        for line in found.index[several]:
            what = f"of {people[line]}, expected the same at all visits"
            cell = str(table.frame.loc[line, column])
            table.problems.add(table.file, what, column=column, line=int(line), value=cell)


def _text(table: ReleasedTable, target: str, rule: ColumnRule) -> pd.Series:
    codes = rule.codes or {level: level for level in LEVELS[target]}
    if codes:
        return table.code(rule.column, codes, needed=rule.needed, missing=rule.missing)
    texts = table.text(rule.column, needed=rule.needed)
    return texts.where(~texts.isin(rule.missing), None)


def _time(table: ReleasedTable, target: str, rule: ColumnRule, people: pd.Series) -> pd.Series:
    """Months or years from another date, or from the person's first."""
    dates = _dates(table, rule.column, rule.date, rule)
    if rule.since:
        start = _dates(table, rule.since, rule.since_date or rule.date, rule)
    else:
        start = dates.groupby(people).transform("min")
    days = (dates - start).dt.total_seconds() / 86400
    unit = target.rpartition("_")[2]
    times = days * _DAYS[unit]
    low, high = v.COLUMN_RANGES[target]
    outside = times.notna() & ~times.between(low, high)
    for line in times.index[outside]:
        since = rule.since or "the first date"
        what = f"the time from {since} is {times[line]:.1f} {unit}, expected {low:g} to {high:g}"
        table.problems.add(table.file, what, column=rule.column, line=int(line))
    return times.where(~outside)


def _dates(table: ReleasedTable, column: str, form: str, rule: ColumnRule) -> pd.Series:
    return table.dates(column, form, needed=rule.needed, missing=rule.missing)
