"""Forest plot: each method's score with its interval, by tie group."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks, method_axis, score_axis
from leaderboard.charts.palette import REFERENCE_GROUP, SHAPES, Palette
from leaderboard.formats import interval, rank_interval, score
from leaderboard.rows import records

__all__ = ["forest", "forest_alt_text"]

ROW_HEIGHT = 26


def forest(
    rows: pd.DataFrame,
    metric_title: str,
    palette: Palette,
    *,
    floor: float | None = None,
    digits: int = 3,
) -> alt.LayerChart:
    """Draws scores with intervals, in the order of the table.

    Args:
        rows: Columns ``label score ci_low ci_high group rank_low rank_high``, in display order;
            ``group`` is a letter, or "not ranked".
        metric_title: Title of the horizontal axis.
        palette: Colours of the theme.
        floor: Score of the confound floor, drawn as a dashed line; None draws none.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart.
    """
    data = rows.assign(
        interval=[interval(a, b, digits) for a, b in zip(rows.ci_low, rows.ci_high, strict=True)],
        ranks=[rank_interval(a, b) for a, b in zip(rows.rank_low, rows.rank_high, strict=True)],
    )[["label", "score", "ci_low", "ci_high", "group", "interval", "ranks"]]
    y = method_axis(data)
    colour, shape = _group_scales(list(dict.fromkeys(data["group"])), palette)
    base = alt.Chart(data)
    tooltip = [
        alt.Tooltip("label:N", title="Method"),
        alt.Tooltip("score:Q", title=metric_title, format=f".{digits}f"),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("ranks:N", title="Rank"),
        alt.Tooltip("group:N", title="Tie group"),
    ]
    bars = base.mark_rule(strokeWidth=2).encode(
        x=score_axis("ci_low:Q", metric_title), x2="ci_high:Q", y=y, color=colour, tooltip=tooltip
    )
    points = base.mark_point(size=80, filled=True, opacity=1).encode(
        x=score_axis("score:Q", metric_title), y=y, color=colour, shape=shape, tooltip=tooltip
    )
    layers: list[Any] = [bars, points]
    if floor is not None:
        layers.insert(0, _floor_line(floor, palette))
    height = ROW_HEIGHT * data["label"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=layers, height=height, config=looks(palette))


def forest_alt_text(rows: pd.DataFrame, metric_title: str, digits: int = 3) -> str:
    """Says in words what the forest plot shows."""
    if rows.empty:
        return "Forest plot without rows."
    parts = [
        f"{r.label} {score(r.score, digits)} "
        f"({interval(r.ci_low, r.ci_high, digits) or 'no interval'})"
        for r in records(rows)
    ]
    return f"Forest plot of {metric_title} with 95 % intervals: " + "; ".join(parts) + "."


def _floor_line(value: float, palette: Palette) -> alt.Chart:
    data = pd.DataFrame({"score": [value], "what": ["Confound floor"]})
    line: alt.Chart = (
        alt.Chart(data)
        .mark_rule(strokeDash=[4, 4], color=palette.muted)
        .encode(x="score:Q", tooltip=[alt.Tooltip("what:N", title=" "), alt.Tooltip("score:Q")])
    )
    return line


def _group_scales(groups: list[str], palette: Palette) -> tuple[alt.Color, alt.Shape]:
    ranked = sorted(g for g in groups if g != REFERENCE_GROUP)
    last = len(palette.groups) - 1
    domain = [*ranked, *([REFERENCE_GROUP] if REFERENCE_GROUP in groups else [])]
    colours = [palette.groups[min(i, last)] for i in range(len(ranked))]
    shapes = [SHAPES[min(i, len(SHAPES) - 1)] for i in range(len(ranked))]
    if REFERENCE_GROUP in groups:
        colours, shapes = [*colours, palette.muted], [*shapes, "triangle-left"]
    legend = alt.Legend(title="Tie group", orient="top", symbolStrokeWidth=2)
    return (
        alt.Color("group:N", scale=alt.Scale(domain=domain, range=colours), legend=legend),
        alt.Shape("group:N", scale=alt.Scale(domain=domain, range=shapes), legend=legend),
    )
