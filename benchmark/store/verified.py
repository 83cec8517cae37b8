"""Verifies a store against its hashes, once per process while its files stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from benchmark.store.cohort import Cohort

__all__ = ["verify_stores"]

_Stamp = tuple[tuple[str, int, int], ...]


def verify_stores(folders: Iterable[Path]) -> None:
    """Compares every part of the stores with its hash.

    A store whose files have the sizes and times of an earlier, successful call in this process is
    not read again.

    Args:
        folders: ``data/<cohort>`` of each store; one that is given twice is read once.

    Raises:
        CohortError: A store is missing, or a part is missing or damaged; it is named.
    """
    for folder in dict.fromkeys(folders):
        _verify(folder.absolute(), folder, _stamp(folder))


@cache
def _verify(_: Path, folder: Path, stamp: _Stamp) -> None:  # noqa: ARG001 - what the cache keys on
    Cohort(folder).verify()


def _stamp(folder: Path) -> _Stamp:
    facts = [(path, path.stat()) for path in sorted(folder.glob("*")) if path.is_file()]
    return tuple((path.name, fact.st_size, fact.st_mtime_ns) for path, fact in facts)
