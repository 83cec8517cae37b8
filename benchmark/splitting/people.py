"""Who is split, and by what: one row per person, with the strata that the folds balance."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.store.hashing import canonical_sha256
from benchmark.tasks import get_task, labels_for

__all__ = ["CLASS", "OUTCOME", "UNIT", "Person", "people_of", "people_sha256", "persons_of"]

UNIT: Final = "unit"  # what is dealt out: a family, or a person without one
CLASS: Final = "class"
OUTCOME: Final = "outcome"  # pMCI, sMCI or empty
AGE_BAND: Final = "age_band"
_BAND_YEARS = 10
_AGE_DECIMALS = 1
_FINE = [v.SEX, AGE_BAND, v.SITE_ID]


class Person(NamedTuple):
    """One person as the rules see them."""

    participant_id: str
    unit: str
    stratum: tuple[str, str]  # class and outcome
    levels: tuple[str, ...]  # what is balanced inside a stratum, e.g. ``sex=F``
    site_id: str


def people_of(visits: pd.DataFrame) -> pd.DataFrame:
    """Reads the people to split from a visit table.

    People of part ``pretrain`` are left out. Only identity and strata are read, so further columns
    and the order of rows change nothing.

    Args:
        visits: All visits of a cohort, one row each.

    Returns:
        One row per person, sorted by ``participant_id``, all columns str: ``participant_id unit
        class outcome sex age_band site_id``. An unknown value is the empty string. ``class`` is the
        diagnosis, or impaired / control where the cohort states no diagnosis.
    """
    index = visits.loc[visits[v.IS_INDEX]].reset_index(drop=True)
    ids = index[v.PARTICIPANT_ID].astype(str)
    people = pd.DataFrame(
        {
            v.PARTICIPANT_ID: ids,
            UNIT: _units(index, ids),
            CLASS: _classes(index, visits),
            OUTCOME: _outcomes(index, visits),
            v.SEX: _text(index, v.SEX),
            AGE_BAND: _age_bands(index),
            v.SITE_ID: _text(index, v.SITE_ID),
        }
    )
    kept = people.loc[index[v.PART] == v.EVALUATE]
    return kept.sort_values(v.PARTICIPANT_ID).reset_index(drop=True)


def persons_of(people: pd.DataFrame) -> list[Person]:
    """Returns the rows of :func:`people_of`, in its order, as the rules read them."""
    columns = {name: people[name].tolist() for name in people}
    strata = zip(columns[CLASS], columns[OUTCOME], strict=True)
    levels = zip(*([f"{c}={x}" for x in columns[c]] for c in _FINE), strict=True)
    return [
        Person(*row)
        for row in zip(
            columns[v.PARTICIPANT_ID],
            columns[UNIT],
            strata,
            levels,
            columns[v.SITE_ID],
            strict=True,
        )
    ]


def people_sha256(people: pd.DataFrame) -> str:
    """Returns the hash of canonical ids and strata, equal on every machine."""
    return canonical_sha256({"columns": list(people.columns), "rows": people.to_numpy().tolist()})


def _text(index: pd.DataFrame, column: str) -> pd.Series:
    if column not in index:
        return pd.Series("", index=index.index, dtype="str")
    return index[column].astype("object").where(index[column].notna(), "").astype(str)


def _units(index: pd.DataFrame, ids: pd.Series) -> pd.Series:
    family = _text(index, v.FAMILY_ID)
    return ("family:" + family).where(family != "", "person:" + ids)


def _has_diagnosis(index: pd.DataFrame) -> bool:
    return v.DIAGNOSIS in index and bool(index[v.DIAGNOSIS].notna().any())


def _classes(index: pd.DataFrame, visits: pd.DataFrame) -> pd.Series:
    if _has_diagnosis(index):
        return _text(index, v.DIAGNOSIS)
    if v.IMPAIRED in index or v.CDR_GLOBAL in index:
        return _class_names("impaired", visits)
    return pd.Series("", index=index.index, dtype="str")


def _outcomes(index: pd.DataFrame, visits: pd.DataFrame) -> pd.Series:
    followed = bool((visits[v.VISIT_MONTHS] > 0).any())
    if followed and _has_diagnosis(index):
        return _class_names("conversion", visits)
    return pd.Series("", index=index.index, dtype="str")


def _class_names(task_name: str, visits: pd.DataFrame) -> pd.Series:
    task = get_task(task_name)
    labels = labels_for(task, visits)
    codes = np.where(labels.mask, labels.values, len(task.classes)).astype(int)
    return pd.Series(np.array([*task.classes, ""], dtype=object)[codes], dtype="str")


def _age_bands(index: pd.DataFrame) -> pd.Series:
    """Decades, after rounding, so that float noise between machines cannot move a person."""
    if v.AGE_YEARS not in index:
        return pd.Series("", index=index.index, dtype="str")
    age = index[v.AGE_YEARS].to_numpy(dtype=np.float64, na_value=np.nan).round(_AGE_DECIMALS)
    bands = ["" if np.isnan(a) else f"{int(a // _BAND_YEARS) * _BAND_YEARS:03d}" for a in age]
    return pd.Series(bands, index=index.index, dtype="str")
