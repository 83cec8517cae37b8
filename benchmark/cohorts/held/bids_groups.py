"""What a BIDS folder calls its groups and sexes, in the store's vocabulary.

A group is known by a code of the field or by its words, capitals, signs and plural apart. The JSON
file's ``Levels`` come in: they name a code of the study's own (``1``: "Alzheimer's disease"), and a
known code that they describe as something else is refused (``AD``: "autistic disorder"). Nothing is
guessed: whatever is unknown is refused with all values that were found.

A person without an illness is CN where the folder has MCI or AD, HC where it has PD alone or no
illness at all; where it has both, ``CN`` and its words are CN and everything else is HC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.held.problems import Problems
from benchmark.cohorts.held.released import ReleasedTable

__all__ = ["GROUP", "diagnoses", "sexes"]

GROUP: Final = "group as it stands"
_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        v.CN: ("cn", "nc", "cu", "cognitively normal", "cognitively unimpaired", "normal control"),
        v.HC: ("hc", "control", "healthy control", "healthy", "healthy volunteer", "ctrl", "con"),
        v.MCI: ("mci", "emci", "lmci", "mild cognitive impairment"),
        v.AD: ("ad", "alzheimer disease", "alzheimer", "alzheimer dementia"),
        v.PD: ("pd", "parkinson disease", "parkinson"),
    }
)
_KNOWN: Final = {word: group for group, words in _WORDS.items() for word in words}
# What a description of a known code must hold, or the code means something else here.
_HEALTHY: Final = r"control|healthy|normal|unimpaired|volunteer"
_MUST_SAY: Final = {
    v.CN: _HEALTHY,
    v.HC: _HEALTHY,
    v.MCI: r"mild cognitive|\bmci\b",
    v.AD: r"alzheimer",
    v.PD: r"parkinson",
}
_SEX: Final = {"f": "F", "female": "F", "m": "M", "male": "M", "o": None, "other": None}


def _levels(sidecar: Mapping[str, Any], column: str) -> dict[str, str]:
    """What a column's values mean, by the JSON file: value -> description; empty where unsaid."""
    described = sidecar.get(column)
    levels = described.get("Levels") if isinstance(described, dict) else None
    if not isinstance(levels, dict):
        return {}
    return {
        str(value): str(what.get("Description", "") if isinstance(what, dict) else what)
        for value, what in levels.items()
    }


def sexes(table: ReleasedTable, column: str, sidecar: Mapping[str, Any]) -> pd.Series:
    """``F``, ``M``, or None where the sex is another or missing.

    Args:
        table: The table.
        column: Its column.
        sidecar: The JSON file, whose ``Levels`` may name codes.
    """
    spelt = {form for word in _SEX for form in (word, word.upper(), word.capitalize())}
    codes: dict[str, str | None] = {form: _SEX[form.lower()] for form in sorted(spelt)}
    for value, what in _levels(sidecar, column).items():
        known = _SEX.get(what.strip().lower(), "")
        if value.lower() not in _SEX and known != "":
            codes[value] = known
    return table.code(column, codes)


def diagnoses(visits: pd.DataFrame, sidecar: Mapping[str, Any], problems: Problems) -> pd.DataFrame:
    """The visits with ``diagnosis`` in place of the group as it stands.

    Args:
        visits: With :data:`GROUP` and ``file column line``, where some table states a group.
        sidecar: The JSON files.
        problems: Told of each cell that is not understood.
    """
    if GROUP not in visits:
        return visits.assign(**{v.DIAGNOSIS: pd.Series(None, index=visits.index, dtype="object")})
    stated = visits.loc[visits[GROUP].notna()]
    values = list(dict.fromkeys(zip(stated["column"], stated[GROUP], strict=True)))
    meant = {key: _meant(key[1], _levels(sidecar, key[0]).get(key[1], "")) for key in values}
    found = ", ".join(dict.fromkeys(repr(value) for _, value in values))
    for row in stated.itertuples(index=False):
        cell = dict(zip(stated.columns, row, strict=True))
        if meant[cell["column"], cell[GROUP]] is None:
            problems.add(
                cell["file"],
                "a group that is no common code (CN, HC or control, MCI, AD, PD, or their words), "
                f"or that Levels describe as another; found in all: {found}. Say what they mean in "
                'a mapping: docs/data.md, "A table of your own"',
                column=cell["column"],
                line=int(cell["line"]),
                value=cell[GROUP],
            )
    ill = set(meant.values())
    healthy = _healthy(memory=bool({v.MCI, v.AD} & ill), movement=v.PD in ill)
    groups = pd.Series(
        [meant.get(key) for key in zip(visits["column"], visits[GROUP], strict=True)],
        index=visits.index,
        dtype="object",
    ).replace(healthy)
    return visits.drop(columns=[GROUP, "file", "column", "line"]).assign(**{v.DIAGNOSIS: groups})


def _healthy(*, memory: bool, movement: bool) -> dict[str, str]:
    """How controls are called in this folder."""
    if memory and movement:
        return {}
    return {v.HC: v.CN} if memory else {v.CN: v.HC}


def _meant(value: str, description: str) -> str | None:
    """The group of a value, or None where it is unknown or described as another."""
    code, described = _KNOWN.get(_plain(value)), _KNOWN.get(_plain(description))
    if code is None:
        return described
    if description and not re.search(_MUST_SAY[code], description.lower()):
        return code if described == code else None
    return code


def _plain(text: str) -> str:
    """Small letters, words parted by one space, without 's and plural."""
    words = re.sub(r"[\s_-]+", " ", text.lower().replace("’", "'").strip())
    words = words.replace("'s", "").replace("alzheimers", "alzheimer")
    words = words.replace("parkinsons", "parkinson")
    return re.sub(r"(control|volunteer)s$", r"\1", words)
