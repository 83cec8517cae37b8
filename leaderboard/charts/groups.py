"""One row's score in each group of people, the worst group of each variable marked."""

from __future__ import annotations

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks, method_axis, score_axis, two_kinds
from leaderboard.charts.palette import Palette
from leaderboard.formats import interval, score
from leaderboard.rows import records

__all__ = ["groups", "groups_alt_text"]

ROW_HEIGHT = 24
OTHER = "group"
WORST = "worst group of its kind"


def groups(
    rows: pd.DataFrame, metric_title: str, palette: Palette, *, whole: float, digits: int = 3
) -> alt.LayerChart:
    """Draws the score of each group with its interval.

    Args:
        rows: Columns ``label score ci_low ci_high worst n`` in display order, scored groups only.
        metric_title: Title of the horizontal axis.
        palette: Colours of the theme.
        whole: Score on everybody, drawn as a dashed line.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart in which the worst groups differ by colour and shape.
    """
    data = rows.assign(kind=[WORST if worst else OTHER for worst in rows["worst"]])[
        ["label", "score", "ci_low", "ci_high", "kind", "n"]
    ]
    colour, shape = two_kinds(OTHER, WORST, palette, "triangle-down")
    base = alt.Chart(data).encode(
        y=method_axis(data),
        color=colour,
        tooltip=[
            alt.Tooltip("label:N", title="Group"),
            alt.Tooltip("score:Q", title=metric_title, format=f".{digits}f"),
            alt.Tooltip("ci_low:Q", title="95 % from", format=f".{digits}f"),
            alt.Tooltip("ci_high:Q", title="to", format=f".{digits}f"),
            alt.Tooltip("n:Q", title="n"),
        ],
    )
    line = (
        alt.Chart(pd.DataFrame({"score": [whole], "what": ["everybody"]}))
        .mark_rule(strokeDash=[4, 4], color=palette.muted)
        .encode(x="score:Q", tooltip=[alt.Tooltip("what:N", title=" "), alt.Tooltip("score:Q")])
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        x=score_axis("ci_low:Q", metric_title), x2="ci_high:Q"
    )
    points = base.mark_point(size=80, filled=True, opacity=1).encode(
        x=score_axis("score:Q", metric_title),
        shape=shape,
    )
    height = ROW_HEIGHT * data["label"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[line, bars, points], height=height, config=looks(palette))


def groups_alt_text(rows: pd.DataFrame, metric_title: str, digits: int = 3) -> str:
    """Says in words what the chart shows."""
    if rows.empty:
        return "No group has enough people."
    parts = [
        f"{r.label} {score(r.score, digits)} ({interval(r.ci_low, r.ci_high, digits)})"
        + (", the worst of its kind" if r.worst else "")
        for r in records(rows)
    ]
    return f"{metric_title} by group: " + "; ".join(parts) + "."
