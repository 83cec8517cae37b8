"""Entry point: ``streamlit run leaderboard/app.py -- --board board``."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from leaderboard.components.frame import framed
from leaderboard.views import (
    ablations,
    about,
    by_task,
    cards,
    honesty,
    protocol,
    ranking,
    robustness,
)

COMPONENTS = Path(__file__).parent / "components"


def main() -> None:
    """Lays out the navigation and runs the chosen page."""
    st.set_page_config("NeuroDx-Bench", page_icon=COMPONENTS / "icon.svg", layout="wide")
    st.html(COMPONENTS / "style.css")
    page = st.navigation(
        {
            "Results": [
                st.Page(
                    framed(ranking.show), title="Leaderboard", url_path="ranking", default=True
                ),
                st.Page(framed(by_task.show), title="By cohort and task", url_path="by-task"),
            ],
            "Explore": [
                st.Page(framed(robustness.show), title="Robustness", url_path="robustness"),
                st.Page(framed(honesty.show), title="Honesty", url_path="honesty"),
                st.Page(framed(ablations.show), title="Ablations", url_path="ablations"),
            ],
            "Methods": [st.Page(framed(cards.show), title="Method cards", url_path="cards")],
            "Take part": [
                st.Page(framed(protocol.show), title="Protocol", url_path="protocol"),
                st.Page(framed(about.show), title="About", url_path="about"),
            ],
        },
        position="top",
    )
    page.run()


main()
