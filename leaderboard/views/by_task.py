"""Results / By cohort and task: every cell beside the others, in-domain against external."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from leaderboard import exports
from leaderboard.aspects import why_empty
from leaderboard.board_data import Board, load_cell, load_robustness
from leaderboard.charts.palette import palette_for
from leaderboard.charts.transfer import transfer, transfer_alt_text
from leaderboard.components.chart import show_chart
from leaderboard.components.export_buttons import export_buttons
from leaderboard.components.filters import matrix_filters
from leaderboard.components.matrix_table import Heading, matrix_table
from leaderboard.ranking import BY_INPUTS, ranked
from leaderboard.rows import (
    CELL,
    EXTERNAL,
    ORACLE,
    is_scored,
    labelled,
    records,
    split_quoted,
    transfer_rows,
)
from leaderboard.titles import metric_digits, metric_title, task_titles

NO_PAIR: Final = "No row shown has both an in-domain score and one on a cohort outside of it."


def show(board: Board) -> None:
    """Shows the page."""
    st.title("By cohort and task")
    own, _ = split_quoted(board.rows)
    if own.empty:
        st.info("The board holds no rows yet. Run `make repro`, then reload this page.")
        return
    kept = matrix_filters(own, task_titles(board))
    if kept.empty:
        st.info("No row fits these choices. Choose other inputs, or leave fewer methods out.")
        return
    st.markdown(
        "Scores are never averaged over cells: cohorts differ in difficulty, and a missing cell "
        "has no value. Each column is ranked by itself, among the methods shown."
    )
    cells = [
        ranked(part.reset_index(drop=True), load_cell(board, *map(str, cell)))
        for cell, part in kept.groupby(CELL, sort=False)
    ]
    rows = labelled(pd.concat(cells, ignore_index=True))
    st.html(
        matrix_table(rows, _headings(rows), "Score, 95 % interval, rank and tie group by cell.")
    )
    _external(board, rows)
    saved = rows.drop(columns=list(BY_INPUTS))  # of the board's choice of rows, not of this page's
    files = {
        "csv": (exports.as_csv(saved), "text/csv"),
        "json": (exports.as_json(saved, board.facts), "application/json"),
    }
    export_buttons(files, "by-cohort-and-task")


def _headings(rows: pd.DataFrame) -> list[Heading]:
    columns = rows.loc[rows["metric"] != ""].drop_duplicates(CELL)
    return [
        Heading(c.cohort, c.task, c.protocol, metric_title(c.metric), metric_digits(c.metric))
        for c in records(columns)
    ]


def _external(board: Board, rows: pd.DataFrame) -> None:
    scored = rows.loc[is_scored(rows) & (rows["method"] != ORACLE)]
    if not (scored["protocol"] == EXTERNAL).any():
        return
    st.header("In-domain against external")
    st.caption("The models of the training cohort, scored on people of another cohort.")
    found = load_robustness(board)
    drops, drawn = found.tables["external_drop"], False
    for place, lines in drops.groupby(["task", "cohort", "protocol", "external_cohort"]):
        data = transfer_rows(scored, lines)
        if data.empty:
            continue
        drawn = True
        task, home, protocol, abroad = map(str, place)
        metric = str(data["metric"].iloc[0])
        title, digits = metric_title(metric), metric_digits(metric)
        st.subheader(f"{task_titles(board)(task)}: {home} ({protocol}) to {abroad}")
        chart = transfer(data, title, palette_for(st.context.theme.type), digits=digits)
        show_chart(chart, transfer_alt_text(data, title, digits))
    if not drawn:
        st.info(why_empty(found.says, ["external_drop"]) if drops.empty else NO_PAIR)
