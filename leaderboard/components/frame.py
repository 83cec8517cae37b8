"""The frame of every page: what is synthetic above, where the numbers come from below."""

from __future__ import annotations

from collections.abc import Callable

from leaderboard.board_data import Board, BoardError, board_folder, load_board
from leaderboard.components.notices import board_error, first_line, trust_line

__all__ = ["framed"]


def framed(view: Callable[[Board], None]) -> Callable[[], None]:
    """Returns a page that loads the board and shows the view, or says what is wrong with it."""

    def page() -> None:
        try:
            board = load_board(board_folder())
            first_line(board)
            view(board)
            trust_line(board.facts)
        except BoardError as error:
            board_error(error)

    return page
