"""Methods / Card: what a method is, what it saw, what it scored and how to run it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from leaderboard import state
from leaderboard.board_data import Board
from leaderboard.components.card_table import card_table
from leaderboard.components.choice import choose
from leaderboard.rows import FAILED, records
from leaderboard.titles import metric_digits


def show(board: Board) -> None:
    """Shows the page."""
    st.title("Method cards")
    if board.cards.empty:
        st.info("The board holds no method cards. Write it again with `neurodx rank`.")
        return
    titles = dict(zip(board.cards["method"], board.cards["title"], strict=True))
    names = sorted(titles, key=lambda name: str(titles[name]).lower())
    method = choose("Method", state.METHOD, names, lambda name: str(titles[name]))
    card = records(board.cards.loc[board.cards["method"] == method])[0]
    st.header(card.title)
    st.markdown(card.summary or "No summary given.")
    _facts(card)
    st.subheader("Its results")
    rows = board.rows.loc[board.rows["method"] == method]
    digits = {name: metric_digits(name) for name in rows["metric"].dropna().unique()}
    st.html(card_table(rows, digits, f"Every row of {card.title} on this board."))
    _reproduce(card)
    _readme(card)
    _runs(board.runs.loc[board.runs["method"] == method])


def _facts(card: Any) -> None:
    pairs = [
        ("Paper", card.paper),
        ("DOI", f"[{card.doi}](https://doi.org/{card.doi})" if card.doi else ""),
        ("Inputs", _listed(card.tracks)),
        ("Tasks", _listed(card.tasks)),
        ("Pretraining data", card.pretraining),
        ("Tuning", card.tuning or "none: settings as published or by default"),
        ("Licence", card.licence),
        ("Contact", card.contact),
    ]
    st.markdown("\n".join(f"- **{name}**: {value or 'not stated'}" for name, value in pairs))


def _listed(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, value))


def _reproduce(card: Any) -> None:
    st.subheader("Run it again")
    st.code(card.command or "no command recorded", language="bash")
    with st.expander("Configuration"):
        st.code(card.config_yaml or "# no configuration recorded", language="yaml")
    with st.expander("BibTeX"):
        st.code(card.bibtex or "no entry given", language="bibtex")


def _readme(card: Any) -> None:
    if card.readme_md:
        with st.expander("The method's own notes"):
            st.markdown(card.readme_md)


def _runs(runs: pd.DataFrame) -> None:
    failed = runs.loc[runs["status"] == FAILED]
    st.subheader("Its runs")
    st.markdown(f"{len(runs)} runs, {len(failed)} of them failed.")
    for run in records(failed):
        st.error(f"{run.cohort}, {run.tasks}, fold {run.fold}, seed {run.seed}: {run.error}")
    if not runs.empty:
        with st.expander("All runs"):
            st.dataframe(runs, hide_index=True, alt="Runs of this method")
