"""``neurodx rank``: ranks the methods of every cell and writes the board."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Rank the methods of every cohort, task and protocol, and write board/."
EPILOG = """\
examples:
  neurodx rank
  neurodx rank --profile smoke
  neurodx rank --show                        print the table of the board that is there
  neurodx rank --markdown docs/results.md    the same as a page
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument("--protocol", help="the board of `neurodx score --protocol` instead")
    parser.add_argument("--show", action="store_true", help="print the board; rank nothing")
    parser.add_argument("--markdown", type=Path, help="write the board to a page; rank nothing")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from rich.console import Console

    from benchmark.cli.board_table import board_markdown, show_board
    from benchmark.config import load_profile
    from benchmark.runs.planning import other_protocol
    from benchmark.runs.workspace import profile_here, workspace_of
    from benchmark.store.atomic import write_text

    console = Console()
    name = args.profile or profile_here()
    workspace = workspace_of(name)
    console.width = max(console.width, 110)  # a table that wraps cannot be read
    profile = load_profile(name)
    protocol = other_protocol(args.protocol, profile)
    board = workspace.board_of(protocol)
    if args.show:
        show_board(board, console)
        return 0
    if args.markdown:
        write_text(args.markdown, board_markdown(board))
        console.print(f"wrote {args.markdown}")
        return 0
    from benchmark.ablations.report import publish
    from benchmark.cli.cards import board_facts, cohort_cards, method_cards
    from benchmark.results import rank_workspace
    from benchmark.results.beside import BESIDE

    beside = {name: workspace.scores_of(name) for name in {*BESIDE.values()} - {profile.protocol}}
    facts = board_facts(profile, workspace)
    leaderboard = rank_workspace(
        workspace.scores_of(protocol),
        board,
        method_cards(profile, profile.methods),
        cohorts=cohort_cards(workspace),
        facts=facts | {"protocol": protocol or profile.protocol},
        beside=beside if protocol is None else None,
    )
    if protocol is None:
        publish(workspace.ablations, board)
    console.print(f"rank: {len(leaderboard)} rows in {board}/leaderboard.csv")
    return 0
