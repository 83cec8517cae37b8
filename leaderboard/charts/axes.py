"""Axes and looks that all charts of scores by method share."""

from __future__ import annotations

import altair as alt
import pandas as pd

from leaderboard.charts.palette import Palette

__all__ = ["AXIS_AND_LEGEND", "looks", "method_axis", "score_axis", "two_kinds"]

AXIS_AND_LEGEND = 105  # pixels that the axis below and the legend above take


def score_axis(field: str, title: str) -> alt.X:
    """The horizontal axis: scores, not forced to start at 0, with room for the outermost marks."""
    scale = alt.Scale(zero=False, nice=False, padding=12)
    return alt.X(field, title=title, scale=scale, axis=alt.Axis(tickCount=5))


def method_axis(rows: pd.DataFrame) -> alt.Y:
    """The vertical axis: one line for each ``label``, in the order of the rows.

    The order is stated, since a layered chart loses sorting by value.
    """
    axis = alt.Axis(labelLimit=190, ticks=False, domain=False, labelPadding=8)
    return alt.Y("label:N", sort=list(dict.fromkeys(rows["label"])), title=None, axis=axis)


def two_kinds(
    plain: str, marked: str, palette: Palette, shape: str = "diamond"
) -> tuple[alt.Color, alt.Shape]:
    """Colour and shape by the field ``kind``: circles, and marks of another colour and shape.

    The names stand below one another, since side by side they do not fit on a phone.
    """
    domain = [plain, marked]
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=300)
    colours = alt.Scale(domain=domain, range=list(palette.groups[:2]))
    shapes = alt.Scale(domain=domain, range=["circle", shape])
    return (
        alt.Color("kind:N", scale=colours, legend=legend),
        alt.Shape("kind:N", scale=shapes, legend=legend),
    )


def looks(palette: Palette) -> alt.Config:
    """Text and grid colours of a theme, on a transparent ground."""
    return alt.Config(
        background="transparent",
        axis=alt.AxisConfig(
            labelColor=palette.ink,
            titleColor=palette.ink,
            gridColor=palette.grid,
            domainColor=palette.muted,
            tickColor=palette.muted,
            labelFontSize=12,
            titleFontSize=12,
        ),
        legend=alt.LegendConfig(
            labelColor=palette.ink, titleColor=palette.ink, labelFontSize=12, titleFontSize=12
        ),
        view=alt.ViewConfig(stroke=None),
    )
