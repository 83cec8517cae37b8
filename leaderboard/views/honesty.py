"""Explore / Honesty: how often test folds were met, how far validation flatters, and copies."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from leaderboard import formats
from leaderboard.aspects import as_differences, interval_cell
from leaderboard.board_data import Board
from leaderboard.components.facts_table import facts_table
from leaderboard.components.filters import cell_filters
from leaderboard.components.shown import Shown
from leaderboard.rows import chosen_rows, records, split_quoted
from leaderboard.titles import cohort_titles, task_titles

HOW: Final = (
    "Selection happens on validation people; each look at a test fold by the runs of this board is "
    "counted. Claims tested by `neurodx ablate` predict the same test folds and are not in these "
    "counts."
)


def show(board: Board) -> None:
    """Shows the page."""
    st.title("Honesty")
    if board.rows.empty:
        st.info("The board holds no rows yet. Run `make repro`, then reload this page.")
        return
    st.markdown(HOW)
    selection = cell_filters(board.rows, cohort_titles(board), task_titles(board))
    own, _ = split_quoted(chosen_rows(board.rows, selection))
    if own.empty:
        st.info("No row fits these choices. Choose other inputs, or leave fewer methods out.")
        return
    shown = Shown.of(board, own, selection)
    lines = shown.lines("honesty")
    if lines.empty:
        shown.nothing("honesty")
    else:
        _evaluations(lines)
        _optimism(shown, lines)
    _duplicates(shown)


def _evaluations(lines: pd.DataFrame) -> None:
    st.header("Evaluations on test folds")
    st.caption(
        "By the runs behind the row, once each where nothing was repeated; and by runs of the same "
        "method with earlier code, settings or data."
    )
    cells = [
        (r.label, f"{r.runs}", f"{r.test_evaluations}", f"{r.superseded_evaluations}")
        for r in records(lines)
    ]
    heads = ("Row", "Runs", "Test evaluations", "By earlier versions of the method")
    st.html(facts_table("How often predictions of a test fold were made.", heads, cells))


def _optimism(shown: Shown, lines: pd.DataFrame) -> None:
    st.header("Validation against test")
    st.caption("Validation minus test score of the same fits: positive where validation flatters.")
    names = {"value": "optimism", "low": "optimism_low", "high": "optimism_high"}
    shown.difference_chart(as_differences(lines, names), "Optimism")
    cells = [
        (
            r.label,
            formats.score(r.validation_score, shown.digits),
            formats.score(r.test_score, shown.digits),
            interval_cell(r.optimism, r.optimism_low, r.optimism_high, shown.digits)
            if r.status == "done"
            else r.note,
        )
        for r in records(lines)
    ]
    heads = ("Row", "Validation", "Test", "Optimism, 95 % interval")
    st.html(facts_table("Validation and test score of the same fits.", heads, cells))


def _duplicates(shown: Shown) -> None:
    st.header("Duplicates")
    pairs, where = shown.tables.tables["duplicates"], shown.where
    for column in ("cohort", "task", "protocol"):
        pairs = pairs.loc[pairs[column] == getattr(where, column)]
    if pairs.empty:
        st.markdown("No two rows of this cell say the same of the same people.")
        return
    cells = [
        (
            f"{r.method_a} ({r.track_a})",
            f"{r.method_b} ({r.track_b})",
            r.kind,
            formats.score(r.correlation, 4),
            f"{r.n_common}",
        )
        for r in records(pairs)
    ]
    heads = ("Row", "And", "Are", "Correlation", "People")
    st.html(facts_table("Rows that say the same: count them as one.", heads, cells))
