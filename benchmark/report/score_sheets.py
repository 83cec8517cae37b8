"""The tables of a report about scores: ranks, calibration and all other metrics."""

from __future__ import annotations

from typing import Final

from benchmark.report.content import (
    Content,
    Row,
    is_oracle,
    number,
    row_name,
    what_intervals_hold_for,
)
from benchmark.report.sheet import Sheet

__all__ = ["calibration_sheet", "metrics_sheet", "ranking_sheet", "span", "value_with_interval"]

_NET_BENEFIT: Final = "net_benefit_"


def span(row: Row, low: str, high: str, *, sign: bool = False) -> str:
    """An interval as text; empty where there is none."""
    if row[low] is None:
        return ""
    return f"{number(row[low], sign=sign)} to {number(row[high], sign=sign)}"


def ranking_sheet(content: Content) -> Sheet:
    """Every row of the cell with its rank, rows without a score included."""
    title = content.metric.title
    columns = (
        "method",
        "track",
        "rank",
        "tie group",
        title,
        "95 % interval",
        "n",
        "gain over floor",
    )
    return Sheet(
        "ranking",
        f"Ranks within tracks by {title}",
        columns,
        tuple(_ranked_cells(row) for row in content.rows),
        "Rows of one tie group cannot be told apart. A rank interval holds for all rows of the "
        "track together. * gain whose interval is clear of zero.",
        what_intervals_hold_for(content),
    )


def _ranked_cells(row: Row) -> tuple[str, ...]:
    name = row["method"] + (f" (from {row['derived_from']})" if row["derived_from"] else "")
    if row["score"] is None:
        return (name, row["track"], "", "", row["status"], "", "", "")
    low, high = row["rank_low"], row["rank_high"]
    rank = "" if low is None else f"{low}" if low == high else f"{low} to {high}"
    rank = "not ranked" if is_oracle(row) else rank
    gain = number(row["floor_gain"], sign=True)
    if row["floor_gain_low"] is not None:
        gain += "*" if row["floor_gain_low"] > 0 or row["floor_gain_high"] < 0 else ""
    group = "" if row["tie_group"] is None else str(row["tie_group"])
    inside = span(row, "ci_low", "ci_high")
    return (name, row["track"], rank, group, number(row["score"]), inside, str(row["n"]), gain)


_CALIBRATION: Final = {
    "classification": (
        ("brier_score", "Brier"),
        ("calibration_slope", "slope"),
        ("calibration_intercept", "intercept"),
        ("ece", "ECE (descriptive)"),
    ),
    "regression": (("mae", "MAE"), ("r2", "R2"), ("age_bias_slope", "age-bias slope")),
}
_CALIBRATION_NOTES: Final = {
    "classification": "Slope is best at 1 (below: overconfident), intercept at 0, Brier score and "
    "ECE at 0; ECE is biased upwards in small samples and carries no interval.",
    "regression": "The slope of the error on the true age is best at 0; -1 is a constant answer.",
}


def calibration_sheet(content: Content) -> Sheet:
    """Calibration of every scored row, from the board's metrics."""
    wanted = _CALIBRATION[content.task.kind]
    columns = ("row", *(title for _, title in wanted))
    note = _CALIBRATION_NOTES[content.task.kind]
    rows = _stored(content, [name for name, _ in wanted])
    label = what_intervals_hold_for(content)
    return Sheet("calibration", "Calibration", columns, rows, note, label)


def metrics_sheet(content: Content) -> Sheet:
    """Every metric of the board that no other table shows of every row, and first places."""
    elsewhere = {content.metric.name, *(name for name, _ in _CALIBRATION[content.task.kind])}
    titles = {r["metric"]: r["title"] for r in content.metrics}
    names = [
        name
        for name in content.task.metrics
        if name in titles and name not in elsewhere and not name.startswith(_NET_BENEFIT)
    ]
    firsts = [_share(row["first_place_share"]) for row in content.scored]
    rows = [
        (name, first, *cells)
        for first, (name, *cells) in zip(firsts, _stored(content, names), strict=True)
    ]
    columns = ("row", "first places", *(titles[name] for name in names))
    binary = len(content.task.classes) == 2
    shown = "ranks, calibration and decision curves" if binary else "ranks and calibration"
    descriptive = {r["title"] for r in content.metrics if r["descriptive"]} & {*columns}
    note = (
        f"The others are under {shown}. First places: share of resamples in which the row "
        "is first in its track, ties shared."
    )
    if descriptive:
        note += f" {', '.join(sorted(descriptive))}: descriptive, the threshold is the test fold's."
    label = what_intervals_hold_for(content)
    return Sheet("metrics", "All other metrics", columns, tuple(rows), note, label)


def _share(value: object) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, float) else ""


def _stored(content: Content, names: list[str]) -> tuple[tuple[str, ...], ...]:
    """Every scored row with the board's value and interval of each metric."""
    cells = {(row_name(r), r["metric"]): value_with_interval(r) for r in content.metrics}
    return tuple(
        (row_name(row), *(cells.get((row_name(row), name), "") for name in names))
        for row in content.scored
    )


def value_with_interval(row: Row) -> str:
    """A metric of the board as text."""
    inside = span(row, "ci_low", "ci_high")
    return f"{number(row['score'])} ({inside})" if inside else number(row["score"])
