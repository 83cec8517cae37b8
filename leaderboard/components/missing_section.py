"""The section about missing modalities: what a row's score is with less than everything."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from leaderboard import formats, state
from leaderboard.aspects import PEOPLE, interval_cell, score_or_status, subsets_in_order
from leaderboard.charts.missing import (
    dropping,
    dropping_alt_text,
    subsets,
    subsets_alt_text,
)
from leaderboard.charts.palette import palette_for
from leaderboard.components.chart import show_chart
from leaderboard.components.choice import choose
from leaderboard.components.facts_table import facts_table
from leaderboard.components.shown import Shown
from leaderboard.rows import records

__all__ = ["missing_modalities"]

HOW = (
    "The fitted models are asked again with modalities hidden from the people they are tested on. "
    "Complete cases have every modality that the method's inputs hold here: only with them does a "
    "score change for no other reason than what is hidden. A drop is the score of the same people "
    "with everything they have, minus this one."
)


def missing_modalities(shown: Shown) -> None:
    """Shows the section."""
    lines = shown.lines("missing_modalities")
    if lines.empty:
        shown.nothing("missing_modalities")
        return
    asked = lines.loc[lines["status"] != "missing"]
    if not asked.empty:
        _one_row(shown, asked)
    absent = lines.loc[lines["status"] == "missing"]
    if not absent.empty:
        st.subheader("Rows without such answers")
        cells = [(r.label, r.note) for r in records(absent)]
        st.html(facts_table("Why a row was not asked.", ("Row", "Why"), cells))


def _one_row(shown: Shown, asked: pd.DataFrame) -> None:
    st.caption(HOW)
    names = dict(zip(asked["key"], asked["label"], strict=True))
    key = choose("Row", state.ROW, list(names), lambda name: names[name])
    own = subsets_in_order(asked.loc[asked["key"] == key])
    own = own.assign(people=own["people"].map(PEOPLE))
    drawn = own.loc[(own["status"] == "done") & (own["people"] != PEOPLE["some"])]
    palette = palette_for(st.context.theme.type)
    by_set = drawn.loc[_is_set(drawn)]
    st.subheader("By what is left")
    if not by_set.empty:
        chart = subsets(by_set, shown.title, palette, digits=shown.digits)
        show_chart(chart, subsets_alt_text(by_set, shown.title, shown.digits))
    cells = [_cells(r, shown) for r in records(own.loc[_is_set(own)])]
    heads = ("Left", "People", shown.title, "95 % interval", "Drop, 95 % interval", "n")
    st.html(facts_table(f"{names[key]} by modalities left.", heads, cells))
    st.subheader("Dropped at random")
    curve = drawn.loc[drawn["percent"].notna()].sort_values("percent", kind="stable")
    if len(set(curve["percent"])) > 1:
        chart = dropping(curve, shown.title, palette, digits=shown.digits)
        show_chart(chart, dropping_alt_text(curve, shown.title, shown.digits))
    st.caption(
        "Each modality that somebody has is dropped with this probability, except what the method "
        "requires. Where it requires nothing, everybody keeps one, so fewer go than the share says."
    )
    dropped = own.loc[own["percent"].notna()].sort_values("percent", kind="stable")
    cells = [_cells(r, shown) for r in records(dropped)]
    heads = ("Dropped", *heads[1:])
    st.html(facts_table(f"{names[key]} with modalities dropped at random.", heads, cells))


def _is_set(lines: pd.DataFrame) -> pd.Series:
    found: pd.Series = lines["percent"].isna() | (lines["percent"] == 0)
    return found


def _cells(r: Any, shown: Shown) -> tuple[str, ...]:
    return (
        r.left,
        r.people,
        score_or_status(r.score, r.status, r.note, shown.digits),
        formats.interval(r.ci_low, r.ci_high, shown.digits) or formats.DASH,
        interval_cell(r.drop, r.drop_low, r.drop_high, shown.digits)
        if formats.is_known(r.drop)
        else formats.DASH,
        f"{r.n} of {r.n_everybody}" if formats.is_known(r.n) else formats.DASH,
    )
