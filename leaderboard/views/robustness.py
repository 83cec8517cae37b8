"""Explore / Robustness: whether the scores of one cell hold elsewhere and for everybody."""

from __future__ import annotations

import streamlit as st

from leaderboard import state
from leaderboard.board_data import Board
from leaderboard.components.aspect_sections import ASPECTS
from leaderboard.components.choice import choose
from leaderboard.components.filters import cell_filters
from leaderboard.components.shown import Shown
from leaderboard.rows import chosen_rows, is_scored, split_quoted
from leaderboard.titles import cohort_titles, task_titles

HOW = (
    "Nothing here changes a rank. Positive differences mean worse: elsewhere, for the worst group, "
    "or without the help of age."
)


def show(board: Board) -> None:
    """Shows the page."""
    st.title("Robustness")
    if board.rows.empty:
        st.info("The board holds no rows yet. Run `make repro`, then reload this page.")
        return
    st.markdown(HOW)
    selection = cell_filters(board.rows, cohort_titles(board), task_titles(board))
    aspect = choose("What is looked at", state.ASPECT, list(ASPECTS), lambda name: ASPECTS[name][0])
    own, _ = split_quoted(chosen_rows(board.rows, selection))
    own = own.loc[is_scored(own)].reset_index(drop=True)
    if own.empty:
        st.info("No scored row fits these choices. Choose other inputs, or leave fewer out.")
        return
    title, section = ASPECTS[aspect]
    st.header(title)
    section(Shown.of(board, own, selection))
