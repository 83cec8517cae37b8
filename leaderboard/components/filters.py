"""The controls above a table; each is bound to a query parameter, so the address is a permalink."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from leaderboard import state
from leaderboard.rows import ORACLE
from leaderboard.state import ANY, Selection

__all__ = ["cell_filters", "matrix_filters"]


def cell_filters(
    rows: pd.DataFrame, cohort_title: Callable[[str], str], task_title: Callable[[str], str]
) -> Selection:
    """Shows the controls of the ranked table and returns what they say.

    Args:
        rows: All rows of the board.
        cohort_title: How a cohort is written.
        task_title: How a task is written.
    """
    left, middle, right = st.columns(3)
    with left:
        cohort = _choice("Cohort", state.COHORT, _names(rows, "cohort"), cohort_title)
    of_cohort = rows.loc[rows["cohort"] == cohort]
    with middle:
        task = _choice("Task", state.TASK, _names(of_cohort, "task"), task_title)
    of_task = of_cohort.loc[of_cohort["task"] == task]
    with right:
        track = _track(of_task)
    with st.expander("More choices: protocol, provenance, methods left out, order"):
        return _further(of_task, cohort, task, track)


def _further(rows: pd.DataFrame, cohort: str, task: str, track: str) -> Selection:
    first, second, third = st.columns(3)
    with first:
        protocol = _choice("Protocol", state.PROTOCOL, _names(rows, "protocol"))
    of_protocol = rows.loc[rows["protocol"] == protocol]
    provenances = [ANY, *_names(of_protocol, "provenance")]
    with second:
        provenance = _choice("Provenance", state.PROVENANCE, provenances)
    with third:
        sort = _choice("Order", state.SORT, list(state.SORTS), lambda name: state.SORTS[name])
    return Selection(cohort, task, protocol, track, provenance, _left_out(of_protocol), sort)


def matrix_filters(rows: pd.DataFrame, task_title: Callable[[str], str]) -> pd.DataFrame:
    """Shows the controls of the matrix and returns the rows that they keep."""
    left, right = st.columns(2)
    with left:
        track = _track(rows)
    with right:
        tasks = st.multiselect(
            "Tasks",
            _names(rows, "task"),
            key=state.TASKS,
            bind="query-params",
            format_func=task_title,
            placeholder="all tasks",
        )
    kept = ~rows["method"].isin(_left_out(rows))
    if track != ANY:
        kept &= rows["track"] == track
    if tasks:
        kept &= rows["task"].isin(tasks)
    return rows.loc[kept]


def _track(rows: pd.DataFrame) -> str:
    tracks = [ANY, *sorted(set(rows.loc[rows["method"] != ORACLE, "track"]))]
    return _choice(
        "Inputs a method may see",
        state.TRACK,
        tracks,
        lambda name: "any inputs" if name == ANY else name,
    )


def _left_out(rows: pd.DataFrame) -> tuple[str, ...]:
    titles = dict(zip(rows["method"], rows["title"], strict=True))
    without = st.multiselect(
        "Methods left out",
        sorted(titles),
        key=state.WITHOUT,
        bind="query-params",
        format_func=lambda name: titles.get(name) or name,
        placeholder="none",
        help="Ranks, intervals of ranks and tie groups are computed anew without them.",
    )
    return tuple(without)


def _choice(label: str, key: str, options: list[str], title: Callable[[str], str] = str) -> str:
    return (
        st.selectbox(label, options, key=key, bind="query-params", format_func=title) or options[0]
    )


def _names(rows: pd.DataFrame, column: str) -> list[str]:
    """Names in the order in which the board lists them."""
    return list(dict.fromkeys(rows[column]))
