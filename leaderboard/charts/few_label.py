"""The few-label curve: score against the share of training labels."""

from __future__ import annotations

import altair as alt
import pandas as pd

from leaderboard.charts.axes import looks
from leaderboard.charts.palette import SHAPES, Palette
from leaderboard.formats import score
from leaderboard.rows import records

__all__ = ["MOST_CURVES", "few_label", "few_label_alt_text"]

HEIGHT = 340
MOST_CURVES = len(SHAPES)  # that colour and shape can tell apart


def few_label(
    rows: pd.DataFrame, metric_title: str, palette: Palette, *, digits: int = 3
) -> alt.LayerChart:
    """Draws a curve for each row; an omitted point is a cross on the lower edge.

    Args:
        rows: Columns ``label percent score ci_low ci_high status note``; at most ``MOST_CURVES``
            labels.
        metric_title: Title of the vertical axis.
        palette: Colours of the theme.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart in which the rows differ by colour and shape.
    """
    names = list(dict.fromkeys(rows["label"]))
    # One name a line above the chart: a legend beside it leaves nothing of it on a phone.
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=300)
    colours = alt.Scale(domain=names, range=list(palette.groups[: len(names)]))
    shown = rows.loc[rows["status"] == "done"]
    percents = sorted(int(p) for p in rows["percent"].unique())
    axis = alt.Axis(values=percents, labelExpr="datum.value + ' %'", grid=False)
    x = alt.X(
        "percent:Q",
        title="Training labels",
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=axis,
    )
    y = alt.Y("score:Q", title=metric_title, scale=alt.Scale(zero=False, padding=12))
    base = alt.Chart(shown[["label", "percent", "score", "ci_low", "ci_high"]]).encode(
        x=x, color=alt.Color("label:N", scale=colours, legend=legend)
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        y=alt.Y("ci_low:Q", title=metric_title, scale=alt.Scale(zero=False, padding=12)),
        y2="ci_high:Q",
    )
    lines = base.mark_line(strokeWidth=2).encode(y=y)
    shapes = alt.Scale(domain=names, range=list(SHAPES[: len(names)]))
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        y=y,
        shape=alt.Shape("label:N", scale=shapes, legend=legend),
        tooltip=[
            alt.Tooltip("label:N", title="Row"),
            alt.Tooltip("percent:Q", title="Labels, %"),
            alt.Tooltip("score:Q", title=metric_title, format=f".{digits}f"),
            alt.Tooltip("ci_low:Q", title="95 % from", format=f".{digits}f"),
            alt.Tooltip("ci_high:Q", title="to", format=f".{digits}f"),
        ],
    )
    absent = rows.loc[rows["status"] != "done", ["label", "percent", "note"]]
    crosses = (
        alt.Chart(absent.drop_duplicates("percent"))
        .mark_point(shape="cross", angle=45, size=90, filled=True, opacity=1, yOffset=-9)
        .encode(
            x=x,
            color=alt.value(palette.muted),
            y=alt.value("height"),  # the lower edge, whatever axis and legend leave
            tooltip=[
                alt.Tooltip("percent:Q", title="Omitted, % of labels"),
                alt.Tooltip("note:N", title="Why"),
            ],
        )
    )
    layers = [bars, lines, points, *([crosses] if len(absent) else [])]
    return alt.LayerChart(layer=layers, height=HEIGHT, config=looks(palette))


def few_label_alt_text(rows: pd.DataFrame, metric_title: str, digits: int = 3) -> str:
    """Says in words what the curve shows."""
    if rows.empty:
        return "No few-label curve."
    parts = []
    for name, curve in rows.groupby("label", sort=False):
        said = ", ".join(
            f"{r.percent:.0f} % {score(r.score, digits) if r.status == 'done' else r.status}"
            for r in records(curve)
        )
        parts.append(f"{name}: {said}")
    return f"{metric_title} by share of training labels. " + "; ".join(parts) + "."
