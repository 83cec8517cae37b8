"""What a changed table does to folds: who is gone, who is in no fold, whether the folds still fit.

Folds fit a table whose people, classes and strata are those that were split; any other table is
refused by the referee. This module says what the refusal is about and what new folds would cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from benchmark import vocabulary as v
from benchmark.diff.people import PeopleDiff, classes_of
from benchmark.errors import SplitError
from benchmark.splitting import Split, people_of, people_sha256
from benchmark.splitting.people import CLASS, OUTCOME
from benchmark.splitting.protocols import (
    EXTERNAL,
    LEAVE_SITE_OUT,
    RULE,
    RULE_VERSION,
    fold_rows,
)
from benchmark.splitting.split import FOLD, REPEAT, columns_of, fold_text, text_sha256

__all__ = ["FoldsDiff", "PartChange", "diff_folds"]

_PEOPLE_HASH = "people_sha256"


@dataclass(frozen=True, slots=True)
class PartChange:
    """One part of one fold, before and after.

    Attributes:
        repeat: The repeat, from 0.
        fold: The fold, from 0.
        part: ``train``, ``validation`` or ``test``.
        n: People in the fold file.
        gone: Of these, who are not in the new table.
        relabelled: Of those who stay, who have another label of some task; None where the labels
            of before are not known.
        before: People by class and outcome when the folds were made; empty where it is not known.
        now: The same of those who stay, with their labels of now.
    """

    repeat: int
    fold: int
    part: str
    n: int
    gone: int
    relabelled: int | None
    before: Mapping[str, int]
    now: Mapping[str, int]

    @property
    def changed(self) -> bool:
        """Whether anything of this part is not as it was."""
        return bool(self.gone or self.relabelled or (self.before and self.before != self.now))


@dataclass(frozen=True, slots=True)
class FoldsDiff:
    """A split against a table that may not be the one that was split.

    Attributes:
        split: The split.
        gone: People of the folds who are not in the table, sorted.
        outside: People of the table who are in no fold, sorted.
        stay: People of the folds who are in the table, sorted.
        fits: Whether the people, classes and strata are those that were split.
        foreign: People of the folds who are not in the old table either: folds of something else.
        parts: Every part of every fold.
        moved: Of those who stay, how many new folds by the same rule and seed would test in
            another fold; None where that has no meaning (folds are sites, one fold, a custom rule).
        refusal: Why no new folds can be made; "" where they can.
    """

    split: Split
    gone: tuple[str, ...]
    outside: tuple[str, ...]
    stay: tuple[str, ...]
    fits: bool
    foreign: tuple[str, ...]
    parts: tuple[PartChange, ...]
    moved: int | None
    refusal: str


def diff_folds(split: Split, visits: pd.DataFrame, people: PeopleDiff | None = None) -> FoldsDiff:
    """Compares a split with the table that is there now.

    Args:
        split: The folds, with identifiers.
        visits: All visits of the table, one row each.
        people: What separates the table that was split from this one; None where only the folds
            are left of it. Class counts of before are then those of the manifest.
    """
    now = people_of(visits)
    inside, table = set(split.table[v.PARTICIPANT_ID]), set(now[v.PARTICIPANT_ID])
    known = inside if people is None else set(people.old_people[v.PARTICIPANT_ID])
    rebuilt, refusal = _rebuilt(split, now)
    return FoldsDiff(
        split,
        gone=tuple(sorted(inside - table)),
        outside=tuple(sorted(table - inside)),
        stay=tuple(sorted(inside & table)),
        fits=_fits(split, now, rebuilt),
        foreign=tuple(sorted(inside - known)),
        parts=tuple(_parts(split, now, people)),
        moved=_moved(split, rebuilt),
        refusal=refusal,
    )


def _by_our_rule(split: Split) -> bool:
    rule = split.manifest.get("rule", {})
    return (rule.get("name"), rule.get("version")) == (RULE, RULE_VERSION)


def _rebuilt(split: Split, now: pd.DataFrame) -> tuple[pd.DataFrame | None, str]:
    """The folds that the rule would make of the table now, or why it cannot."""
    if not _by_our_rule(split):
        return None, ""
    train_cohort = str(split.manifest.get("train_cohort", ""))
    try:
        rows = fold_rows(now, split.cohort, split.protocol, split.seed, train_cohort)
    except SplitError as error:
        return None, str(error)
    return pd.DataFrame(rows, columns=columns_of(split.protocol)), ""


def _fits(split: Split, now: pd.DataFrame, rebuilt: pd.DataFrame | None) -> bool:
    """By the hash of people and strata; a sealed split has none, but the rule must give it."""
    if _PEOPLE_HASH in split.manifest:
        return people_sha256(now) == str(split.manifest[_PEOPLE_HASH])
    if rebuilt is None:
        return False
    text = fold_text(rebuilt.columns, rebuilt.itertuples(index=False))
    return text_sha256(text) == split.content_hash


def _moved(split: Split, rebuilt: pd.DataFrame | None) -> int | None:
    if rebuilt is None or split.protocol in (EXTERNAL, LEAVE_SITE_OUT):
        return None
    before, after = (_tested(table) for table in (split.table, rebuilt))
    return sum(before[who] != after[who] for who in before.keys() & after.keys())


def _tested(table: pd.DataFrame) -> dict[str, list[tuple[int, int]]]:
    """Where each person is tested: (repeat, fold), in order."""
    rows = table.loc[table[v.PART] == v.TEST].sort_values([REPEAT, FOLD])
    tested: dict[str, list[tuple[int, int]]] = {}
    for who, repeat, fold in zip(rows[v.PARTICIPANT_ID], rows[REPEAT], rows[FOLD], strict=True):
        tested.setdefault(who, []).append((int(repeat), int(fold)))
    return tested


def _parts(split: Split, now: pd.DataFrame, people: PeopleDiff | None) -> list[PartChange]:
    here = set(now[v.PARTICIPANT_ID])
    counted = _counted(split) if people is None else {}
    found = []
    for (repeat, fold, part), rows in split.table.groupby([REPEAT, FOLD, v.PART], sort=True):
        ids = set(rows[v.PARTICIPANT_ID])
        key = (int(str(repeat)), int(str(fold)), str(part))
        found.append(
            PartChange(
                *key,
                n=len(ids),
                gone=len(ids - here),
                relabelled=len(ids & people.relabelled) if people else None,
                before=classes_of(people.old_people, ids) if people else counted.get(key, {}),
                now=classes_of(now, ids),
            )
        )
    return found


def _counted(split: Split) -> dict[tuple[int, int, str], dict[str, int]]:
    """People by class and outcome of each part, from the manifest; empty where it has no counts."""
    counted = {}
    for entry in split.manifest.get("counts", ()):
        counts = Counter(entry[CLASS]) + Counter(entry[OUTCOME])
        counted[entry[REPEAT], entry[FOLD], entry[v.PART]] = dict(sorted(counts.items()))
    return counted
