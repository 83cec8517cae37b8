"""A table of plain cells that turns into cards on a narrow screen."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.components.markup import Markup, element

__all__ = ["facts_table"]


def facts_table(caption: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> Markup:
    """Writes the table.

    Args:
        caption: Read out before the table.
        headings: Of its columns; the first names the line.
        lines: Cells as text, escaped, or as markup.

    Returns:
        An HTML table.
    """
    head = element("tr", *(element("th", name, scope="col") for name in headings))
    return element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *(_line(headings, cells) for cells in lines)),
        class_="nx-table",
    )


def _line(headings: Sequence[str], cells: Sequence[str]) -> Markup:
    first = element("th", cells[0], scope="row", class_="method")
    rest = zip(headings[1:], cells[1:], strict=True)
    return element("tr", first, *(element("td", c, class_="cell", data_label=h) for h, c in rest))
