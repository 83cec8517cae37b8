"""Dealing people out without a random state: sort by strata, cut into blocks, order by hash.

Each block holds neighbours in the strata, and gives one unit to each fold. Inside a block, units
come in the order of SHA-256 of (key, unit), and each takes the fold that holds fewest of its sex,
age band and site. So classes differ by at most one unit between folds, and so do the folds' sizes;
repeats with another key shuffle every block anew.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from benchmark.splitting.people import Person

__all__ = ["deal_folds", "nested_order", "pick_share"]


def _rank_key(key: str, name: str) -> str:
    return hashlib.sha256(f"{key}\0{name}".encode()).hexdigest()


class _Unit(NamedTuple):
    """A family or a single person; units of one stratum are sorted by size, levels and hash."""

    minus_n_people: int
    levels: tuple[str, ...]
    order: str
    name: str


def _strata(people: Sequence[Person], key: str) -> list[list[_Unit]]:
    """The units of each stratum, all sorted; a family counts by its member of the rarest one."""
    rarity = Counter([person.stratum for person in people])
    n_people = Counter([person.unit for person in people])
    first: dict[str, Person] = {}
    for person in people:
        known = first.setdefault(person.unit, person)
        if known is not person:
            first[person.unit] = min(
                known, person, key=lambda who: (rarity[who.stratum], who.participant_id)
            )
    strata: dict[tuple[str, str], list[_Unit]] = {}
    for name, person in first.items():
        unit = _Unit(-n_people[name], person.levels, _rank_key(key, name), name)
        strata.setdefault(person.stratum, []).append(unit)
    return [sorted(strata[stratum]) for stratum in sorted(strata)]


def _people_of_units(people: Sequence[Person], units: Sequence[str]) -> tuple[str, ...]:
    chosen = set(units)
    return tuple(sorted(person.participant_id for person in people if person.unit in chosen))


def deal_folds(people: Sequence[Person], n_folds: int, key: str) -> list[tuple[str, ...]]:
    """Deals people into folds, families whole, strata balanced.

    Args:
        people: As :func:`benchmark.splitting.people.persons_of` returns.
        n_folds: Number of folds, at least 2.
        key: Decides who goes where; another key gives other folds.

    Returns:
        The participants of each fold, sorted. Every person is in exactly one.
    """
    hands: list[list[str]] = [[] for _ in range(n_folds)]
    tallies = [Counter[str]() for _ in range(n_folds)]
    start = 0  # where the next incomplete block goes on, so that sizes differ by one at most
    for stratum in _strata(people, key):
        for begin in range(0, len(stratum), n_folds):
            block = stratum[begin : begin + n_folds]
            open_folds = [(start + place) % n_folds for place in range(len(block))]
            for unit in sorted(block, key=lambda unit: unit.order):
                fold = _least_like(unit.levels, open_folds, tallies, f"{key}/{unit.order}")
                open_folds.remove(fold)
                for level in unit.levels:
                    tallies[fold][level] += 1
                hands[fold].append(unit.name)
            start += len(block)
    return [_people_of_units(people, hand) for hand in hands]


def _least_like(
    levels: Sequence[str], folds: Sequence[int], tallies: Sequence[Counter[str]], key: str
) -> int:
    """The fold that holds fewest people of the same sex, age band and site; ties by hash."""
    alike = [sum([tallies[fold][level] for level in levels]) for fold in folds]
    fewest = min(alike)
    tied = [fold for fold, count in zip(folds, alike, strict=True) if count == fewest]
    return tied[0] if len(tied) == 1 else min(tied, key=lambda fold: _rank_key(key, str(fold)))


def pick_share(people: Sequence[Person], share: float, key: str) -> tuple[str, ...]:
    """Picks a share of people, families whole, in proportion to the strata.

    Each stratum of two units or more gives at least one and keeps at least one.

    Args:
        people: As :func:`benchmark.splitting.people.persons_of` returns.
        share: Between 0 and 1.
        key: Decides who is picked.

    Returns:
        The participants picked, sorted.
    """
    strata = _strata(people, key)
    quotas = _quotas([len(stratum) for stratum in strata], share)
    blocks = [
        block
        for stratum, quota in zip(strata, quotas, strict=True)
        if quota
        for block in _blocks(stratum, quota)
    ]
    picked = [min(block, key=lambda unit: unit.order).name for block in blocks]
    return _people_of_units(people, picked)


def _blocks(stratum: Sequence[_Unit], n_blocks: int) -> list[Sequence[_Unit]]:
    """Cuts a stratum into blocks of neighbours; the first ones are longer by one."""
    size, n_longer = divmod(len(stratum), n_blocks)
    edges = [k * size + min(k, n_longer) for k in range(n_blocks + 1)]
    return [stratum[begin:end] for begin, end in pairwise(edges)]


def _quotas(sizes: Sequence[int], share: float) -> list[int]:
    """Whole numbers near ``share * sizes`` that add up to the rounded total where they can."""
    exact = [share * size for size in sizes]
    quotas = [min(max(math.floor(x), 1), size - 1) for x, size in zip(exact, sizes, strict=True)]
    short = round(share * sum(sizes)) - sum(quotas)
    by_need = sorted(range(len(sizes)), key=lambda i: (quotas[i] - exact[i], i))
    for i in by_need[: max(short, 0)]:
        quotas[i] = min(quotas[i] + 1, max(sizes[i] - 1, 0))
    return quotas


def nested_order(people: Iterable[Person], key: str) -> list[str]:
    """Orders people so that every beginning of the list is proportional to the strata.

    Args:
        people: As :func:`benchmark.splitting.people.persons_of` returns.
        key: Decides the order within a stratum.

    Returns:
        All participant ids.
    """
    strata: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for person in people:
        ranked = (_rank_key(key, person.participant_id), person.participant_id)
        strata.setdefault(person.stratum, []).append(ranked)
    placed = [
        ((place + 0.5) / len(group), stratum, who)
        for stratum, group in strata.items()
        for place, (_, who) in enumerate(sorted(group))
    ]
    return [who for _, _, who in sorted(placed)]
