"""Differences between the arms of claims, by verdict."""

from __future__ import annotations

from typing import Final

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks, score_axis
from leaderboard.charts.palette import Palette
from leaderboard.formats import interval, signed
from leaderboard.rows import records

__all__ = ["MARKS", "claim_forest", "claim_forest_alt_text", "mark"]

_LINES: Final = "split(datum.label, '|')"
ROW_HEIGHT: Final = 54
# By verdict that has a number: sign in a table, shape in a chart.
MARKS: Final = {
    "shown": ("\N{BLACK UP-POINTING TRIANGLE}", "triangle-up"),
    "not shown": ("\N{BLACK CIRCLE}", "circle"),
    "reversed": ("\N{BLACK DOWN-POINTING TRIANGLE}", "triangle-down"),
}
_OTHER: Final = ("\N{WHITE CIRCLE}", "diamond")


def mark(verdict: str) -> tuple[str, str]:
    """Sign and shape of a verdict, of one not known here too."""
    return MARKS.get(verdict, _OTHER)


def claim_forest(
    rows: pd.DataFrame, title: str, palette: Palette, *, digits: int = 3
) -> alt.LayerChart:
    """Draws each difference with its interval; positive where the claim holds.

    Args:
        rows: Columns ``name task lower higher difference low high verdict people`` in display
            order, lines with a difference alone.
        title: Title of the horizontal axis.
        palette: Colours of the theme.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart in which verdicts differ by colour and shape, zero as a dashed line.
    """
    data = rows.assign(
        label=[f"{r.name}|{r.task}: {r.higher}|over {r.lower}" for r in records(rows)],
        arms=[f"{r.higher} over {r.lower}" for r in records(rows)],
        interval=[
            interval(a, b, digits, sign=True) for a, b in zip(rows.low, rows.high, strict=True)
        ],
    )
    columns = ["label", "arms", "difference", "low", "high", "interval", "verdict", "people"]
    axis = alt.Axis(
        labelLimit=190, ticks=False, domain=False, labelPadding=8, labelExpr=_LINES, labelOffset=-14
    )
    verdicts = list(dict.fromkeys([*MARKS, *data["verdict"]]))
    scale = alt.Scale(domain=verdicts, range=_colours(verdicts, palette))
    shapes = alt.Scale(domain=verdicts, range=[mark(name)[1] for name in verdicts])
    legend = alt.Legend(title="Verdict", orient="top", labelLimit=300)
    base = alt.Chart(data[columns]).encode(
        y=alt.Y("label:N", sort=data["label"].tolist(), title=None, axis=axis),
        color=alt.Color("verdict:N", scale=scale, legend=legend),
        tooltip=[
            alt.Tooltip("arms:N", title="Arms"),
            alt.Tooltip("difference:Q", title=title, format=f"+.{digits}f"),
            alt.Tooltip("interval:N", title="95 % interval"),
            alt.Tooltip("verdict:N", title="Verdict"),
            alt.Tooltip("people:N", title="n"),
        ],
    )
    zero = (
        alt.Chart(pd.DataFrame({"difference": [0.0]}))
        .mark_rule(strokeDash=[4, 4], color=palette.muted)
        .encode(x="difference:Q")
    )
    bars = base.mark_rule(strokeWidth=2).encode(x=score_axis("low:Q", title), x2="high:Q")
    points = base.mark_point(size=90, filled=True, opacity=1).encode(
        x=score_axis("difference:Q", title), shape=alt.Shape("verdict:N", scale=shapes)
    )
    height = ROW_HEIGHT * len(data) + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[zero, bars, points], height=height, config=looks(palette))


def _colours(verdicts: list[str], palette: Palette) -> list[str]:
    found = {"shown": palette.groups[0], "reversed": palette.groups[1]}
    return [found.get(name, palette.muted) for name in verdicts]


def claim_forest_alt_text(rows: pd.DataFrame, title: str, digits: int = 3) -> str:
    """Says in words what the chart shows."""
    parts = [
        f"{r.name}, {r.task}, {r.higher} over {r.lower} {signed(r.difference, digits)} "
        f"({interval(r.low, r.high, digits, sign=True) or 'no interval'}), {r.verdict}"
        for r in records(rows)
    ]
    return f"{title}, with 95 % intervals: " + "; ".join(parts) + "."
