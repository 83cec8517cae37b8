"""The form of a mapping: a short YAML file that says what a table's columns mean.

Every key is checked before a table is read. ``docs/data.md`` has the form by example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from benchmark import vocabulary as v
from benchmark.cohorts.held.arrays import GenotypeRule, SeriesRule
from benchmark.cohorts.held.reading import DAYS_A_MONTH
from benchmark.cohorts.held.regional import FORMATS
from benchmark.config import typed
from benchmark.errors import ConfigError, nearest
from benchmark.tasks import TASKS

__all__ = [
    "LEVELS",
    "UNITS",
    "ColumnRule",
    "EventRule",
    "MappingFile",
    "TableRule",
    "load_mapping",
]

# Unit of a target column -> units of the source with their factor.
UNITS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "months": {"days": 1 / DAYS_A_MONTH, "weeks": 7 / DAYS_A_MONTH, "months": 1.0, "years": 12},
        "years": {"days": 1 / 365.25, "months": 1 / 12, "years": 1.0},
        "mm3": {"mm3": 1.0, "cm3": 1e3, "ml": 1e3, "l": 1e6},
        "t": {"t": 1.0},
    }
)
# Texts, with the values that are possible; none: any text.
LEVELS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        v.PARTICIPANT_ID: (),
        v.SITE_ID: (),
        v.FAMILY_ID: (),
        v.SEX: ("F", "M"),
        v.DIAGNOSIS: v.DIAGNOSES,
    }
)
_KINDS: Final = ("regions", "biomarkers")


@dataclass
class ColumnRule:
    """How one column of the store is made.

    Attributes:
        column: The source's column.
        value: One value for everybody, in place of a column.
        codes: Source code -> value; any other code is a violation.
        unit: Unit of the source, where it is not the target's.
        date: The column holds dates of this form (``%d.%m.%Y``): the time from ``since``, or from
            the person's first visit.
        since: Another column of dates, such as the date of birth.
        since_date: Its form, where it differs.
        missing: Codes for missing values, besides empty cells and NA.
        needed: Whether a missing value is a violation.
    """

    column: str = ""
    value: str = ""
    codes: dict[str, str] = field(default_factory=dict)
    unit: str = ""
    date: str = ""
    since: str = ""
    since_date: str = ""
    missing: list[str] = field(default_factory=list)
    needed: bool = False


@dataclass
class EventRule:
    """Time to an event, one value a person, read from the row of the first visit.

    Attributes:
        months: Months from the first visit to the event, or to the last time without it.
        event: 1 where it happened, 0 where the person was last seen without it.
        becomes: The diagnosis that the event is.
        exact: Whether ``months`` is when it happened rather than the visit at which it was found:
            then everybody was free of it until then.
    """

    months: ColumnRule = field(default_factory=ColumnRule)
    event: ColumnRule = field(default_factory=ColumnRule)
    becomes: str = v.AD
    exact: bool = False


@dataclass
class TableRule:
    """A table of measurements.

    Attributes:
        file: Its name; the table of visits may be named again.
        kind: ``regions`` or ``biomarkers``.
        form: Of ``regions``: ants, freesurfer or named.
        participant_id: Its column of identifiers.
        visit: Its column of visit codes; without one its rows belong to the first visits.
        separator: Between its cells; by default a tab for ``.tsv``, else that of the mapping.
        columns: Of ``biomarkers``: name in the store -> column; all further columns by default.
        missing: Codes for missing values.
    """

    file: str = ""
    kind: str = "regions"
    form: str = "named"
    participant_id: str = ""
    visit: str = ""
    separator: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


@dataclass
class MappingFile:
    """A whole mapping.

    Attributes:
        title: One line for readers.
        source: Where the data come from.
        licence: Their terms in a few words.
        terms: The terms at length.
        citation: What to cite.
        file: The table of visits, one row each.
        separator: Between its cells, one character; by default a tab for ``.tsv``, else a
            comma. A backslash and a t are a tab as well.
        visit: Its column of visit codes, where other tables name visits.
        columns: The store's columns.
        time_to_event: Where progression is a time rather than later rows.
        tables: Measurements.
        fmri: ROI time series.
        snps: Genotypes.
        tasks: Tasks with their label rule and its source; by default all that have their columns.
    """

    title: str = ""
    source: str = ""
    licence: str = ""
    terms: str = ""
    citation: str = ""
    file: str = ""
    separator: str = ""
    visit: str = ""
    columns: dict[str, ColumnRule] = field(default_factory=dict)
    time_to_event: EventRule | None = None
    tables: list[TableRule] = field(default_factory=list)
    fmri: SeriesRule | None = None
    snps: GenotypeRule | None = None
    tasks: dict[str, str] = field(default_factory=dict)


def load_mapping(path: Path) -> MappingFile:
    """Reads and checks a mapping.

    Raises:
        ConfigError: It is missing, no YAML, or says something that cannot be; everything that is
            wrong with its columns is listed.
    """
    if not path.is_file():
        raise ConfigError(
            f"mapping {path}: no such file; expected a YAML file as in docs/data.md, or the "
            "name of a study (`neurodx cohort list`)"
        )
    try:
        # All scalars stay text: `no` is a code of a study as often as it is a truth value.
        values: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"mapping {path}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"mapping {path}: expected `key: value` lines as in docs/data.md")
    mapping: MappingFile = typed(MappingFile, values, f"mapping {path.name}")
    mapping.separator = _tab(mapping.separator)
    for table in mapping.tables:
        table.separator = _tab(table.separator)
    wrong = [*_wrong_facts(mapping), *_wrong_columns(mapping), *_wrong_tables(mapping)]
    if wrong:
        lines = "\n".join(f"  - {line}" for line in wrong)
        raise ConfigError(f"mapping {path.name}: {len(wrong)} mistake(s):\n{lines}")
    return mapping


def _tab(separator: str) -> str:
    r"""What YAML makes of ``'\t'`` in single quotes, or in none, is a tab as well."""
    return "\t" if separator == r"\t" else separator


def _wrong_facts(mapping: MappingFile) -> list[str]:
    facts = ("title", "source", "licence", "file")
    wrong = [f"`{name}` is missing" for name in facts if not getattr(mapping, name)]
    if v.PARTICIPANT_ID not in mapping.columns:
        wrong.append(f"`columns` names no {v.PARTICIPANT_ID}")
    wrong += _wrong_separator("", mapping.separator)
    if mapping.fmri and not mapping.fmri.folder:
        wrong.append("fmri: `folder` is missing")
    if mapping.snps and not mapping.snps.file:
        wrong.append("snps: `file` is missing")
    wrong += [
        f"tasks: no task {name!r}{_hint(name, TASKS)}"
        for name in mapping.tasks
        if name not in TASKS
    ]
    return wrong


def _wrong_separator(where: str, separator: str) -> list[str]:
    if len(separator) <= 1 and separator not in ('"', "\n", "\r"):
        return []
    return [rf"{where}separator {separator!r}, expected one character, or \t for a tab"]


def _wrong_columns(mapping: MappingFile) -> list[str]:
    wrong = []
    for target, rule in mapping.columns.items():
        if target not in v.COLUMN_RANGES and target not in LEVELS:
            known = [*LEVELS, *v.COLUMN_RANGES]
            wrong.append(f"columns: no column {target!r} in the store{_hint(target, known)}")
            continue
        wrong += [f"columns.{target}: {what}" for what in _wrong_rule(target, rule)]
    event = mapping.time_to_event
    if event:
        wrong += [f"time_to_event.months: {w}" for w in _wrong_rule(v.VISIT_MONTHS, event.months)]
        wrong += [f"time_to_event.event: {w}" for w in _wrong_rule(v.IMPAIRED, event.event)]
        if event.becomes not in v.DIAGNOSES:
            wrong.append(f"time_to_event.becomes: {event.becomes!r}, expected one of {_all()}")
        if v.DIAGNOSIS not in mapping.columns:
            wrong.append(
                "time_to_event: needs `columns.diagnosis` for the state at the first visit"
            )
    return wrong


def _wrong_rule(target: str, rule: ColumnRule) -> list[str]:
    wrong = []
    if bool(rule.column) == bool(rule.value):
        wrong.append("expected either `column` or `value`")
    units = UNITS.get(target.rpartition("_")[2], {})
    if rule.unit and rule.unit not in units:
        wrong.append(f"unit {rule.unit!r}, expected one of {', '.join(units) or 'none'}")
    if (rule.date or rule.since) and target not in (v.VISIT_MONTHS, v.AGE_YEARS):
        wrong.append("`date` and `since` are for visit_months and age_years")
    if rule.since and not rule.date:
        wrong.append("`since` needs `date`, the form of the dates, e.g. '%Y-%m-%d'")
    if target == v.AGE_YEARS and rule.date and not rule.since:
        wrong.append("`date` needs `since`, the column with the date of birth")
    given = [*rule.codes.values(), *([rule.value] if rule.value else [])]
    wrong += [
        f"{value!r}, expected {_expected(target)}" for value in given if not _fits(target, value)
    ]
    return wrong


def _fits(target: str, value: str) -> bool:
    if target in LEVELS:
        return not LEVELS[target] or value in LEVELS[target]
    try:
        number = float(value)
    except ValueError:
        return False
    low, high = v.COLUMN_RANGES[target]
    return low <= number <= high


def _expected(target: str) -> str:
    if target in LEVELS:
        return f"one of {', '.join(LEVELS[target])}"
    low, high = v.COLUMN_RANGES[target]
    return f"a number from {low:g} to {high:g}"


def _wrong_tables(mapping: MappingFile) -> list[str]:
    wrong = []
    for place, table in enumerate(mapping.tables):
        where = f"tables[{place}]"
        wrong += [
            f"{where}: `{n}` is missing"
            for n in ("file", "participant_id")
            if not getattr(table, n)
        ]
        if table.kind not in _KINDS:
            wrong.append(f"{where}.kind: {table.kind!r}, expected one of {', '.join(_KINDS)}")
        if table.form not in FORMATS:
            wrong.append(f"{where}.form: {table.form!r}, expected one of {', '.join(FORMATS)}")
        wrong += _wrong_separator(f"{where}.", table.separator)
        if table.visit and not mapping.visit:
            wrong.append(f"{where}.visit: needs `visit`, the same codes in {mapping.file}")
    return wrong


def _hint(name: str, known: Any) -> str:
    close = nearest(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _all() -> str:
    return ", ".join(v.DIAGNOSES)
