"""Leaks by who is in which part of a split; each check yields what it found, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from benchmark import vocabulary as v
from benchmark.leakage.naming import listed
from benchmark.splitting.split import FOLD, REPEAT, Split, columns_of

__all__ = [
    "Folds",
    "families_apart",
    "folds_of",
    "index_after_label",
    "not_everybody",
    "not_people",
    "not_tested_once",
    "pretrained",
    "two_parts",
]

Folds = Mapping[tuple[int, int], list[tuple[str, str]]]


def folds_of(split: Split) -> Folds:
    """(participant, part) of all rows of each (repeat, fold), sorted by the latter."""
    columns = (split.table[c].tolist() for c in (REPEAT, FOLD, v.PARTICIPANT_ID, v.PART))
    folds: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for repeat, fold, who, part in zip(*columns, strict=True):
        folds.setdefault((repeat, fold), []).append((who, part))
    return {key: folds[key] for key in sorted(folds)}


def _everybody(folds: Folds) -> set[str]:
    return {who for members in folds.values() for who, _ in members}


def not_people(split: Split, folds: Folds, known: Collection[str]) -> Iterator[str]:
    """Rows that stand for visits or slices of a person."""
    surplus = sorted(set(split.table.columns) - set(columns_of(split.protocol)))
    if surplus:
        yield (
            f"it has the columns {', '.join(surplus)}: rows must be participants, never visits or "
            "slices of them"
        )
    strangers = _everybody(folds) - set(known)
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


def two_parts(folds: Folds) -> Iterator[str]:
    """One person more than once in a fold."""
    found = []
    for (_, fold), members in folds.items():
        rows = Counter(who for who, _ in members)
        for who in sorted(who for who, n in rows.items() if n > 1):
            where = " and ".join(sorted({part for name, part in members if name == who}))
            found.append(f"{who} ({where} of fold {fold})")
    if found:
        yield f"{len(found)} times a person is in a fold more than once: {listed(found)}"


def not_tested_once(folds: Folds) -> Iterator[str]:
    """Somebody in the test part of no fold of a repeat, or of several."""
    everybody = sorted(_everybody(folds))
    times: dict[int, Counter[str]] = {}
    for (repeat, _), members in folds.items():
        tests = times.setdefault(repeat, Counter())
        tests.update(who for who, part in members if part == v.TEST)
    for repeat, tests in times.items():
        wrong = [who for who in everybody if tests[who] != 1]
        if wrong:
            yield (
                f"repeat {repeat}: {len(wrong)} people are not tested exactly once: {listed(wrong)}"
            )


def families_apart(folds: Folds, visits: pd.DataFrame, held_back: Collection[str]) -> Iterator[str]:
    """Declared siblings or twins in different parts of a fold, pretraining being a part of each."""
    index = visits.loc[visits[v.IS_INDEX]]
    if v.FAMILY_ID not in index:
        return
    declared = index.loc[index[v.FAMILY_ID].fillna("") != ""]
    ids, names = declared[v.PARTICIPANT_ID].tolist(), declared[v.FAMILY_ID].tolist()
    family_of = dict(zip(ids, names, strict=True))
    before = [(who, v.PRETRAIN) for who in sorted(held_back)]
    found = []
    for (_, fold), members in folds.items():
        families: dict[str, list[tuple[str, str]]] = {}
        for who, part in [*members, *before]:
            if who in family_of:
                families.setdefault(family_of[who], []).append((who, part))
        for name, family in sorted(families.items()):
            parts = {part for _, part in family}
            if len(parts) > 1:
                people = " + ".join(sorted({who for who, _ in family}))
                pretrained = ", pretraining" if v.PRETRAIN in parts else ""
                found.append(f"{name} = {people} (fold {fold}{pretrained})")
    if found:
        yield f"{len(found)} times a family is in two parts of a fold: {listed(found)}"


def not_everybody(folds: Folds, known: Collection[str], evaluate: Collection[str]) -> Iterator[str]:
    """People in folds that the cohort lacks, and people of the cohort in no fold."""
    strangers = {who for who in _everybody(folds) - set(known) if not _owner(who, known)}
    if strangers:
        yield f"{len(strangers)} people are unknown to the cohort: {listed(sorted(strangers))}"
    for (repeat, fold), members in folds.items():
        absent = sorted(set(evaluate) - {who for who, _ in members})
        if absent:
            yield (
                f"fold {fold} of repeat {repeat}: {len(absent)} people of the cohort are in no "
                f"part: {listed(absent)}"
            )


def pretrained(folds: Folds, ids: Collection[str]) -> Iterator[str]:
    """People of a pretraining set in a fold."""
    found = sorted(_everybody(folds) & set(ids))
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
