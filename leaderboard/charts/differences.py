"""Differences with intervals around zero: drops elsewhere, gaps between groups, optimism."""

from __future__ import annotations

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks, method_axis, score_axis, two_kinds
from leaderboard.charts.palette import Palette
from leaderboard.formats import interval, signed
from leaderboard.rows import records

__all__ = ["CLEAR", "UNCLEAR", "differences", "differences_alt_text"]

ROW_HEIGHT = 26
CLEAR = "clear of zero"
UNCLEAR = "not clear of zero"


def differences(
    rows: pd.DataFrame, title: str, palette: Palette, *, digits: int = 3
) -> alt.LayerChart:
    """Draws one difference a line, with zero as a dashed line.

    Args:
        rows: Columns ``label value low high clear`` in display order; ``clear`` says whether the
            difference counts as other than zero.
        title: Title of the horizontal axis.
        palette: Colours of the theme.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart in which the two kinds differ by colour and shape.
    """
    spans = zip(rows["low"], rows["high"], strict=True)
    data = rows.assign(
        kind=[CLEAR if clear else UNCLEAR for clear in rows["clear"]],
        interval=[interval(a, b, digits, sign=True) for a, b in spans],
    )[["label", "value", "low", "high", "kind", "interval"]]
    colour, shape = two_kinds(UNCLEAR, CLEAR, palette)
    base = alt.Chart(data).encode(
        y=method_axis(data),
        color=colour,
        tooltip=[
            alt.Tooltip("label:N", title="Row"),
            alt.Tooltip("value:Q", title=title, format=f"+.{digits}f"),
            alt.Tooltip("interval:N", title="95 % interval"),
        ],
    )
    zero = (
        alt.Chart(pd.DataFrame({"value": [0.0]}))
        .mark_rule(strokeDash=[4, 4], color=palette.muted)
        .encode(x="value:Q")
    )
    bars = base.mark_rule(strokeWidth=2).encode(x=score_axis("low:Q", title), x2="high:Q")
    points = base.mark_point(size=80, filled=True, opacity=1).encode(
        x=score_axis("value:Q", title),
        shape=shape,
    )
    height = ROW_HEIGHT * data["label"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[zero, bars, points], height=height, config=looks(palette))


def differences_alt_text(rows: pd.DataFrame, title: str, digits: int = 3) -> str:
    """Says in words what the chart shows."""
    if rows.empty:
        return f"{title}: no row."
    parts = [
        f"{r.label} {signed(r.value, digits)} "
        f"({interval(r.low, r.high, digits, sign=True) or 'no interval'})"
        for r in records(rows)
    ]
    return f"{title}, with 95 % intervals: " + "; ".join(parts) + "."
