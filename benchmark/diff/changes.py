"""One thing that is not the same, as every comparison of two sides records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Change", "mapping_changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not the same: what kind of thing, which one, before and after."""

    kind: str
    name: str
    old: str
    new: str


def mapping_changes(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """Entries that differ between two mappings, by name; one that a side lacks is ``absent``.

    >>> mapping_changes("diagnosis", {"sub-1": "MCI", "sub-2": "CN"}, {"sub-1": "AD"})
    [Change(kind='diagnosis', name='sub-1', old='MCI', new='AD'), \
Change(kind='diagnosis', name='sub-2', old='CN', new='absent')]
    >>> mapping_changes("diagnosis", {}, {})
    []
    """
    return [
        Change(kind, name, old.get(name, "absent"), new.get(name, "absent"))
        for name in sorted(old.keys() | new.keys())
        if old.get(name, "absent") != new.get(name, "absent")
    ]
