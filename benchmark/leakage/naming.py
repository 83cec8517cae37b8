"""How participants are listed in a refusal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed"]

_MOST_SHOWN = 10


def listed(names: Sequence[str]) -> str:
    """Joins up to ten names and counts the others.

    >>> listed(["sub-1", "sub-2"])
    'sub-1, sub-2'
    """
    more = len(names) - _MOST_SHOWN
    tail = f" and {more} more" if more > 0 else ""
    return ", ".join(names[:_MOST_SHOWN]) + tail
