"""What is known of the people of a cohort beside their labels, and conditions on it.

Two columns are made from those of the store: ``age_band``, the decade of ``age_years`` ("60-69"),
and ``apoe_e4_carrier``, 1 for one or two APOE e4 alleles and 0 for none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.errors import UndefinedVariableError

from benchmark import vocabulary as v
from benchmark.errors import ResultError, UnknownNameError

__all__ = [
    "AGE_BAND",
    "APOE_E4_CARRIER",
    "NO_BACKGROUND",
    "SUBGROUPS",
    "Background",
    "UnknownColumnError",
    "known_columns",
    "people_table",
    "read_people",
    "select_people",
]

AGE_BAND: Final = "age_band"
APOE_E4_CARRIER: Final = "apoe_e4_carrier"
SUBGROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        v.SEX: "sex",
        AGE_BAND: "age band",
        v.SITE_ID: "site",
        v.FIELD_STRENGTH_T: "field strength (T)",
        APOE_E4_CARRIER: "APOE e4 carrier",
    }
)
_BAND_YEARS = 10
_AGE_DECIMALS = 1  # float noise between machines must not move a person


class UnknownColumnError(UnknownNameError):
    """A condition names a column that the people do not have."""

    def __init__(self, column: str, known: Iterable[str]) -> None:
        super().__init__("column", column, known)
        self.column = column


@dataclass(frozen=True, slots=True)
class Background:
    """What the robustness tables need beside the runs.

    Attributes:
        people: People by cohort, as :func:`people_table` returns.
        omitted: By cohort, the points that its ``few-label`` split left out, as its manifest lists
            them: ``fold percent task class people``.
    """

    people: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    omitted: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Path, splits: Path, cohorts: Iterable[str]) -> Background:
        """Reads the people and the few-label manifests of some cohorts, where they are there.

        Raises:
            ResultError: A file is damaged.
        """
        names = sorted(set(cohorts))
        manifests = {name: splits / name / "few-label.json" for name in names}
        omitted = {name: _omitted(path) for name, path in manifests.items() if path.is_file()}
        return cls(read_people(data, names), omitted)


NO_BACKGROUND: Final = Background()


def people_table(visits: pd.DataFrame) -> pd.DataFrame:
    """One row per person, from the index visits.

    Args:
        visits: ``participants.parquet`` of a cohort, one row per visit.

    Returns:
        The columns of the index visit and the derived ones, indexed by ``participant_id``. A
        derived column exists where the column that it is made from does.

    Raises:
        ResultError: A person has two index visits.
    """
    index = visits.loc[visits[v.IS_INDEX].astype(bool)]
    twice = index.loc[index[v.PARTICIPANT_ID].duplicated(), v.PARTICIPANT_ID]
    if len(twice):
        raise ResultError(
            f"expected one index visit per person, got several for {len(twice)} people (first: "
            f"{twice.iloc[0]}); make the cohort anew with `neurodx prepare`"
        )
    people = index.assign(**{v.PARTICIPANT_ID: index[v.PARTICIPANT_ID].astype(str)})
    if v.AGE_YEARS in people:
        people = people.assign(**{AGE_BAND: _bands(people[v.AGE_YEARS])})
    if v.APOE_E4 in people:
        alleles = people[v.APOE_E4].astype("float64")
        people = people.assign(**{APOE_E4_CARRIER: (alleles > 0).astype("float64")})
        people.loc[alleles.isna(), APOE_E4_CARRIER] = np.nan
    return people.set_index(v.PARTICIPANT_ID).sort_index()


def _bands(ages: pd.Series) -> pd.Series:
    years = ages.astype("float64").round(_AGE_DECIMALS)
    low = (years // _BAND_YEARS * _BAND_YEARS).astype("Int64")
    text = low.astype("str") + "-" + (low + _BAND_YEARS - 1).astype("str")
    return text.astype("object").where(years.notna(), None)


def read_people(data: Path, cohorts: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Reads the people of some cohorts; one that is not in the workspace is left out.

    Args:
        data: ``data/`` of a workspace.
        cohorts: Names.

    Raises:
        ResultError: A table is damaged, or lacks the columns that every cohort has.
    """
    paths = {name: data / name / "participants.parquet" for name in sorted(set(cohorts))}
    return {name: _read_table(path) for name, path in paths.items() if path.is_file()}


def _read_table(path: Path) -> pd.DataFrame:
    try:
        visits = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: cannot be read ({error}); {_remake(path)}") from None
    missing = [name for name in (v.PARTICIPANT_ID, v.IS_INDEX) if name not in visits]
    if missing:
        raise ResultError(f"{path}: columns {missing} are missing; {_remake(path)}")
    return people_table(visits)


def _remake(path: Path) -> str:
    return f"make it anew with `neurodx prepare {path.parent.name} --force`"


def _omitted(path: Path) -> list[Mapping[str, Any]]:
    try:
        return list(json.loads(path.read_text()).get("omitted", []))
    except (json.JSONDecodeError, AttributeError) as error:
        raise ResultError(
            f"{path}: not a manifest ({error}); restore it with `git checkout -- {path}`"
        ) from None


def known_columns(people: Mapping[str, pd.DataFrame]) -> list[str]:
    """All columns that a condition may name, over several cohorts."""
    return sorted({str(column) for table in people.values() for column in table.columns})


def select_people(table: pd.DataFrame, where: str) -> pd.Index:
    """Ids of the people for whom a condition holds, ascending.

    Args:
        table: As :func:`people_table` returns.
        where: A pandas query, such as ``sex == "F" and age_years < 70``. A comparison with a
            missing value is false, except ``!=``, which is true.

    Raises:
        UnknownColumnError: A name is no column; the nearest are suggested.
        ResultError: The condition cannot be read, or is not true or false for each person.
    """
    try:
        answer = table.eval(where, engine="python", local_dict={}, global_dict={})
    except UndefinedVariableError as error:
        name = str(error).partition("'")[2].partition("'")[0]
        raise UnknownColumnError(name, map(str, table.columns)) from None
    except (SyntaxError, ValueError, TypeError, AttributeError, KeyError, NotImplementedError) as e:
        raise ResultError(
            f"the condition {where!r} cannot be read ({e}); expected comparisons of columns such "
            "as 'sex == \"F\" and age_years < 70' (text in double quotes)"
        ) from None
    if not isinstance(answer, pd.Series) or not pd.api.types.is_bool_dtype(answer.dtype):
        kind = answer.dtype if isinstance(answer, pd.Series) else type(answer).__name__
        raise ResultError(
            f"the condition {where!r} gives {kind}, expected true or false for each person; "
            "write a comparison such as 'age_years < 70'"
        )
    return table.index[answer.fillna(value=False).to_numpy(dtype=bool)]
