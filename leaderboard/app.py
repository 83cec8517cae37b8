"""Entry point: ``streamlit run leaderboard/app.py -- --board board``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from leaderboard.board_data import Board, BoardError, board_folder, load_board
from leaderboard.components.notices import board_error, first_line, trust_line
from leaderboard.views import about, by_task, cards, protocol, ranking

ICON = Path(__file__).parent / "components" / "icon.svg"
STYLE = Path(__file__).parent / "components" / "style.css"


def main() -> None:
    """Lays out the frame that all pages share and runs the chosen page."""
    st.set_page_config("NeuroDx-Bench", page_icon=ICON, layout="wide")
    st.html(STYLE)
    page = st.navigation(
        {
            "Results": [
                st.Page(_page(ranking.show), title="Leaderboard", url_path="ranking", default=True),
                st.Page(_page(by_task.show), title="By cohort and task", url_path="by-task"),
            ],
            "Methods": [st.Page(_page(cards.show), title="Method cards", url_path="cards")],
            "Take part": [
                st.Page(_page(protocol.show), title="Protocol", url_path="protocol"),
                st.Page(_page(about.show), title="About", url_path="about"),
            ],
        },
        position="top",
    )
    page.run()


def _page(view: Callable[[Board], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            board = load_board(board_folder())
            first_line(board)
            view(board)
            trust_line(board.facts)
        except BoardError as error:
            board_error(error)

    return run


main()
