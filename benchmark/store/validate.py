"""Rules of the participant table; every violation is listed at once, with row and column."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import CohortError, nearest

__all__ = ["validate_participants"]

_MOST_SHOWN = 20
_LEVELS = {
    v.SEX: {"F", "M"},
    v.PART: {v.PRETRAIN, v.EVALUATE},
    v.DIAGNOSIS: set(v.DIAGNOSES),
}


def _missing_columns(frame: pd.DataFrame) -> list[str]:
    problems = []
    for column in v.REQUIRED_COLUMNS:
        if column not in frame:
            close = nearest(column, map(str, frame.columns))
            hint = f" (is it {close[0]!r}?)" if close else ""
            problems.append(f"column {column!r} is missing{hint}")
    return problems


def _structure(frame: pd.DataFrame) -> list[str]:
    problems = []
    ids = frame[v.PARTICIPANT_ID]
    empty = (ids.isna() | (ids.astype(str) == "")).to_numpy()
    problems += [f"row {row}: {v.PARTICIPANT_ID} is empty" for row in np.flatnonzero(empty)]
    sessions = frame[v.SESSION_ID]
    twice = frame.duplicated([v.PARTICIPANT_ID, v.SESSION_ID], keep="first").to_numpy()
    problems += [
        f"row {row}: {ids.iloc[row]} {sessions.iloc[row]} appears twice"
        for row in np.flatnonzero(twice)
    ]
    index_visits = frame.groupby(v.PARTICIPANT_ID, sort=True)[v.IS_INDEX].sum()
    for who, count in index_visits[index_visits != 1].items():
        problems.append(f"participant {who}: has {int(count)} index visits, expected 1")
    parts = frame.groupby(v.PARTICIPANT_ID, sort=True)[v.PART].nunique()
    problems += [f"participant {who}: is in two parts" for who in parts[parts > 1].index]
    return problems


def _values(frame: pd.DataFrame) -> list[str]:
    problems = []
    for column, (low, high) in v.COLUMN_RANGES.items():
        if column not in frame:
            continue
        numbers = pd.to_numeric(frame[column], errors="coerce")
        bad = (frame[column].notna() & ~numbers.between(low, high)).to_numpy()
        for row in np.flatnonzero(bad):
            got = frame[column].iloc[row]
            problems.append(f"row {row}: {column} is {got!r}, expected {low:g} to {high:g}")
    for column, levels in _LEVELS.items():
        if column not in frame:
            continue
        bad = (frame[column].notna() & ~frame[column].isin(levels)).to_numpy()
        for row in np.flatnonzero(bad):
            got = frame[column].iloc[row]
            expected = ", ".join(sorted(levels))
            problems.append(f"row {row}: {column} is {got!r}, expected one of {expected}")
    return problems


def validate_participants(frame: pd.DataFrame, cohort: str) -> None:
    """Checks a visit table against the rules of the store.

    Args:
        frame: One row per visit.
        cohort: Name used in the message.

    Raises:
        CohortError: At least one rule is broken; up to 20 violations are listed with the count.
    """
    problems = _missing_columns(frame)
    if not problems:
        problems = _structure(frame) + _values(frame)
    if not problems:
        return
    shown = "\n".join(f"  - {problem}" for problem in problems[:_MOST_SHOWN])
    more = len(problems) - _MOST_SHOWN
    tail = f"\n  ... and {more} more" if more > 0 else ""
    raise CohortError(
        f"cohort {cohort!r}: participants table breaks {len(problems)} rule(s):\n{shown}{tail}\n"
        "Correct the source table and run `neurodx prepare` again."
    )
