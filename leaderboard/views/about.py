"""Take part / About: terms, how to cite, and what this board was made with."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from leaderboard.board_data import Board
from leaderboard.components.notices import RESEARCH_ONLY
from leaderboard.exports import as_bibtex

TERMS = f"""
**{RESEARCH_ONLY}** Nothing here has been validated for the care of patients, and no score on
this board is evidence that a method would help anyone.

NeuroDx-Bench compares methods that diagnose neurodegenerative disease from brain MRI, fMRI,
clinical records and genetics, and says how sure the comparison is. Synthetic cohorts are
computer-generated and say so wherever they appear. The code is under the Apache 2.0 licence;
each cohort and each method keeps its own terms, which its card states.

This page sends no usage statistics, and everything on it was read from the files of one board.
"""


def show(board: Board) -> None:
    """Shows the page."""
    st.title("About")
    st.markdown(TERMS)
    st.subheader("Cite")
    st.markdown("Cite the board with its commit, and every method whose numbers you use.")
    st.code(as_bibtex(board.cards, [], board.facts), language="bibtex")
    st.subheader("Made with")
    versions = board.facts.get("versions")
    if isinstance(versions, Mapping) and versions:
        lines = [f"- {name} {version}" for name, version in sorted(versions.items())]
        st.markdown("\n".join(lines))
    else:
        st.markdown("The board does not record the versions it was made with.")
