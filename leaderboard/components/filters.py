"""The controls above a table; what they say is in the address, so the address is a permalink."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from leaderboard import state
from leaderboard.components.choice import choose, choose_several
from leaderboard.rows import ORACLE
from leaderboard.state import ANY, Selection

__all__ = ["cell_filters", "matrix_filters"]

Title = Callable[[str], str]


def cell_filters(rows: pd.DataFrame, cohort_title: Title, task_title: Title) -> Selection:
    """Shows the controls of the ranked table and returns what they say.

    Args:
        rows: All rows of the board.
        cohort_title: How a cohort is written.
        task_title: How a task is written.
    """
    left, middle, right = st.columns(3)
    with left:
        cohort = choose("Cohort", state.COHORT, _names(rows, "cohort"), cohort_title)
    of_cohort = rows.loc[rows["cohort"] == cohort]
    with middle:
        task = choose("Task", state.TASK, _names(of_cohort, "task"), task_title)
    of_task = of_cohort.loc[of_cohort["task"] == task]
    with right:
        track = _track(of_task)
    with st.expander("More choices: protocol, provenance, order, methods left out"):
        first, second, third = st.columns(3)
        with first:
            protocol = choose("Protocol", state.PROTOCOL, _names(of_task, "protocol"))
        of_protocol = of_task.loc[of_task["protocol"] == protocol]
        with second:
            provenances = [ANY, *_names(of_protocol, "provenance")]
            provenance = choose("Provenance", state.PROVENANCE, provenances)
        with third:
            sort = choose("Order", state.SORT, list(state.SORTS), lambda name: state.SORTS[name])
        without = _left_out(of_protocol)
    return Selection(cohort, task, protocol, track, provenance, without, sort)


def matrix_filters(rows: pd.DataFrame, task_title: Title) -> pd.DataFrame:
    """Shows the controls of the matrix and returns the rows that they keep."""
    left, right = st.columns(2)
    with left:
        track = _track(rows)
    with right:
        tasks = choose_several(
            "Tasks", state.TASKS, _names(rows, "task"), task_title, placeholder="all tasks"
        )
    kept = ~rows["method"].isin(_left_out(rows))
    if track != ANY:
        kept &= rows["track"] == track
    if tasks:
        kept &= rows["task"].isin(tasks)
    return rows.loc[kept]


def _track(rows: pd.DataFrame) -> str:
    tracks = [ANY, *sorted(set(rows.loc[rows["method"] != ORACLE, "track"]))]
    return choose(
        "Inputs a method may see",
        state.TRACK,
        tracks,
        lambda name: "any inputs" if name == ANY else name,
    )


def _left_out(rows: pd.DataFrame) -> tuple[str, ...]:
    titles = dict(zip(rows["method"], rows["title"], strict=True))
    return choose_several(
        "Methods left out",
        state.WITHOUT,
        sorted(titles),
        lambda name: titles.get(name) or name,
        placeholder="none",
        note="Ranks, intervals of ranks and tie groups are computed anew without them.",
    )


def _names(rows: pd.DataFrame, column: str) -> list[str]:
    """Names in the order in which the board lists them."""
    return list(dict.fromkeys(rows[column]))
