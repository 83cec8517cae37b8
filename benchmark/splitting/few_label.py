"""Nested subsets of the training people, and the points that are too small to be scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from benchmark import vocabulary as v
from benchmark.splitting.deal import nested_order
from benchmark.splitting.people import Person
from benchmark.splitting.split import FEW_LABEL_PERCENTS, FOLD, PERCENT, Row
from benchmark.tasks import TASKS

__all__ = ["LEAST_PER_CLASS", "omitted_points", "percents"]

LEAST_PER_CLASS: Final = 2  # training people without whom a class is not learned


def percents(rows: Sequence[Row], people: Sequence[Person], seed: int) -> list[int]:
    """Returns the smallest percentage that holds each training person; 0 for the other parts.

    A subset of p % holds the first ceil(p n / 100) of one order of the n training people, so
    subsets are nested.

    Args:
        rows: Rows of all folds (one repeat).
        people: As :func:`benchmark.splitting.people.persons_of` returns.
        seed: Enters the order.
    """
    found: dict[tuple[int, str], int] = {}
    for fold, ids in _train(rows).items():
        known = set(ids)
        train = (person for person in people if person.participant_id in known)
        order = nested_order(train, f"{seed}/{fold}/few-label")
        sizes = [-(-percent * len(order) // 100) for percent in FEW_LABEL_PERCENTS]
        for place, who in enumerate(order):
            first = next(p for p, n in zip(FEW_LABEL_PERCENTS, sizes, strict=True) if place < n)
            found[fold, who] = first
    return [found.get((fold, who), 0) for _, fold, who, _ in rows]


def omitted_points(rows: Sequence[Row], people: Sequence[Person]) -> list[dict[str, Any]]:
    """Returns the points where a class of a task has fewer than 2 training people, with the count.

    Args:
        rows: Rows of all folds with their ``percent``.
        people: As :func:`benchmark.splitting.people.persons_of` returns.
    """
    names = {person.participant_id: person.stratum for person in people}
    percent_of = {(fold, who): percent for _, fold, who, _, percent in rows}
    scored = _scored_classes(people)
    points = []
    for fold, train in _train(rows).items():
        for percent in FEW_LABEL_PERCENTS:
            subset = [who for who in train if percent_of[fold, who] <= percent]
            tally = Counter(name for who in subset for name in names[who])
            points += [
                {FOLD: fold, PERCENT: percent, "task": task, "class": name, "people": tally[name]}
                for task, name in scored
                if tally[name] < LEAST_PER_CLASS
            ]
    return points


def _train(rows: Sequence[Row]) -> dict[int, list[str]]:
    folds: dict[int, list[str]] = {}
    for _, fold, who, part, *_ in rows:
        if part == v.TRAIN:
            folds.setdefault(fold, []).append(who)
    return folds


def _scored_classes(people: Sequence[Person]) -> list[tuple[str, str]]:
    """(task, class) of every classification task whose classes the cohort has."""
    present = {name for person in people for name in person.stratum}
    return [
        (task.name, name)
        for task in TASKS.values()
        if task.classes and set(task.classes) <= present
        for name in task.classes
    ]
