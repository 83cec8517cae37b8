"""Nested subsets of the training people, and the points that are too small to be scored."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from benchmark import vocabulary as v
from benchmark.splitting.deal import nested_order
from benchmark.splitting.people import CLASS, OUTCOME
from benchmark.splitting.split import FEW_LABEL_PERCENTS, FOLD, PERCENT
from benchmark.tasks import TASKS

__all__ = ["omitted_points", "percents"]

_LEAST_PER_CLASS = 2


def percents(table: pd.DataFrame, people: pd.DataFrame, seed: int) -> list[int]:
    """Returns the smallest percentage that holds each training person; 0 for the other parts.

    A subset of p % holds the first ceil(p n / 100) of one order of the n training people, so
    subsets are nested.

    Args:
        table: Rows of all folds (one repeat).
        people: As :func:`benchmark.splitting.people.people_of` returns.
        seed: Enters the order.
    """
    found: dict[tuple[int, str], int] = {}
    for fold, ids in _train(table).items():
        rows = people.loc[people[v.PARTICIPANT_ID].isin(ids)]
        order = nested_order(rows, f"{seed}/{fold}/few-label")
        sizes = [-(-percent * len(order) // 100) for percent in FEW_LABEL_PERCENTS]
        for place, who in enumerate(order):
            first = next(p for p, n in zip(FEW_LABEL_PERCENTS, sizes, strict=True) if place < n)
            found[fold, who] = first
    keys = zip(table[FOLD], table[v.PARTICIPANT_ID], strict=True)
    return [found.get(key, 0) for key in keys]


def omitted_points(table: pd.DataFrame, people: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns the points where a class of a task has fewer than 2 training people, with the count.

    Args:
        table: Rows of all folds with their ``percent``.
        people: As :func:`benchmark.splitting.people.people_of` returns.
    """
    ids = people[v.PARTICIPANT_ID]
    names = {c: dict(zip(ids, people[c], strict=True)) for c in (CLASS, OUTCOME)}
    percent_of = {
        (fold, who): percent
        for fold, who, percent in zip(
            table[FOLD], table[v.PARTICIPANT_ID], table[PERCENT], strict=True
        )
    }
    points = []
    for fold, train in _train(table).items():
        for percent in FEW_LABEL_PERCENTS:
            subset = [who for who in train if percent_of[fold, who] <= percent]
            tally = Counter(names[column][who] for column in names for who in subset)
            points += [
                {FOLD: fold, PERCENT: percent, "task": task, "class": name, "people": tally[name]}
                for task, name in _scored_classes(people)
                if tally[name] < _LEAST_PER_CLASS
            ]
    return points


def _train(table: pd.DataFrame) -> dict[int, list[str]]:
    train = table.loc[table[v.PART] == v.TRAIN]
    folds: dict[int, list[str]] = {}
    for fold, who in zip(train[FOLD].tolist(), train[v.PARTICIPANT_ID], strict=True):
        folds.setdefault(fold, []).append(who)
    return folds


def _scored_classes(people: pd.DataFrame) -> list[tuple[str, str]]:
    """(task, class) of every classification task whose classes the cohort has."""
    present = set(people[CLASS]) | set(people[OUTCOME])
    return [
        (task.name, name)
        for task in TASKS.values()
        if task.classes and set(task.classes) <= present
        for name in task.classes
    ]
