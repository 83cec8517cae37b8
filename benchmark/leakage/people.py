"""Leaks by who is in which part of a split; each check yields what it found, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from benchmark import vocabulary as v
from benchmark.leakage.naming import listed
from benchmark.splitting.people import UNIT
from benchmark.splitting.split import FOLD, REPEAT, Split, columns_of

__all__ = [
    "families_apart",
    "index_after_label",
    "not_everybody",
    "not_people",
    "not_tested_once",
    "pretrained",
    "two_parts",
]

_KEY = [REPEAT, FOLD]


def not_people(split: Split, known: Collection[str]) -> Iterator[str]:
    """Rows that stand for visits or slices of a person."""
    surplus = sorted(set(split.table.columns) - set(columns_of(split.protocol)))
    if surplus:
        yield (
            f"it has the columns {', '.join(surplus)}: rows must be participants, never visits or "
            "slices of them"
        )
    strangers = set(split.table[v.PARTICIPANT_ID]) - set(known)
    pieces = sorted(s for s in strangers if _owner(s, known))
    if pieces:
        yield (
            f"{len(pieces)} rows are visits or slices, expected participants: "
            f"{listed([f'{piece} (of {_owner(piece, known)})' for piece in pieces])}"
        )


def _owner(name: str, known: Collection[str]) -> str:
    """The participant that an id like ``sub-0001_ses-M012`` or ``sub-0001_slice-40`` belongs to."""
    stem = name
    while "_" in stem:
        stem = stem.rpartition("_")[0]
        if stem in known:
            return stem
    return ""


def two_parts(split: Split) -> Iterator[str]:
    """One person more than once in a fold."""
    key = [*_KEY, v.PARTICIPANT_ID]
    rows = split.table.loc[split.table.duplicated(key, keep=False)].drop_duplicates([*key, v.PART])
    found = []
    for (_, fold, who), parts in rows.groupby(key, sort=True)[v.PART]:
        where = " and ".join(sorted(set(parts)))
        found.append(f"{who} ({where} of fold {fold})")
    if found:
        yield f"{len(found)} times a person is in a fold more than once: {listed(found)}"


def not_tested_once(split: Split) -> Iterator[str]:
    """Somebody in the test part of no fold of a repeat, or of several."""
    tests = split.table.loc[split.table[v.PART] == v.TEST]
    everybody = sorted(set(split.table[v.PARTICIPANT_ID]))
    for repeat in sorted(set(split.table[REPEAT])):
        times = tests.loc[tests[REPEAT] == repeat, v.PARTICIPANT_ID].value_counts()
        wrong = [who for who in everybody if times.get(who, 0) != 1]
        if wrong:
            yield (
                f"repeat {repeat}: {len(wrong)} people are not tested exactly once: {listed(wrong)}"
            )


def families_apart(split: Split, people: pd.DataFrame) -> Iterator[str]:
    """Declared siblings or twins in different parts of a fold."""
    family = people.loc[people[UNIT].str.startswith("family:"), [v.PARTICIPANT_ID, UNIT]]
    rows = split.table.merge(family, on=v.PARTICIPANT_ID)
    found = [
        f"{str(unit).removeprefix('family:')} = {' + '.join(sorted(set(group[v.PARTICIPANT_ID])))}"
        f" (fold {fold})"
        for (_, fold, unit), group in rows.groupby([*_KEY, UNIT], sort=True)
        if len(set(group[v.PART])) > 1
    ]
    if found:
        yield f"{len(found)} times a family is in two parts of a fold: {listed(found)}"


def not_everybody(split: Split, known: Collection[str], evaluate: Collection[str]) -> Iterator[str]:
    """People in folds that the cohort lacks, and people of the cohort in no fold."""
    strangers = {
        who for who in set(split.table[v.PARTICIPANT_ID]) - set(known) if not _owner(who, known)
    }
    if strangers:
        yield f"{len(strangers)} people are unknown to the cohort: {listed(sorted(strangers))}"
    for (repeat, fold), ids in split.table.groupby(_KEY, sort=True)[v.PARTICIPANT_ID]:
        absent = sorted(set(evaluate) - set(ids))
        if absent:
            yield (
                f"fold {fold} of repeat {repeat}: {len(absent)} people of the cohort are in no "
                f"part: {listed(absent)}"
            )


def pretrained(split: Split, ids: Collection[str]) -> Iterator[str]:
    """People of a pretraining set in a fold."""
    found = sorted(set(split.table[v.PARTICIPANT_ID]) & set(ids))
    if found:
        yield f"{len(found)} people are in pretraining and in the folds: {listed(found)}"


def index_after_label(visits: pd.DataFrame) -> Iterator[str]:
    """Index visits, which are the inputs, that do not lie at month 0, where the label is read."""
    index = visits.loc[visits[v.IS_INDEX] & (visits[v.VISIT_MONTHS] != 0)]
    found = [
        f"{who} (month {months:g})"
        for who, months in zip(index[v.PARTICIPANT_ID], index[v.VISIT_MONTHS], strict=True)
    ]
    if found:
        yield (
            f"{len(found)} index visits do not lie at month 0, so inputs could come after the "
            f"label: {listed(sorted(found))}"
        )
