"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FAIL", "NOTE", "OK", "Finding"]

OK: Final = "ok"
NOTE: Final = "note"  # worth knowing; the default job runs
FAIL: Final = "fail"  # the default job cannot run


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and what was found.

    Attributes:
        area: Heading it belongs under.
        name: What was looked at.
        state: ``ok``, ``note`` or ``fail``.
        detail: What was found.
        remedy: What to do; empty where nothing is needed.
    """

    area: str
    name: str
    state: str
    detail: str
    remedy: str = ""
