"""Lines on every page: what is synthetic, where the numbers come from, what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from leaderboard.board_data import Board, BoardError, NoBoardError
from leaderboard.components.markup import Markup, element, join
from leaderboard.wording import plain_list

__all__ = ["RESEARCH_ONLY", "board_error", "first_line", "first_line_text", "trust_line"]

RESEARCH_ONLY = "Research only, not a diagnostic device."


def first_line(board: Board) -> None:
    """Shows what of the board is synthetic; the first line of every page."""
    st.html(first_line_text(sorted(set(board.rows["cohort"])), synthetic_cohorts(board)))


def synthetic_cohorts(board: Board) -> list[str]:
    """Returns the cohorts whose rows are marked synthetic."""
    return sorted(set(board.rows.loc[board.rows["synthetic"].astype(bool), "cohort"]))


def first_line_text(cohorts: Iterable[str], synthetic: Iterable[str]) -> Markup:
    """Writes the first line: the synthetic cohorts and the real ones by name."""
    made = list(synthetic)
    real = [name for name in cohorts if name not in made]
    if not made:
        text: str = f"Real participants only: {plain_list(real)}. {RESEARCH_ONLY}"
        return element("p", text, class_="nx-notice")
    rest = f" Real people: {plain_list(real)}." if real else " No cohort here holds real people."
    said = f": {plain_list(made, most=8)} {'is' if len(made) == 1 else 'are'} computer-generated."
    line = join(element("strong", "SYNTHETIC"), said, rest, f" {RESEARCH_ONLY}")
    return element("p", line, class_="nx-notice")


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
