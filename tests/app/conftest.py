"""The fixture board, made once, and pages that run on it without a browser."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board_fixture import write_board
from streamlit.testing.v1 import AppTest

PAGE = """
from leaderboard.components.frame import framed
from leaderboard.views import {view}

framed({view}.show)()
"""
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """Streamlit leaves its page as ``__main__``; worker processes of later tests would run it."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole board; tests must not change it."""
    return write_board(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def own_board(board: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(board, tmp_path / "board"))


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens a view ("app" is the whole app) on a board with query parameters."""

    def start(view: str, folder: Path, **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("NEURODX_BOARD", str(folder))
        if view == "app":
            page = AppTest.from_file(str(REPOSITORY / "leaderboard/app.py"), default_timeout=60)
        else:
            page = AppTest.from_string(PAGE.format(view=view), default_timeout=60)
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return start
