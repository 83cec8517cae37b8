"""All rows of one method, over cohorts and tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from leaderboard import formats
from leaderboard.components.markup import Markup, chip, element, join
from leaderboard.rows import UNSCORED, records
from leaderboard.wording import why_unscored

__all__ = ["card_table"]

_HEADINGS = ("Cohort", "Task", "Inputs", "Score", "n", "Rank, same inputs", "Evaluations on test")


def card_table(rows: pd.DataFrame, digits: Mapping[str, int], caption: str) -> Markup:
    """Writes the table of one method's rows.

    Args:
        rows: The method's rows of the board.
        digits: Digits after the point by metric.
        caption: Read out before the table.

    Returns:
        An HTML table.
    """
    head = element("tr", *(element("th", name, scope="col") for name in _HEADINGS))
    body = [_row(row, digits) for row in records(rows)]
    return element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
        class_="nx-table",
    )


def _row(row: Any, digits: Mapping[str, int]) -> Markup:
    mark = [chip("synthetic", "synthetic")] if row.synthetic else []
    protocol = element("span", row.protocol, class_="quiet line")
    cells: list[str] = [
        join(row.cohort, Markup(" "), *mark, protocol),
        row.task,
        row.track,
        _score(row, digits.get(row.metric, 3)),
        f"{row.n:.0f}" if formats.is_known(row.n) else formats.DASH,
        f"{formats.rank_interval(row.rank_low, row.rank_high)} {formats.group_name(row.tie_group)}",
        f"{row.test_evaluations:.0f}" if formats.is_known(row.test_evaluations) else formats.DASH,
    ]
    labelled = zip(_HEADINGS, cells, strict=True)
    return element("tr", *(element("td", c, class_="cell", data_label=h) for h, c in labelled))


def _score(row: Any, digits: int) -> Markup:
    if row.status in UNSCORED:
        reason = element("span", why_unscored(row), class_="quiet line")
        return join(chip(row.status, "bad"), reason)
    spread = formats.interval(row.ci_low, row.ci_high, digits)
    value = element("strong", f"{formats.score(row.score, digits)} {row.metric}")
    return join(value, element("span", spread, class_="quiet line"))
