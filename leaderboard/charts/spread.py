"""A value beside what to compare it with: seeds and samples, a site guess and permuted sites."""

from __future__ import annotations

import altair as alt
import pandas as pd

from leaderboard.charts.axes import AXIS_AND_LEGEND, looks, method_axis, score_axis, two_kinds
from leaderboard.charts.palette import Palette
from leaderboard.formats import score
from leaderboard.rows import records

__all__ = ["site_guess", "site_guess_alt_text", "two_spreads", "two_spreads_alt_text"]

ROW_HEIGHT = 26
SAMPLE, SEED = "between samples of people", "between training seeds"
INSIDE, BEYOND = "within the permuted range", "beyond the permuted range"


def two_spreads(rows: pd.DataFrame, metric_title: str, palette: Palette) -> alt.LayerChart:
    """Draws the spread between samples of people and, where known, that between seeds.

    Args:
        rows: Columns ``label sample_sd seed_sd`` in display order; NaN for unknown.
        metric_title: The metric.
        palette: Colours of the theme.
    """
    known = {SAMPLE: "sample_sd", SEED: "seed_sd"}
    data = pd.concat([rows.assign(kind=kind, sd=rows[name]) for kind, name in known.items()])
    data = data.dropna(subset=["sd"])[["label", "kind", "sd"]]
    colour, shape = two_kinds(SAMPLE, SEED, palette)
    title = f"sd of {metric_title}"
    tooltip = [
        alt.Tooltip("label:N", title="Row"),
        alt.Tooltip("kind:N", title="Spread"),
        alt.Tooltip("sd:Q", title="sd", format=".4f"),
    ]
    x = alt.X("sd:Q", title=title, axis=alt.Axis(tickCount=5))
    base = alt.Chart(data).mark_point(size=80, filled=True, opacity=1)
    points = base.encode(x=x, y=method_axis(rows), color=colour, shape=shape, tooltip=tooltip)
    height = ROW_HEIGHT * rows["label"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[points], height=height, config=looks(palette))


def two_spreads_alt_text(rows: pd.DataFrame, metric_title: str) -> str:
    """Says in words what the chart shows."""
    parts = [
        f"{r.label} samples {score(r.sample_sd, 4)}, seeds {score(r.seed_sd, 4)}"
        for r in records(rows)
    ]
    return f"Standard deviations of {metric_title}: " + "; ".join(parts) + "."


def site_guess(rows: pd.DataFrame, palette: Palette) -> alt.LayerChart:
    """Draws how well the site is guessed beside the range under permuted sites.

    Args:
        rows: Columns ``label balanced_accuracy null_low null_high`` in display order.
        palette: Colours of the theme.
    """
    title = "Balanced accuracy"
    beyond = rows["balanced_accuracy"] > rows["null_high"]
    data = rows.assign(kind=beyond.map({True: BEYOND, False: INSIDE}))[
        ["label", "balanced_accuracy", "null_low", "null_high", "kind"]
    ]
    colour, shape = two_kinds(INSIDE, BEYOND, palette)
    tooltip = [
        alt.Tooltip("label:N", title="Row"),
        alt.Tooltip("balanced_accuracy:Q", title="Guessed", format=".3f"),
        alt.Tooltip("null_low:Q", title="Permuted, from", format=".3f"),
        alt.Tooltip("null_high:Q", title="to", format=".3f"),
    ]
    base = alt.Chart(data).encode(y=method_axis(data), tooltip=tooltip)
    null = base.mark_bar(height=12, color=palette.muted, opacity=0.35).encode(
        x=score_axis("null_low:Q", title), x2="null_high:Q"
    )
    points = base.mark_point(size=80, filled=True, opacity=1).encode(
        x=score_axis("balanced_accuracy:Q", title), color=colour, shape=shape
    )
    height = ROW_HEIGHT * data["label"].nunique() + AXIS_AND_LEGEND
    return alt.LayerChart(layer=[null, points], height=height, config=looks(palette))


def site_guess_alt_text(rows: pd.DataFrame) -> str:
    """Says in words what the chart shows."""
    parts = [
        f"{r.label} {score(r.balanced_accuracy)} against {score(r.null_low)} to "
        f"{score(r.null_high)} under permuted sites"
        for r in records(rows)
    ]
    return "Balanced accuracy of guessing the site: " + "; ".join(parts) + "."
