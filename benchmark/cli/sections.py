"""What the verbs that compare two sides print: a heading with lines below it, cut where long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["MOST_LINES", "section"]

MOST_LINES = 40


def section(
    console: Console, title: str, lines: Sequence[str], remedy: str, most: int = MOST_LINES
) -> None:
    """Prints a heading and its first lines; ``remedy`` says how to see the others."""
    console.print(title, style="bold", markup=False)
    for line in lines[:most]:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if len(lines) > most:
        console.print(f"  and {len(lines) - most} more ({remedy})")
