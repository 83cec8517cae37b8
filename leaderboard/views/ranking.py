"""Results / Leaderboard: one cell of the board, ranked."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from leaderboard import exports
from leaderboard.board_data import Board, load_cell
from leaderboard.charts.forest import forest, forest_alt_text
from leaderboard.charts.palette import REFERENCE_GROUP, palette_for
from leaderboard.components.chart import show_chart
from leaderboard.components.export_buttons import export_buttons
from leaderboard.components.filters import cell_filters
from leaderboard.components.ranking_table import TableOptions, ranking_table
from leaderboard.formats import group_name
from leaderboard.ranking import input_families, ranked, ranked_by_inputs
from leaderboard.rows import (
    chosen_rows,
    in_display_order,
    is_scored,
    labelled,
    split_quoted,
)
from leaderboard.state import ANY, Selection
from leaderboard.titles import (
    cohort_titles,
    floor_method,
    floor_title,
    higher_is_better,
    metric_digits,
    metric_title,
    task_titles,
)
from leaderboard.wording import headline, unscored_note


def show(board: Board) -> None:
    """Shows the page."""
    st.title("Leaderboard")
    if board.rows.empty:
        st.info("The board holds no rows yet. Run `make repro`, then reload this page.")
        return
    selection = cell_filters(board.rows, cohort_titles(board), task_titles(board))
    own, quoted = split_quoted(chosen_rows(board.rows, selection))
    if own.empty:
        st.info("No row fits these choices. Choose other inputs, or leave fewer methods out.")
        return
    metric = str(own["metric"].dropna().iloc[0])
    place = selection.cohort, selection.task, selection.protocol
    cell, families = load_cell(board, *place), input_families(board.comparisons, *place)
    rows = in_display_order(
        labelled(ranked_by_inputs(ranked(own, cell), cell, families)),
        selection.sort,
        higher_is_better=higher_is_better(metric),
    )
    what = f"{task_titles(board)(selection.task)} in {cohort_titles(board)(selection.cohort)}"
    st.markdown(f"**{headline(rows, what, metric_title(metric))}** {unscored_note(rows)}")
    _table(rows, selection, metric)
    _forest(rows, metric)
    if not quoted.empty:
        _quoted(quoted)
    files = {
        "csv": (exports.as_csv(rows), "text/csv"),
        "json": (exports.as_json(rows, board.facts), "application/json"),
        "tex": (
            exports.as_latex(rows, what, metric_title(metric), metric_digits(metric)),
            "text/x-tex",
        ),
        "bib": (
            exports.as_bibtex(board.cards, rows["method"].tolist(), board.facts),
            "text/x-bibtex",
        ),
    }
    export_buttons(files, f"{selection.cohort}-{selection.task}-{selection.protocol}")


def _table(rows: pd.DataFrame, selection: Selection, metric: str) -> None:
    options = TableOptions(
        caption=(
            f"Protocol {selection.protocol}. Rank 1–3 means: no rank outside 1 to 3 is "
            "compatible with the data at 95 %. Methods with one letter are one tie group."
        ),
        metric_title=metric_title(metric),
        digits=metric_digits(metric),
        by_inputs=selection.track == ANY,
        oracle=bool(rows["oracle_gap"].notna().any()),
        floor=floor_title(metric),
    )
    st.html(ranking_table(rows, options))


def _forest(rows: pd.DataFrame, metric: str) -> None:
    scored = rows.loc[is_scored(rows)]
    if scored.empty:
        return
    groups = [group_name(g) or REFERENCE_GROUP for g in scored["shown_group"]]
    data = scored.assign(group=groups, rank_low=scored["shown_low"], rank_high=scored["shown_high"])
    st.subheader("Scores with 95 % intervals")
    st.caption(
        "Intervals hold for these fitted models. Ranks come from paired differences, so two "
        "methods can be separated though their intervals overlap. Dashed: the floor, "
        f"{floor_title(metric)}."
    )
    title, digits = metric_title(metric), metric_digits(metric)
    floor = data.loc[data["method"] == floor_method(metric), "score"]
    chart = forest(
        data,
        title,
        palette_for(st.context.theme.type),
        floor=None if floor.empty else float(floor.iloc[0]),
        digits=digits,
    )
    show_chart(chart, forest_alt_text(data, title, digits))


def _quoted(rows: pd.DataFrame) -> None:
    st.subheader("Quoted from papers")
    st.caption("Other people, other data: shown for orientation, never ranked with the rows above.")
    st.table(rows[["title", "metric", "score", "n"]])
