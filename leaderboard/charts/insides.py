"""What methods expose: means by class, routing of tasks to experts, maps of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks
from leaderboard.charts.palette import SHAPES, Palette
from leaderboard.formats import interval, score
from leaderboard.rows import records

__all__ = [
    "class_map",
    "class_map_alt_text",
    "class_means",
    "class_means_alt_text",
    "routing_alt_text",
    "routing_map",
]

CLASS_HEIGHT: Final = 18
TASK_HEIGHT: Final = 46
MAP_HEIGHT: Final = 320


def class_means(
    rows: pd.DataFrame, title: str, palette: Palette, *, limits: tuple[float, float]
) -> alt.LayerChart:
    """Draws means with intervals: a line for each item, the classes below one another in it.

    Args:
        rows: Columns ``item group value low high n`` in display order.
        title: Title of the horizontal axis.
        palette: Colours of the theme.
        limits: Of the horizontal axis, the same for charts that are compared.

    Returns:
        A layered chart in which classes differ by colour, shape and place.
    """
    data = rows[["item", "group", "value", "low", "high", "n"]]
    classes = list(dict.fromkeys(data["group"]))
    colour, shape = _by_class(classes, palette)
    scale = alt.Scale(domain=list(limits), nice=False, padding=12)
    axis = alt.Axis(labelLimit=150, ticks=False, domain=False, labelPadding=8)
    base = alt.Chart(data).encode(
        y=alt.Y("item:N", sort=list(dict.fromkeys(data["item"])), title=None, axis=axis),
        yOffset=alt.YOffset("group:N", sort=classes),
        color=colour,
        tooltip=[
            alt.Tooltip("item:N", title=" "),
            alt.Tooltip("group:N", title="Class"),
            alt.Tooltip("value:Q", title="Mean", format=".3f"),
            alt.Tooltip("low:Q", title="95 % from", format=".3f"),
            alt.Tooltip("high:Q", title="to", format=".3f"),
            alt.Tooltip("n:Q", title="People"),
        ],
    )
    across = alt.Axis(tickCount=5)
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=title, scale=scale, axis=across), x2="high:Q"
    )
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=alt.X("value:Q", title=title, scale=scale, axis=across), shape=shape
    )
    height = CLASS_HEIGHT * len(classes) * data["item"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[bars, points], height=height, config=looks(palette))


def class_means_alt_text(rows: pd.DataFrame, title: str) -> str:
    """Says in words what the chart shows."""
    parts = [
        f"{r.item}, {r.group} {score(r.value)} ({interval(r.low, r.high) or 'no interval'})"
        for r in records(rows)
    ]
    return f"{title} by class, means with 95 % intervals: " + "; ".join(parts) + "."


def routing_map(rows: pd.DataFrame, palette: Palette) -> alt.LayerChart:
    """Draws one fit's tasks by experts, each cell with its mean weight and the share who get it.

    Args:
        rows: Columns ``group`` (task) ``item`` (expert) ``value chosen`` in display order.
        palette: Colours of the theme.
    """
    data = rows[["group", "item", "value", "chosen"]].assign(
        expert=rows["item"].str.removeprefix("expert "),
        weight=[f"{value:.2f}" for value in rows["value"]],
        share=[f"{chosen:.0%}".replace("%", " %") for chosen in rows["chosen"]],
    )
    experts, tasks = list(dict.fromkeys(data["expert"])), list(dict.fromkeys(data["group"]))
    plain = alt.Axis(ticks=False, domain=False, grid=False, labelAngle=0, orient="top")
    left = alt.Axis(ticks=False, domain=False, grid=False, labelLimit=120)
    base = alt.Chart(data).encode(
        x=alt.X("expert:N", sort=experts, title="Expert", axis=plain),
        y=alt.Y("group:N", sort=tasks, title=None, axis=left),
        tooltip=[
            alt.Tooltip("group:N", title="Task"),
            alt.Tooltip("item:N", title="Expert"),
            alt.Tooltip("value:Q", title="Mean weight", format=".3f"),
            alt.Tooltip("share:N", title="People who get it"),
        ],
    )
    scale = alt.Scale(domain=[0, 1], range=[0.04, 0.6], clamp=True)
    cells = base.mark_rect(color=palette.groups[0], stroke=palette.muted, strokeWidth=0.5).encode(
        opacity=alt.Opacity("value:Q", scale=scale, legend=None)
    )
    weights = base.mark_text(dy=-6, fontSize=13, color=palette.ink).encode(text="weight:N")
    shares = base.mark_text(dy=9, fontSize=10, color=palette.ink).encode(text="share:N")
    height = TASK_HEIGHT * len(tasks) + 60
    return alt.LayerChart(layer=[cells, weights, shares], height=height, config=looks(palette))


def routing_alt_text(rows: pd.DataFrame) -> str:
    """Says in words what the chart shows."""
    parts = []
    for task, own in rows.groupby("group", sort=False):
        said = [f"{r.item} {score(r.value, 2)} ({r.chosen:.0%})" for r in records(own)]
        parts.append(f"{task}: {', '.join(said)}")
    return "Mean weight of each expert, with the share of people who get it. " + "; ".join(parts)


def class_map(points: pd.DataFrame, classes: Sequence[str], palette: Palette) -> alt.LayerChart:
    """Draws the map of one epoch; neither axis has a unit.

    Args:
        points: Columns ``x y group``, both between -1 and 1.
        classes: Classes in order, the same for all epochs.
        palette: Colours of the theme.
    """
    colour, shape = _by_class(classes, palette)
    scale = alt.Scale(domain=[-1.05, 1.05], nice=False)
    marks = (
        alt.Chart(points[["x", "y", "group"]])
        .mark_point(size=34, filled=True, opacity=0.75)
        .encode(
            x=alt.X("x:Q", axis=None, scale=scale),
            y=alt.Y("y:Q", axis=None, scale=scale),
            color=colour,
            shape=shape,
            tooltip=[alt.Tooltip("group:N", title="Class")],
        )
    )
    config = looks(palette)
    config.view = alt.ViewConfig(stroke=palette.grid)
    return alt.LayerChart(layer=[marks], height=MAP_HEIGHT, config=config)


def class_map_alt_text(points: pd.DataFrame, epoch: str) -> str:
    """Says what is drawn; what it shows in numbers is in the table of neighbours."""
    counts = points["group"].value_counts(sort=False)
    said = ", ".join(f"{n} {name}" for name, n in counts.items())
    return f"Map (t-SNE) of the embedding after epoch {epoch}: {said}. The table has numbers."


def _by_class(classes: Sequence[str], palette: Palette) -> tuple[alt.Color, alt.Shape]:
    shown = alt.Legend(title="Class", orient="top")
    places = range(len(classes))
    colours = [palette.groups[k % len(palette.groups)] for k in places]
    shapes = [SHAPES[k % len(SHAPES)] for k in places]
    return (
        alt.Color("group:N", scale=alt.Scale(domain=list(classes), range=colours), legend=shown),
        alt.Shape("group:N", scale=alt.Scale(domain=list(classes), range=shapes), legend=shown),
    )
