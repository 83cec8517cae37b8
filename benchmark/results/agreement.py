"""What the ledgers of a cell must agree on: the label of each person, and the folds.

No ledger is trusted before another. Of a person on whom they disagree the value counts that more
than half of the ledgers state; those that state another are refused, and without such a value all
that state one. The message names every ledger on each side.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd

__all__ = ["disputed", "folds_of", "labels_of"]


def labels_of(frame: pd.DataFrame) -> dict[str, float]:
    """Label of each person."""
    first = frame.dropna(subset=["y_true"]).drop_duplicates("participant_id")
    return dict(zip(first["participant_id"], first["y_true"], strict=True))


def folds_of(frame: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """Test folds of each person, one per repeat, by the first seed."""
    first = frame[frame["seed"] == frame["seed"].min()].sort_values("fold", kind="stable")
    folds: dict[str, tuple[int, ...]] = {}
    for person, fold in zip(first["participant_id"], first["fold"].tolist(), strict=True):
        folds[person] = (*folds.get(person, ()), fold)
    return folds


def disputed(stated: Mapping[str, Mapping[str, Hashable]], what: str) -> dict[str, str]:
    """Why some ledgers are refused, by name; empty where all agree.

    Args:
        stated: What each ledger states of each person, by the ledger's name.
        what: What that is, in a word.

    >>> disputed({"a": {"p": 1}, "b": {"p": 1}, "c": {"p": 0}}, "label")["c"].partition(";")[0]
    'the label of 1 participants is disputed (first: p, 0 by c against 1 by a, b)'
    >>> sorted(disputed({"a": {"p": 1}, "b": {"p": 0}}, "label"))
    ['a', 'b']
    """
    known: dict[str, Hashable] = {}
    doubtful: set[str] = set()
    for values in stated.values():
        for person, value in values.items():
            if known.setdefault(person, value) != value:
                doubtful.add(person)
    wrong: dict[str, list[tuple[str, Mapping[Hashable, list[str]]]]] = {}
    for person in sorted(doubtful):
        sides: dict[Hashable, list[str]] = {}
        for name, values in stated.items():
            if person in values:
                sides.setdefault(values[person], []).append(name)
        total = sum(map(len, sides.values()))
        for names in sides.values():
            for name in names if 2 * len(names) <= total else ():
                wrong.setdefault(name, []).append((person, sides))
    return {name: _why(name, what, cases) for name, cases in wrong.items()}


def _why(name: str, what: str, cases: list[tuple[str, Mapping[Hashable, list[str]]]]) -> str:
    person, sides = cases[0]
    ordered = sorted(sides.items(), key=lambda side: (name not in side[1], repr(side[0])))
    said = " against ".join(f"{_plain(value)} by {', '.join(names)}" for value, names in ordered)
    return (
        f"the {what} of {len(cases)} participants is disputed (first: {person}, {said}); "
        "rerun those that are wrong on the cohort and split of the others"
    )


def _plain(value: Hashable) -> str:
    """A label as a number, folds as they are listed."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
