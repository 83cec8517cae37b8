"""``neurodx board``: opens the leaderboard."""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "board"
HELP = "Open the leaderboard on a board folder; nothing is computed and nothing leaves the machine."
EPILOG = """\
examples:
  neurodx board
  neurodx board --profile smoke --port 8600
  neurodx board --headless      (on a server: no browser is opened)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--board", type=Path, help="default: the profile's")
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument("--protocol", help="the board of `neurodx rank --protocol` instead")
    parser.add_argument("--port", type=int, default=8501, help="default: 8501")
    parser.add_argument("--headless", action="store_true", help="open no browser")


def command(args: argparse.Namespace) -> list[str]:
    """Returns the command that starts the app, its folder independent of where it is called."""
    import sys

    from benchmark.config import load_profile
    from benchmark.runs.planning import other_protocol
    from benchmark.runs.workspace import profile_here, workspace_of

    board = args.board
    if board is None:
        profile = load_profile(args.profile or profile_here())
        other = other_protocol(args.protocol, profile)
        board = workspace_of(profile.name).board_of(other)
    repository = Path(__file__).resolve().parents[2]
    return [
        *(sys.executable, "-m", "streamlit", "run", str(repository / "leaderboard" / "app.py")),
        *("--browser.gatherUsageStats", "false"),
        *("--browser.serverAddress", "localhost"),
        *("--server.headless", str(args.headless).lower()),
        *("--server.port", str(args.port)),
        *("--", "--board", str(board.resolve())),
    ]


def run(args: argparse.Namespace) -> int:
    """Becomes the app, so that whoever stops this process stops the app and nothing is left over.

    It runs in the repository, where its theme lies.
    """
    import os
    import sys

    start = command(args)
    sys.stdout.flush()
    os.chdir(Path(__file__).resolve().parents[2])
    os.execv(start[0], start)  # noqa: S606
