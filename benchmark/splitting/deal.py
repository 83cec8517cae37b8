"""Dealing people out without a random state: sort by strata, cut into blocks, order by hash.

Each block holds neighbours in the strata, and gives one unit to each fold. Inside a block, units
come in the order of SHA-256 of (key, unit), and each takes the fold that holds fewest of its sex,
age band and site. So classes differ by at most one unit between folds, and so do the folds' sizes;
repeats with another key shuffle every block anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.splitting.people import AGE_BAND, CLASS, OUTCOME, UNIT

__all__ = ["deal_folds", "nested_order", "pick_share"]

_STRATUM = [CLASS, OUTCOME]
_FINE = [v.SEX, AGE_BAND, v.SITE_ID]


def _rank_key(key: str, name: str) -> str:
    return hashlib.sha256(f"{key}\0{name}".encode()).hexdigest()


class _Unit(NamedTuple):
    """A family or a single person; sorting units sorts them by strata."""

    stratum: tuple[str, ...]
    minus_n_people: int
    levels: tuple[str, ...]
    order: str
    name: str


def _units(people: pd.DataFrame, key: str) -> list[_Unit]:
    """All units, sorted by strata; a family counts by its member of the rarest stratum."""
    columns = (
        [str(value) for value in people[c]] for c in (*_STRATUM, *_FINE, UNIT, v.PARTICIPANT_ID)
    )
    rows = list(zip(*columns, strict=True))
    rarity = Counter(row[: len(_STRATUM)] for row in rows)
    n_people = Counter(row[-2] for row in rows)
    rows.sort(key=lambda row: (rarity[row[: len(_STRATUM)]], row[-1]))
    first = {row[-2]: row for row in reversed(rows)}
    return sorted(
        _Unit(
            row[: len(_STRATUM)],
            -n_people[name],
            tuple(f"{c}={x}" for c, x in zip(_FINE, row[len(_STRATUM) : -2], strict=True)),
            _rank_key(key, name),
            name,
        )
        for name, row in first.items()
    )


def _strata(units: Sequence[_Unit]) -> list[list[_Unit]]:
    """Neighbours of one stratum, in order."""
    return [list(group) for _, group in groupby(units, key=lambda unit: unit.stratum)]


def _people_of_units(people: pd.DataFrame, units: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(people.loc[people[UNIT].isin(list(units)), v.PARTICIPANT_ID]))


def deal_folds(people: pd.DataFrame, n_folds: int, key: str) -> list[tuple[str, ...]]:
    """Deals people into folds, families whole, strata balanced.

    Args:
        people: As :func:`benchmark.splitting.people.people_of` returns.
        n_folds: Number of folds, at least 2.
        key: Decides who goes where; another key gives other folds.

    Returns:
        The participants of each fold, sorted. Every person is in exactly one.
    """
    hands: list[list[str]] = [[] for _ in range(n_folds)]
    tallies = [Counter[str]() for _ in range(n_folds)]
    start = 0  # where the next incomplete block goes on, so that sizes differ by one at most
    for stratum in _strata(_units(people, key)):
        for begin in range(0, len(stratum), n_folds):
            block = stratum[begin : begin + n_folds]
            open_folds = [(start + place) % n_folds for place in range(len(block))]
            for unit in sorted(block, key=lambda unit: unit.order):
                fold = _least_like(unit.levels, open_folds, tallies, f"{key}/{unit.order}")
                open_folds.remove(fold)
                tallies[fold].update(unit.levels)
                hands[fold].append(unit.name)
            start += len(block)
    return [_people_of_units(people, hand) for hand in hands]


def _least_like(
    levels: Sequence[str], folds: Sequence[int], tallies: Sequence[Counter[str]], key: str
) -> int:
    """The fold that holds fewest people of the same sex, age band and site; ties by hash."""
    return min(
        folds,
        key=lambda f: (sum(tallies[f][level] for level in levels), _rank_key(key, str(f))),
    )


def pick_share(people: pd.DataFrame, share: float, key: str) -> tuple[str, ...]:
    """Picks a share of people, families whole, in proportion to the strata.

    Each stratum of two units or more gives at least one and keeps at least one.

    Args:
        people: As :func:`benchmark.splitting.people.people_of` returns.
        share: Between 0 and 1.
        key: Decides who is picked.

    Returns:
        The participants picked, sorted.
    """
    strata = _strata(_units(people, key))
    quotas = _quotas([len(stratum) for stratum in strata], share)
    blocks = [
        [stratum[row] for row in rows]
        for stratum, quota in zip(strata, quotas, strict=True)
        if quota
        for rows in np.array_split(np.arange(len(stratum)), quota)
    ]
    picked = [min(block, key=lambda unit: unit.order).name for block in blocks]
    return _people_of_units(people, picked)


def _quotas(sizes: Sequence[int], share: float) -> list[int]:
    """Whole numbers near ``share * sizes`` that add up to the rounded total where they can."""
    exact = [share * size for size in sizes]
    quotas = [min(max(int(np.floor(x)), 1), size - 1) for x, size in zip(exact, sizes, strict=True)]
    short = round(share * sum(sizes)) - sum(quotas)
    by_need = sorted(range(len(sizes)), key=lambda i: (quotas[i] - exact[i], i))
    for i in by_need[: max(short, 0)]:
        quotas[i] = min(quotas[i] + 1, max(sizes[i] - 1, 0))
    return quotas


def nested_order(people: pd.DataFrame, key: str) -> list[str]:
    """Orders people so that every beginning of the list is proportional to the strata.

    Args:
        people: As :func:`benchmark.splitting.people.people_of` returns.
        key: Decides the order within a stratum.

    Returns:
        All participant ids.
    """
    hashes = [_rank_key(key, who) for who in people[v.PARTICIPANT_ID]]
    table = people.assign(order=hashes).sort_values([*_STRATUM, "order"])
    groups = table.groupby(_STRATUM)[v.PARTICIPANT_ID]
    table["place"] = (groups.cumcount().to_numpy() + 0.5) / groups.transform("size").to_numpy()
    ordered = table.sort_values(["place", *_STRATUM])[v.PARTICIPANT_ID]
    return [str(who) for who in ordered]
