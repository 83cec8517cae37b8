"""The sentences above a table: what is ranked, and which methods cannot be told apart."""

from __future__ import annotations

from typing import Any

import pandas as pd

from leaderboard import formats
from leaderboard.rows import FAILED, MISSING

__all__ = ["headline", "plain_list", "unscored_note", "why_unscored"]

SHOWN_AT_MOST = 5


def plain_list(names: list[str], most: int = SHOWN_AT_MOST) -> str:
    """Joins names for a sentence, counting those beyond ``most``.

    >>> plain_list(["a"]), plain_list(["a", "b", "c"]), plain_list(list("abcd"), most=2)
    ('a', 'a, b and c', 'a, b and 2 others')
    """
    shown, rest = names[:most], len(names) - most
    if rest > 0:
        shown = [*shown, f"{rest} other{'s' if rest > 1 else ''}"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def headline(rows: pd.DataFrame, what: str, metric_title: str) -> str:
    """Says in one or two sentences what is ranked and who cannot be told apart.

    Args:
        rows: Ranked rows with ``label`` and the ``shown_*`` columns.
        what: Task and cohort in words.
        metric_title: The metric that ranks.

    Returns:
        Plain text.
    """
    ranked = rows.loc[rows["shown_low"].notna()].sort_values("shown_position")
    if ranked.empty:
        return f"No method is ranked on {what}: nothing has been scored here yet."
    count = len(ranked)
    if count == 1:
        return f"Only {ranked['label'].iloc[0]} is scored on {what}, so there is nothing to rank."
    first = f"{count} methods are ranked by {metric_title} on {what}."
    top = ranked.loc[ranked["shown_group"] == 1]
    names = top["label"].tolist()
    if len(names) == count:
        return f"{first} None of them can be told apart from the best.{_needed(ranked)}"
    if len(names) > 1:
        return f"{first} {plain_list(names)} cannot be told apart for first place.{_needed(ranked)}"
    return f"{first} {names[0]} is separated from every other method."


def _needed(ranked: pd.DataFrame) -> str:
    more = ranked["shown_more"].iloc[0]
    if not formats.is_known(more) or more <= 0:
        return ""
    return (
        f" About {more:,.0f} more participants would be needed to separate the top two"
        " at the difference seen here."
    )


def unscored_note(rows: pd.DataFrame) -> str:
    """Counts failed and missing rows; empty where all were scored."""
    parts = []
    for status, word in ((FAILED, "failed"), (MISSING, "missing")):
        count = int((rows["status"] == status).sum())
        if count:
            parts.append(f"{count} {word}")
    return f"Not scored: {' and '.join(parts)}; the table says why." if parts else ""


def why_unscored(row: Any) -> str:
    """Why a failed or missing row has no score: what the board recorded, if anything."""
    if isinstance(row.error, str) and row.error:
        return row.error
    return "not run on this cohort and task" if row.status == MISSING else "no reason recorded"
