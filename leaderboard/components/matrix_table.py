"""The matrix of methods by cohort and task; a missing cell is shown as missing."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from leaderboard import formats
from leaderboard.components.markup import Markup, chip, element, join
from leaderboard.rows import ORACLE, UNSCORED, records
from leaderboard.wording import why_unscored

__all__ = ["Heading", "matrix_table"]


class Heading(NamedTuple):
    """One column: a cell of the board and how its scores are written."""

    cohort: str
    task: str
    protocol: str
    metric_title: str
    digits: int


def matrix_table(rows: pd.DataFrame, headings: list[Heading], caption: str) -> Markup:
    """Writes the matrix.

    Args:
        rows: Ranked rows of all cells shown, with ``label``.
        headings: The columns, in order.
        caption: Read out before the table.

    Returns:
        An HTML table; on a narrow screen each method becomes a card with one line for each cell.
    """
    head = element(
        "tr",
        element("th", "Method", scope="col", class_="method"),
        *(element("th", *_heading(h), scope="col") for h in headings),
    )
    lines = rows.drop_duplicates("key").sort_values(["track", "label"])
    lines = pd.concat([lines[lines["method"] == ORACLE], lines[lines["method"] != ORACLE]])
    cells: dict[tuple[str, ...], Any] = {
        (r.key, r.cohort, r.task, r.protocol): r for r in records(rows)
    }
    body = [_line(line, headings, cells) for line in records(lines)]
    return element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
        class_="nx-table matrix",
    )


def _heading(heading: Heading) -> list[str]:
    cohort, task, protocol, metric, _ = heading
    return [
        task,
        element("span", cohort, class_="quiet line"),
        element("span", f"{protocol}, {metric}", class_="quiet line"),
    ]


def _line(line: Any, headings: list[Heading], cells: dict[tuple[str, ...], Any]) -> Markup:
    name: str = line.label
    title = (
        name
        if line.method == ORACLE
        else element("a", name, href=f"cards?method={line.method}", target="_self")
    )
    first = element(
        "th",
        join(title, element("span", chip(line.track, "track"), class_="chips")),
        scope="row",
        class_="method",
    )
    rest = []
    for heading in headings:
        cohort, task, protocol, _, digits = heading
        row = cells.get((line.key, cohort, task, protocol))
        group = getattr(row, "shown_group", None)
        colour = (
            f"cell group-{min(int(group), 6)}"
            if group is not None and formats.is_known(group)
            else "cell"
        )
        label = f"{task}, {cohort}"
        rest.append(element("td", _cell(row, digits), class_=colour, data_label=label))
    return element("tr", first, *rest, class_="reference" if line.method == ORACLE else "")


def _cell(row: Any, digits: int) -> Markup:
    if row is None:
        return element("span", "missing", class_="quiet")
    if row.status in UNSCORED:
        return chip(row.status, "bad", why_unscored(row))
    spread = element("span", formats.interval(row.ci_low, row.ci_high, digits), class_="quiet line")
    value = element("strong", formats.score(row.score, digits))
    if not formats.is_known(row.shown_low):
        return join(value, spread)
    letter = formats.group_name(row.shown_group)
    badge = element("span", letter, class_="group", title=f"tie group {letter}")
    ranks = formats.rank_interval(row.shown_low, row.shown_high)
    rank = element("span", f"rank {ranks} ", badge, class_="line")
    return join(value, spread, rank)
