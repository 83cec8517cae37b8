"""In-domain against external: one line for each method from the one score to the other."""

from __future__ import annotations

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks, method_axis, score_axis
from leaderboard.charts.palette import Palette
from leaderboard.formats import score
from leaderboard.rows import records

__all__ = ["transfer", "transfer_alt_text"]

ROW_HEIGHT = 34
IN_DOMAIN = "in-domain"
EXTERNAL = "external"


def transfer(
    rows: pd.DataFrame, metric_title: str, palette: Palette, *, digits: int = 3
) -> alt.LayerChart:
    """Draws each method's in-domain and external score with intervals.

    Args:
        rows: Columns ``label where score ci_low ci_high`` in display order; ``where`` is
            "in-domain" or "external".
        metric_title: Title of the horizontal axis.
        palette: Colours of the theme.
        digits: Digits after the point in tooltips.

    Returns:
        A layered chart in which the two kinds differ by colour, shape and vertical offset.
    """
    scale = alt.Scale(domain=[IN_DOMAIN, EXTERNAL], range=list(palette.groups[:2]))
    shapes = alt.Scale(domain=[IN_DOMAIN, EXTERNAL], range=["circle", "square"])
    legend = alt.Legend(title=None, orient="top")
    base = alt.Chart(rows[["label", "where", "score", "ci_low", "ci_high"]]).encode(
        y=method_axis(rows),
        yOffset=alt.YOffset("where:N", sort=[IN_DOMAIN, EXTERNAL]),
        color=alt.Color("where:N", scale=scale, legend=legend),
        tooltip=[
            alt.Tooltip("label:N", title="Method"),
            alt.Tooltip("where:N", title="Scored"),
            alt.Tooltip("score:Q", title=metric_title, format=f".{digits}f"),
            alt.Tooltip("ci_low:Q", title="95 % from", format=f".{digits}f"),
            alt.Tooltip("ci_high:Q", title="to", format=f".{digits}f"),
        ],
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        x=score_axis("ci_low:Q", metric_title), x2="ci_high:Q"
    )
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        x=score_axis("score:Q", metric_title),
        shape=alt.Shape("where:N", scale=shapes, legend=legend),
    )
    height = ROW_HEIGHT * rows["label"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[bars, points], height=height, config=looks(palette))


def transfer_alt_text(rows: pd.DataFrame, metric_title: str, digits: int = 3) -> str:
    """Says in words what the transfer chart shows."""
    if rows.empty:
        return "No method has both an in-domain and an external score."
    parts = [f"{r.label} {r.where} {score(r.score, digits)}" for r in records(rows)]
    return f"In-domain and external {metric_title}: " + "; ".join(parts) + "."
