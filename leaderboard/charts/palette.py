"""Colours and shapes that colour-blind readers can tell apart, on light and on dark ground.

References:
    Okabe and Ito 2008, Color Universal Design, https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["REFERENCE_GROUP", "SHAPES", "Palette", "palette_for"]

SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
REFERENCE_GROUP: Final = "not ranked"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme.

    Attributes:
        groups: One colour for each tie group; the last one serves all further groups.
        ink: Text and axis colour.
        muted: Reference lines and rows that are not ranked.
        grid: Grid lines.
    """

    groups: tuple[str, ...]
    ink: str
    muted: str
    grid: str


_LIGHT = Palette(
    ("#0b63a5", "#b34700", "#00785a", "#a3457d", "#7a5c00", "#4a5560"),
    ink="#1b1f24",
    muted="#5c6670",
    grid="#e3e7eb",
)
_DARK = Palette(
    ("#7cc0f5", "#f0a35e", "#4fd0a7", "#e6a0c8", "#e8d44d", "#b9c2ca"),
    ink="#e9ecef",
    muted="#9aa5af",
    grid="#333a41",
)


def palette_for(theme: str | None) -> Palette:
    """Returns the palette of a theme: dark for "dark", light for anything else."""
    return _DARK if theme == "dark" else _LIGHT
