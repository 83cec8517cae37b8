"""Lines on every page: what is synthetic, where the numbers come from, what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from leaderboard.board_data import Board, BoardError, NoBoardError
from leaderboard.components.markup import Markup, element, join
from leaderboard.rows import REAL, SYNTHETIC, UNKNOWN, cohort_origins
from leaderboard.wording import plain_list

__all__ = ["RESEARCH_ONLY", "board_error", "first_line", "first_line_text", "trust_line"]

RESEARCH_ONLY = "Research only, not a diagnostic device."


def first_line(board: Board) -> None:
    """Shows what of the board is synthetic; the first line of every page."""
    st.html(first_line_text(cohort_origins(board.rows)))


def first_line_text(origins: Mapping[str, str]) -> Markup:
    """Writes the first line: synthetic cohorts, real ones and those that do not say.

    Args:
        origins: Origin of each cohort, as ``leaderboard.rows.cohort_origins`` gives it.
    """
    made, real, unknown = (
        [name for name, origin in origins.items() if origin == kind]
        for kind in (SYNTHETIC, REAL, UNKNOWN)
    )
    parts: list[str] = []
    if made:
        verb = "is" if len(made) == 1 else "are"
        said = f": {plain_list(made, most=8)} {verb} computer-generated. "
        parts += [element("strong", "SYNTHETIC"), said]
    if real:
        parts.append(f"Real people: {plain_list(real, most=8)}. ")
    if unknown:
        parts.append(f"Origin not stated: {plain_list(unknown, most=8)}. ")
    return element("p", *parts, RESEARCH_ONLY, class_="nx-notice")


def trust_line(facts: Mapping[str, Any]) -> None:
    """Shows commit, date, profile and the hashes of data and splits."""
    parts: list[str] = []
    for name in ("profile", "date", "commit"):
        if facts.get(name):
            parts += [f"{name.capitalize()} ", element("code", str(facts[name])[:19]), " · "]
    for title, name in (("Data", "data_hashes"), ("Splits", "split_hashes")):
        parts += [f"{title} ", *_hashes(facts.get(name)), " · "]
    st.html(element("p", join(*parts, RESEARCH_ONLY), class_="nx-trust"))


def _hashes(values: Any) -> list[str]:
    if not isinstance(values, Mapping) or not values:
        return ["hashes not recorded"]
    shown: list[str] = []
    for name, digest in sorted(values.items()):
        shown += [f"{name} ", element("code", str(digest)[:10], title=str(digest)), " "]
    return shown


def board_error(error: BoardError) -> None:
    """Shows a board that is not there, or one that is damaged, with the next command."""
    if isinstance(error, NoBoardError):
        st.title("No results yet")
        st.info(str(error))
        st.markdown(
            "`make repro` prepares the cohorts, fits every method and writes the board; "
            "then `make board` opens this page on it."
        )
        return
    st.title("The board cannot be read")
    st.error(str(error))
