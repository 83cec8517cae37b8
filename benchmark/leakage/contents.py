"""Finds one measurement under two names: equal fMRI series, or equal regional measurements.

Cohorts without volumes have their images in these alone. Equal means every number: two brains agree
in one rounded volume by chance, and not in five measurements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import combinations
from typing import Final

import numpy as np

from benchmark import vocabulary as v
from benchmark.leakage.images import ImageTwins
from benchmark.store.cohort import Cohort

__all__ = ["LEAST_MEASUREMENTS", "contents_of", "equal_contents"]

LEAST_MEASUREMENTS: Final = 5
_REGIONS = "regions"
_FMRI_ROW = f"{v.FMRI}_row"

Content = tuple[str, str]  # SHA-256 and whose


def contents_of(cohort: Cohort) -> list[Content]:
    """Hashes of what was measured in each person: fMRI series, and rows of ``regions``.

    Rows with fewer than :data:`LEAST_MEASUREMENTS` numbers are left out.
    """
    return [*_series(cohort), *_rows(cohort)]


def equal_contents(contents: list[Content]) -> list[ImageTwins]:
    """Pairs of people with equal contents, each pair once and sorted.

    >>> pair, = equal_contents([("aa", "sub-2"), ("bb", "sub-3"), ("aa", "sub-1")])
    >>> pair.first, pair.second
    ('sub-1', 'sub-2')
    >>> equal_contents([("aa", "sub-1"), ("aa", "sub-1")])
    []
    """
    owners: dict[str, set[str]] = {}
    for digest, who in contents:
        owners.setdefault(digest, set()).add(who)
    pairs = {pair for ids in owners.values() for pair in combinations(sorted(ids), 2)}
    return [ImageTwins(first, second, 1.0, exact=True) for first, second in sorted(pairs)]


def _series(cohort: Cohort) -> Iterator[Content]:
    if not cohort.has(v.FMRI) or _FMRI_ROW not in cohort.visits:
        return
    series = cohort.array(v.FMRI)
    measured = cohort.visits.loc[cohort.visits[_FMRI_ROW] >= 0]
    for who, row in zip(measured[v.PARTICIPANT_ID], measured[_FMRI_ROW], strict=True):
        yield hashlib.sha256(np.ascontiguousarray(series[int(row)]).data).hexdigest(), str(who)


def _rows(cohort: Cohort) -> Iterator[Content]:
    if not cohort.has(_REGIONS):
        return
    table = cohort.table(_REGIONS)
    names = sorted(table.columns.difference([v.PARTICIPANT_ID, v.SESSION_ID]))
    values = table[names].to_numpy(dtype=np.float64, na_value=np.nan)
    for who, row in zip(table[v.PARTICIPANT_ID], values, strict=True):
        known = [(name, float(x)) for name, x in zip(names, row, strict=True) if np.isfinite(x)]
        if len(known) >= LEAST_MEASUREMENTS:
            yield hashlib.sha256(repr(known).encode()).hexdigest(), str(who)
