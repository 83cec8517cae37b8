"""What the methods of one claim expose: means by class, routing, maps of embeddings."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from leaderboard import state
from leaderboard.charts.insides import (
    class_map,
    class_map_alt_text,
    class_means,
    class_means_alt_text,
    routing_alt_text,
    routing_map,
)
from leaderboard.charts.palette import Palette, palette_for
from leaderboard.components.chart import show_chart
from leaderboard.components.choice import choose
from leaderboard.components.facts_table import facts_table
from leaderboard.formats import interval, score
from leaderboard.rows import records

__all__ = ["BY_CLASS", "NEIGHBOURS", "OVERLAP", "ROUTING", "insides_section"]

# Values that the board's tables hold; a test checks each against the package that writes it.
BY_CLASS: Final = "by_class"
ROUTING: Final = "routing"
OVERLAP: Final = "overlap"
NEIGHBOURS: Final = "neighbours"

MEANS: Final = (
    "Each person counts once, by the mean over seeds; 95 % intervals resample people within class "
    "and include the spread between seeds."
)
FIT: Final = (
    "One fit, since expert 1 of one fit has nothing to do with expert 1 of another. Each cell: "
    "mean weight, and the share of people who get the expert."
)
SHARED: Final = (
    "Overlap of two tasks' experts over all fits. 1: the same experts with the same weights; 0: "
    "none in common."
)
MAPS: Final = (
    "t-SNE of the same people after each epoch, of one seed and fold, since embeddings of "
    "different fits cannot be compared. Distances between groups say nothing; the table counts in "
    "the embedding itself: the share of a person's 10 nearest people of the same fold who are of "
    "the same class."
)


def insides_section(insides: pd.DataFrame, maps: pd.DataFrame) -> None:
    """Shows what was exposed, array by array, and what is missing.

    Args:
        insides: Lines of one claim.
        maps: Points of the same claim.
    """
    palette = palette_for(st.context.theme.type)
    for array, own in insides.groupby("array", sort=False):
        title = str(own["title"].iloc[0])
        st.subheader(title)
        if own["about"].iloc[0]:
            st.caption(str(own["about"].iloc[0]))
        by_kind = dict(list(own.loc[own["note"] == ""].groupby("kind", sort=False)))
        if BY_CLASS in by_kind:
            _means(by_kind[BY_CLASS], title, palette)
        if ROUTING in by_kind:
            _routing(by_kind[ROUTING], palette)
        if OVERLAP in by_kind:
            _overlap(by_kind[OVERLAP])
        if NEIGHBOURS in by_kind:
            _maps(by_kind[NEIGHBOURS], maps.loc[maps["array"] == array], palette)
        for r in records(own.loc[own["note"] != ""]):
            st.info(f"Missing for {r.arm} ({r.row}), {r.task}: {r.note}")


def _means(lines: pd.DataFrame, title: str, palette: Palette) -> None:
    st.caption(MEANS)
    known = lines[["value", "low", "high"]]
    limits = (float(known.min().min()), float(known.max().max()))
    for name, own in lines.groupby(["arm", "task"], sort=False):
        st.markdown(f"**{_named(name)}**")
        chart = class_means(own, title, palette, limits=limits)
        show_chart(chart, class_means_alt_text(own, f"{title}, {_named(name)}"))
    cells = [(r.arm, r.task, r.item, r.group, *_value(r), f"{r.n:.0f}") for r in records(lines)]
    heads = ("Arm", "Task", "Of", "Class", "Mean, 95 % interval", "n")
    with st.expander("The same in numbers"):
        st.html(facts_table(f"{title} by class.", heads, cells))


def _routing(lines: pd.DataFrame, palette: Palette) -> None:
    st.caption(FIT)
    fits = {f"{r.seed:.0f}-{r.fold:.0f}": (r.seed, r.fold) for r in records(lines)}
    chosen = choose(
        "Fit", state.FIT, list(fits), lambda key: "seed {:.0f}, fold {:.0f}".format(*fits[key])
    )
    seed, fold = fits[chosen]
    shown = lines.loc[(lines["seed"] == seed) & (lines["fold"] == fold)]
    for arm, own in shown.groupby(["arm", "fits"], sort=False):
        st.markdown(f"**{arm[0]}**")
        show_chart(routing_map(own, palette), routing_alt_text(own))


def _overlap(lines: pd.DataFrame) -> None:
    st.caption(SHARED)
    cells = [
        (f"{r.group}, {r.item}", r.arm, score(r.value, 2), interval(r.low, r.high, 2))
        for r in records(lines)
    ]
    heads = ("Tasks", "Arm", "Overlap", "Least to most")
    st.html(facts_table("How far tasks share experts.", heads, cells))


def _maps(near: pd.DataFrame, maps: pd.DataFrame, palette: Palette) -> None:
    st.caption(MAPS)
    for name, own in near.groupby(["arm", "task"], sort=False):
        points = maps.loc[(maps["arm"] == name[0]) & (maps["task"] == name[1])]
        classes = list(dict.fromkeys(own["group"]))
        if not points.empty:
            first = records(points)[0]
            st.markdown(f"**{_named(name)}** (seed {first.seed:.0f}, fold {first.fold:.0f})")
            _epochs(points, classes, palette)
    cells = [
        (f"{r.arm}, {r.task}, {r.item}", r.group, *_value(r), score(r.chance), f"{r.n:.0f}")
        for r in records(near)
    ]
    heads = ("Arm", "Class", "Same class among the nearest, 95 % interval", "By chance", "n")
    with st.expander("How often the nearest people are of the same class"):
        st.html(facts_table("Neighbours of the same class.", heads, cells))


def _epochs(points: pd.DataFrame, classes: list[str], palette: Palette) -> None:
    """Maps side by side; on a phone below one another."""
    epochs = sorted(points["epoch"].unique())
    for column, epoch in zip(st.columns(len(epochs)), epochs, strict=True):
        own = points.loc[points["epoch"] == epoch]
        with column:
            st.markdown(f"Epoch {epoch:.0f}")
            chart = class_map(own, classes, palette)
            show_chart(chart, class_map_alt_text(own, f"{epoch:.0f}"))


def _named(name: Any) -> str:
    return f"{name[0]}, {name[1]}"


def _value(r: Any) -> tuple[str]:
    return (f"{score(r.value)} ({interval(r.low, r.high) or 'no interval'})",)
