"""Finds one measurement under two names: equal fMRI series, or equal regional measurements.

Cohorts without volumes have their images in these alone. Equal means every number: two brains agree
in one rounded volume by chance, and not in five measurements that differ. What holds no
information, as zeros where nothing was measured, is nobody's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from benchmark import vocabulary as v
from benchmark.leakage.images import ImageTwins
from benchmark.store.cohort import Cohort

__all__ = ["LEAST_MEASUREMENTS", "Content", "contents_of", "equal_contents"]

LEAST_MEASUREMENTS: Final = 5
_REGIONS = "regions"
_FMRI_ROW = f"{v.FMRI}_row"


class Content(NamedTuple):
    """What was measured in one person at one visit.

    Attributes:
        kind: In words, e.g. ``fMRI series``.
        digest: SHA-256 of every number.
        whose: The participant.
    """

    kind: str
    digest: str
    whose: str


def contents_of(cohort: Cohort) -> list[Content]:
    """Hashes of what was measured in each person: fMRI series, and rows of ``regions``.

    Left out are series that are constant or not finite, and rows with fewer than
    :data:`LEAST_MEASUREMENTS` different numbers.
    """
    return [*_series(cohort), *_rows(cohort)]


def equal_contents(contents: Iterable[Content]) -> list[ImageTwins]:
    """People with equal contents, sorted: of each group the first with every other.

    Where any two of a group are in different parts, one of these pairs is.

    >>> pair, = equal_contents([Content("x", "aa", "sub-2"), Content("x", "aa", "sub-1")])
    >>> pair.first, pair.second
    ('sub-1', 'sub-2')
    >>> equal_contents([Content("x", "aa", "sub-1"), Content("x", "aa", "sub-1")])
    []
    """
    owners: dict[tuple[str, str], set[str]] = {}
    for kind, digest, who in contents:
        owners.setdefault((kind, digest), set()).add(who)
    pairs = set()
    for (kind, _), ids in owners.items():
        first, *others = sorted(ids)
        pairs |= {(first, other, kind) for other in others}
    return [ImageTwins(a, b, 1.0, exact=True, kind=kind) for a, b, kind in sorted(pairs)]


def _series(cohort: Cohort) -> Iterator[Content]:
    if not cohort.has(v.FMRI) or _FMRI_ROW not in cohort.visits:
        return
    series = cohort.array(v.FMRI)
    measured = cohort.visits.loc[cohort.visits[_FMRI_ROW] >= 0]
    for who, row in zip(measured[v.PARTICIPANT_ID], measured[_FMRI_ROW], strict=True):
        values = np.ascontiguousarray(series[int(row)])
        if np.isfinite(values).all() and values.min() < values.max():
            yield Content("fMRI series", hashlib.sha256(values.data).hexdigest(), str(who))


def _rows(cohort: Cohort) -> Iterator[Content]:
    if not cohort.has(_REGIONS):
        return
    table = cohort.table(_REGIONS)
    names = table.columns.difference([v.PARTICIPANT_ID, v.SESSION_ID]).sort_values()
    values = table[names].to_numpy(dtype=np.float64, na_value=np.nan)
    heads: dict[bytes, bytes] = {}  # names of what is known, hashed once
    for who, row, known in zip(table[v.PARTICIPANT_ID], values, np.isfinite(values), strict=True):
        numbers = row[known]
        if len(set(numbers.tolist())) < LEAST_MEASUREMENTS:
            continue
        which = known.tobytes()
        if which not in heads:
            heads[which] = hashlib.sha256(repr(list(names[known])).encode()).digest()
        digest = hashlib.sha256(heads[which] + numbers.tobytes()).hexdigest()
        yield Content("regional measurements", digest, str(who))
