"""Lines of the robustness tables as a page shows them; no I/O and no statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from benchmark.results.people import SUBGROUPS
from leaderboard import formats
from leaderboard.components.markup import Markup, chip, element, join
from leaderboard.rows import records
from leaderboard.state import Selection

__all__ = [
    "DROP",
    "FULL",
    "GAP_COLUMNS",
    "PEOPLE",
    "as_differences",
    "curves_in_order",
    "group_rows",
    "interval_cell",
    "left_title",
    "lines_of",
    "score_or_status",
    "subsets_in_order",
    "why_empty",
]

# Values of ``missing_modalities``; a test checks them against the package that writes them.
FULL: Final = "full"
DROP: Final = "drop-"
PEOPLE: Final = {
    "everybody": "everybody",
    "complete": "complete cases",
    "some": "those left with some",
}
GAP_COLUMNS: Final = {"value": "gap", "low": "gap_low", "high": "gap_high"}


def lines_of(
    table: pd.DataFrame, rows: pd.DataFrame, where: Selection, *, any_protocol: bool = False
) -> pd.DataFrame:
    """Lines about the rows that a page shows, in their order, with their ``label``.

    Args:
        table: A robustness table with ``key``.
        rows: Rows shown, with ``key`` and ``label``, in display order.
        where: Cohort, task and protocol.
        any_protocol: Take lines of every protocol, as a few-label curve has.
    """
    here = (table["cohort"] == where.cohort) & (table["task"] == where.task)
    if not any_protocol:
        here &= table["protocol"] == where.protocol
    names = dict(zip(rows["key"], rows["label"], strict=True))
    order = {key: place for place, key in enumerate(rows["key"])}
    lines = table.loc[here & table["key"].isin(list(names))]
    lines = lines.assign(label=lines["key"].map(names), _place=lines["key"].map(order))
    return lines.sort_values("_place", kind="stable").drop(columns="_place").reset_index(drop=True)


def as_differences(
    lines: pd.DataFrame, columns: Mapping[str, str] | None = None, clear: str = ""
) -> pd.DataFrame:
    """Lines as the chart of differences takes them; those without a value are left out.

    Args:
        lines: With ``label``.
        columns: Column of ``value``, ``low`` and ``high``; those of a drop by default.
        clear: Column that says whether the difference is real; by default the interval does.
    """
    named = columns or {"value": "drop", "low": "drop_low", "high": "drop_high"}
    found = lines.assign(
        **{name: lines[column].astype("float64") for name, column in named.items()}
    )
    outside = (found["low"] > 0) | (found["high"] < 0)
    marked = found[clear] if clear else outside
    return found.assign(clear=marked)[["label", "value", "low", "high", "clear"]].dropna(
        subset=["value"]
    )


def group_rows(lines: pd.DataFrame) -> pd.DataFrame:
    """Scored groups of one row as the chart of groups takes them."""
    shown = lines.loc[lines["status"] == "done"]
    names = shown["variable"].map(SUBGROUPS) + " " + shown["group"]
    counts = shown["n"].astype("int64").astype("str")
    return shown.assign(label=names + ", n " + counts, n=shown["n"].astype("int64"))


def score_or_status(value: Any, status: str, note: str, digits: int) -> Markup:
    """A score, or why there is none."""
    if status == "done":
        return element("strong", formats.score(value, digits))
    return join(chip(status, "bad"), element("span", note, class_="quiet line"))


def interval_cell(value: Any, low: Any, high: Any, digits: int, *, sign: bool = True) -> Markup:
    """A value over its interval."""
    write = formats.signed if sign else formats.score
    spread = formats.interval(low, high, digits, sign=sign)
    return join(write(value, digits), element("span", spread, class_="quiet line"))


def why_empty(says: Mapping[str, str], names: Sequence[str]) -> str:
    """Why some tables have no line for what a page shows."""
    said = dict.fromkeys(says[name] for name in names)
    empty = [text.partition(": ")[2] or text for text in said if text.startswith("empty")]
    if not empty:
        return "Nothing here for this cohort, task and protocol."
    return f"Nothing here yet: {'; '.join(empty)}."


def curves_in_order(lines: pd.DataFrame) -> pd.DataFrame:
    """Few-label lines curve by curve, from few labels to all."""
    names = list(dict.fromkeys(r.label for r in records(lines)))
    place = lines["label"].map({name: i for i, name in enumerate(names)})
    ordered = lines.assign(_place=place, percent=lines["percent"].astype("int64"))
    return ordered.sort_values(["_place", "percent"]).drop(columns="_place").reset_index(drop=True)


def left_title(shown: str, whole: Sequence[str]) -> str:
    """How a set of modalities is written: by what is left, or by what is missing if that is less.

    >>> left_title("report+t1w", ["fmri", "report", "t1w"]), left_title("t1w", ["report", "t1w"])
    ('without fmri', 't1w')
    >>> left_title("full", ["report", "t1w"]), left_title("drop-50", ["report", "t1w"])
    ('everything', '50 % dropped')
    """
    if shown == FULL:
        return "everything"
    if shown.startswith(DROP):
        return f"{shown.removeprefix(DROP)} % dropped"
    kept = shown.split("+")
    hidden = [name for name in whole if name not in kept]
    by_name = not hidden or len(kept) <= len(hidden)
    return ", ".join(kept) if by_name else f"without {', '.join(hidden)}"


def subsets_in_order(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines of one row by modalities left: the full set first, then the larger sets, then drops.

    ``left`` is added, as :func:`left_title` writes it.
    """
    plain = [s for s in lines["shown"] if s != FULL and not s.startswith(DROP)]
    whole = sorted({name for shown in plain for name in shown.split("+")})
    rank = [0 if s == FULL else 2 if s.startswith(DROP) else 1 for s in lines["shown"]]
    sizes = -lines["n_modalities"].astype("float64").fillna(0.0)
    people = lines["people"].map({name: place for place, name in enumerate(PEOPLE)})
    ordered = lines.assign(
        left=[left_title(s, whole) for s in lines["shown"]],
        _rank=rank,
        _size=sizes,
        _people=people,
    )
    by = ["_rank", "_size", "shown", "_people"]
    return ordered.sort_values(by).drop(columns=by[:2] + by[3:]).reset_index(drop=True)
