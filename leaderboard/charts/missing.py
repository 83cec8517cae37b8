"""Scores with modalities missing: by what is left, and by the share that is dropped at random."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks, method_axis, score_axis
from leaderboard.charts.palette import SHAPES, Palette
from leaderboard.formats import interval, score
from leaderboard.rows import records

__all__ = ["dropping", "dropping_alt_text", "subsets", "subsets_alt_text"]

ROW_HEIGHT = 30
CURVE_HEIGHT = 300
_COLUMNS = ["left", "people", "score", "ci_low", "ci_high", "n"]


def subsets(
    rows: pd.DataFrame, metric_title: str, palette: Palette, *, digits: int = 3
) -> alt.LayerChart:
    """Draws the score for each set of modalities that is left, for several sets of people.

    Args:
        rows: Columns ``left people score ci_low ci_high n`` in display order, scored lines only.
        metric_title: Title of the horizontal axis.
        palette: Colours of the theme.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart in which the people differ by colour, shape and vertical offset.
    """
    colour, shape = _by_people(rows, palette)
    names = list(dict.fromkeys(rows["people"]))
    data = rows[_COLUMNS].rename(columns={"left": "label"})
    base = alt.Chart(data).encode(
        y=method_axis(data),
        yOffset=alt.YOffset("people:N", sort=names),
        color=colour,
        tooltip=[alt.Tooltip("label:N", title="Left"), *_tooltip(metric_title, digits)],
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        x=score_axis("ci_low:Q", metric_title), x2="ci_high:Q"
    )
    points = base.mark_point(size=60, filled=True, opacity=1).encode(
        x=score_axis("score:Q", metric_title), shape=shape
    )
    height = ROW_HEIGHT * data["label"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[bars, points], height=height, config=looks(palette))


def dropping(
    rows: pd.DataFrame, metric_title: str, palette: Palette, *, digits: int = 3
) -> alt.LayerChart:
    """Draws the score against the share of modalities dropped at random.

    Args:
        rows: Columns ``percent people score ci_low ci_high n``, scored lines only.
        metric_title: Title of the vertical axis.
        palette: Colours of the theme.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart in which the people differ by colour and shape.
    """
    colour, shape = _by_people(rows, palette)
    data = rows[["percent", *_COLUMNS[1:]]].astype({"percent": "int64"})
    percents = sorted(set(data["percent"]))
    axis = alt.Axis(values=percents, labelExpr="datum.value + ' %'", grid=False)
    scale = alt.Scale(zero=False, padding=12)
    base = alt.Chart(data).encode(
        x=alt.X(
            "percent:Q",
            title="Dropped at random",
            axis=axis,
            scale=alt.Scale(nice=False, padding=14),
        ),
        color=colour,
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        y=alt.Y("ci_low:Q", title=metric_title, scale=scale), y2="ci_high:Q"
    )
    y = alt.Y("score:Q", title=metric_title, scale=scale)
    lines = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        y=y,
        shape=shape,
        tooltip=[alt.Tooltip("percent:Q", title="Dropped, %"), *_tooltip(metric_title, digits)],
    )
    layers = [bars, lines, points]
    return alt.LayerChart(layer=layers, height=CURVE_HEIGHT, config=looks(palette))


def subsets_alt_text(rows: pd.DataFrame, metric_title: str, digits: int = 3) -> str:
    """Says in words what the chart of subsets shows."""
    said = [f"{r.left}, {_said(r, digits)}" for r in records(rows)]
    return f"{metric_title} by modalities left. " + "; ".join(said) + "."


def dropping_alt_text(rows: pd.DataFrame, metric_title: str, digits: int = 3) -> str:
    """Says in words what the curve shows."""
    said = [f"{r.percent} % dropped, {_said(r, digits)}" for r in records(rows)]
    return f"{metric_title} with modalities dropped at random. " + "; ".join(said) + "."


def _said(row: Any, digits: int) -> str:
    spread = interval(row.ci_low, row.ci_high, digits)
    return f"{row.people} (n {row.n}): {score(row.score, digits)}" + (spread and f" ({spread})")


def _by_people(rows: pd.DataFrame, palette: Palette) -> tuple[alt.Color, alt.Shape]:
    names = list(dict.fromkeys(rows["people"]))
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=300)
    colours = alt.Scale(domain=names, range=list(palette.groups[: len(names)]))
    shapes = alt.Scale(domain=names, range=list(SHAPES[: len(names)]))
    return (
        alt.Color("people:N", scale=colours, legend=legend),
        alt.Shape("people:N", scale=shapes, legend=legend),
    )


def _tooltip(metric_title: str, digits: int) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("people:N", title="People"),
        alt.Tooltip("score:Q", title=metric_title, format=f".{digits}f"),
        alt.Tooltip("ci_low:Q", title="95 % from", format=f".{digits}f"),
        alt.Tooltip("ci_high:Q", title="to", format=f".{digits}f"),
        alt.Tooltip("n:Q", title="n"),
    ]
