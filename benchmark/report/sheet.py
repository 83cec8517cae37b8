"""A table of a report as plain cells; HTML and LaTeX are two ways to write it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sheet"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table.

    Attributes:
        name: Stem of its file.
        title: Caption.
        columns: Headings.
        rows: Cells as text, one tuple per row.
        note: How to read it; or why it is empty.
        intervals: What its intervals hold for; empty where it has none.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    intervals: str = ""
