"""The protocols: which folds a cohort is cut into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import SplitError, UnknownNameError
from benchmark.splitting.deal import deal_folds, nested_order, pick_share
from benchmark.splitting.people import CLASS, OUTCOME, UNIT, people_of, people_sha256
from benchmark.splitting.split import (
    FEW_LABEL,
    FEW_LABEL_PERCENTS,
    FOLD,
    PERCENT,
    REPEAT,
    Split,
    columns_of,
)
from benchmark.store.cohort import Cohort
from benchmark.tasks import TASKS

__all__ = ["PROTOCOLS", "make_split", "split_people"]

RULE: Final = "strata-blocks"
RULE_VERSION: Final = 1
VALIDATION_SHARE: Final = 1 / 6  # of the people outside the test part; 15 to 20 % when rounded
EXTERNAL: Final = "external"
LEAVE_SITE_OUT: Final = "leave-site-out"
_LEAST_PER_CLASS = 2  # few-label: fewer training people than this and the point is omitted

# (repeats, folds) of the protocols that deal people out.
_DEALT: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"3fold": (1, 3), "5fold": (1, 5), "5x5fold": (5, 5), FEW_LABEL: (1, 3)}
)
PROTOCOLS: Final = (*_DEALT, LEAVE_SITE_OUT, EXTERNAL)

TestFolds = list[tuple[str, ...]]


def make_split(cohort: Cohort, protocol: str, seed: int, train_cohort: str = "") -> Split:
    """Splits a cohort by a protocol.

    Args:
        cohort: The cohort; for ``external`` the one that is predicted.
        protocol: One of :data:`PROTOCOLS`.
        seed: Enters every hash; the same seed gives the same split on every machine.
        train_cohort: For ``external`` only: the cohort whose fold models predict.

    Returns:
        The split, with its manifest.

    Raises:
        UnknownNameError: No such protocol.
        SplitError: A class would be missing from a part of a fold, or the protocol does not fit.
    """
    return split_people(people_of(cohort.visits), cohort.name, protocol, seed, train_cohort)


def split_people(
    people: pd.DataFrame, cohort: str, protocol: str, seed: int, train_cohort: str = ""
) -> Split:
    """Splits a table of people; see :func:`make_split` for arguments and errors."""
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS, "neurodx splits make --help")
    if people.empty:
        raise SplitError(f"cohort {cohort!r}: nobody in part {v.EVALUATE!r}, so nobody to split")
    extra: dict[str, Any] = {}
    if protocol == EXTERNAL:
        if not train_cohort or train_cohort == cohort:
            raise SplitError(
                f"{cohort}/external: expected the name of another cohort to train on, got "
                f"{train_cohort!r}; give it with `neurodx splits make --cohort {cohort} "
                "--protocol external --train-cohort NAME`"
            )
        extra["train_cohort"] = train_cohort
        table = _rows(0, 0, {v.TEST: tuple(people[v.PARTICIPANT_ID])})
    else:
        table = _table(people, cohort, protocol, seed)
    if protocol == FEW_LABEL:
        table[PERCENT] = _percents(table, people, seed)
        extra["omitted"] = _omitted(table, people)
    table = _canonical(table, protocol)
    return Split(
        cohort, protocol, seed, table, _manifest(table, people, cohort, protocol, seed, extra)
    )


def _canonical(table: pd.DataFrame, protocol: str) -> pd.DataFrame:
    by = [REPEAT, FOLD, v.PARTICIPANT_ID]
    return table[columns_of(protocol)].sort_values(by).reset_index(drop=True)


def _rows(repeat: int, fold: int, parts: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    pairs = [(who, part) for part, ids in parts.items() for who in ids]
    frame = pd.DataFrame(pairs, columns=[v.PARTICIPANT_ID, v.PART])
    return frame.assign(**{REPEAT: repeat, FOLD: fold})


def _table(people: pd.DataFrame, cohort: str, protocol: str, seed: int) -> pd.DataFrame:
    repeats = _DEALT.get(protocol, (1, 0))[0]
    frames = []
    for repeat in range(repeats):
        for fold, test in enumerate(_test_folds(people, cohort, protocol, seed, repeat)):
            outside = people.loc[~people[v.PARTICIPANT_ID].isin(test)]
            key = f"{seed}/{repeat}/{fold}/validation"
            validation = pick_share(outside, VALIDATION_SHARE, key)
            train = tuple(sorted(set(outside[v.PARTICIPANT_ID]) - set(validation)))
            parts = {v.TRAIN: train, v.VALIDATION: validation, v.TEST: test}
            _check_classes(people, parts, f"{cohort}/{protocol}: fold {fold}", protocol)
            frames.append(_rows(repeat, fold, parts))
    return pd.concat(frames, ignore_index=True)


def _test_folds(
    people: pd.DataFrame, cohort: str, protocol: str, seed: int, repeat: int
) -> TestFolds:
    if protocol == LEAVE_SITE_OUT:
        return _site_folds(people, cohort)
    n_folds = _DEALT[protocol][1]
    return deal_folds(people, n_folds, f"{seed}/{repeat}/{n_folds}-folds")


def _site_folds(people: pd.DataFrame, cohort: str) -> TestFolds:
    """One fold per site, in the order of their names; a family goes with its first member."""
    site = people.groupby(UNIT)[v.SITE_ID].transform("first")
    folds = [tuple(ids) for _, ids in people.groupby(site, sort=True)[v.PARTICIPANT_ID]]
    if len(folds) < 2:
        raise SplitError(
            f"{cohort}/{LEAVE_SITE_OUT}: expected at least 2 sites, got {len(folds)} "
            f"({', '.join(sorted(set(site)))}); use `--protocol 5fold`"
        )
    return folds


def _check_classes(
    people: pd.DataFrame, parts: Mapping[str, tuple[str, ...]], where: str, protocol: str
) -> None:
    """Every class must be in every part (a left-out site may lack one)."""
    asked = {p: ids for p, ids in parts.items() if protocol != LEAVE_SITE_OUT or p != v.TEST}
    for column in (CLASS, OUTCOME):
        totals = people.loc[people[column] != "", column].value_counts().sort_index()
        for part, ids in asked.items():
            inside = set(people.loc[people[v.PARTICIPANT_ID].isin(ids), column])
            for name, total in totals.items():
                if name not in inside:
                    raise SplitError(
                        f"{where}: nobody of class {name!r} in part {part!r}; the cohort has "
                        f"{total} such people, and each fold needs one for train, validation and "
                        "test; use a protocol with fewer folds (`--protocol 3fold`), or leave the "
                        "class out of the cohort"
                    )


def _percents(table: pd.DataFrame, people: pd.DataFrame, seed: int) -> list[int]:
    """Smallest percentage that holds each training person; 0 for validation and test."""
    found: dict[tuple[int, str], int] = {}
    for fold, rows in table.loc[table[v.PART] == v.TRAIN].groupby(FOLD):
        train = people.loc[people[v.PARTICIPANT_ID].isin(rows[v.PARTICIPANT_ID])]
        order = nested_order(train, f"{seed}/{fold}/few-label")
        sizes = [-(-percent * len(order) // 100) for percent in FEW_LABEL_PERCENTS]
        for place, who in enumerate(order):
            first = next(p for p, n in zip(FEW_LABEL_PERCENTS, sizes, strict=True) if place < n)
            found[int(str(fold)), who] = first
    keys = zip(table[FOLD], table[v.PARTICIPANT_ID], strict=True)
    return [found.get((int(fold), who), 0) for fold, who in keys]


def _omitted(table: pd.DataFrame, people: pd.DataFrame) -> list[dict[str, Any]]:
    """Few-label points where a class of a task has too few training people, with the count."""
    known = people.set_index(v.PARTICIPANT_ID)
    points = []
    train = table.loc[table[v.PART] == v.TRAIN]
    for fold, rows in train.groupby(FOLD):
        for percent in FEW_LABEL_PERCENTS:
            subset = known.loc[rows.loc[rows[PERCENT] <= percent, v.PARTICIPANT_ID]]
            for task, name in _scored_classes(people):
                column = OUTCOME if task == "conversion" else CLASS
                n = int((subset[column] == name).sum())
                if n < _LEAST_PER_CLASS:
                    point = {FOLD: int(str(fold)), PERCENT: percent, "task": task}
                    points.append({**point, "class": name, "people": n})
    return points


def _scored_classes(people: pd.DataFrame) -> list[tuple[str, str]]:
    """(task, class) of every classification task whose classes the cohort has."""
    present = set(people[CLASS]) | set(people[OUTCOME])
    return [
        (task.name, name)
        for task in TASKS.values()
        if task.classes and set(task.classes) <= present
        for name in task.classes
    ]


def _counts(table: pd.DataFrame, people: pd.DataFrame) -> list[dict[str, Any]]:
    joined = table.merge(people, on=v.PARTICIPANT_ID, how="left")
    counts = []
    for (repeat, fold, part), rows in joined.groupby([REPEAT, FOLD, v.PART], sort=True):
        entry: dict[str, Any] = {
            REPEAT: int(str(repeat)),
            FOLD: int(str(fold)),
            v.PART: part,
            "n": len(rows),
        }
        for column in (CLASS, OUTCOME):
            named = rows.loc[rows[column] != "", column].value_counts()
            entry[column] = {str(name): int(n) for name, n in named.items()}
        counts.append(entry)
    return counts


def _parameters(protocol: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if protocol in _DEALT:
        parameters.update(zip(("repeats", "folds"), _DEALT[protocol], strict=True))
    if protocol != EXTERNAL:
        parameters["validation_share"] = round(VALIDATION_SHARE, 6)
        parameters["strata"] = [CLASS, OUTCOME, v.SEX, "age_band", v.SITE_ID]
    if protocol == FEW_LABEL:
        parameters["percents"] = list(FEW_LABEL_PERCENTS)
    return parameters


def _manifest(
    table: pd.DataFrame,
    people: pd.DataFrame,
    cohort: str,
    protocol: str,
    seed: int,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    text = table.to_csv(index=False, lineterminator="\n")
    return {
        "schema_version": 1,
        "cohort": cohort,
        "protocol": protocol,
        "rule": {"name": RULE, "version": RULE_VERSION, "parameters": _parameters(protocol)},
        "seed": seed,
        "n_people": len(people),
        "counts": _counts(table, people),
        "people_sha256": people_sha256(people),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        **extra,
    }
