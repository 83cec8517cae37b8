"""``neurodx compare-reference``: holds the board against the published numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "Compare board/leaderboard.csv with reference/leaderboard.csv, row by row."
EPILOG = """\
Exits with 1 if a row is different or missing; new rows are only counted. On another CPU rows
may differ within the tolerance stored beside them; that counts as reproduced.

examples:
  neurodx compare-reference
  neurodx compare-reference --write     publish the board that is there (say so in CHANGELOG.md)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--board", type=Path, help="default: of this folder's profile, or mini")
    parser.add_argument("--reference", type=Path, help="default: reference/leaderboard.csv")
    parser.add_argument("--write", action="store_true", help="write the reference instead")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from rich.console import Console

    from benchmark.registry import ROOT
    from benchmark.results import compare_reference, write_reference
    from benchmark.runs.workspace import profile_here, workspace_of

    console = Console()
    board = args.board or workspace_of(profile_here()).board
    reference = args.reference or ROOT / "reference" / "leaderboard.csv"
    if args.write:
        write_reference(board, reference)
        console.print(f"wrote {reference}")
        return 0
    report = compare_reference(board, reference)
    for outcome, count in report.counts.items():
        console.print(f"{outcome:17} {count:4d}")
    for row in report.rows.to_dict("records"):
        if row["outcome"] in ("different", "missing"):
            cell = " / ".join(str(row[name]) for name in ("cohort", "task", "track", "method"))
            console.print(f"  {row['outcome']}: {cell}: {_scores(row)}", highlight=False)
    console.print("[green]reproduced[/]" if report.passed else "[red]not reproduced[/]")
    return 0 if report.passed else 1


def _scores(row: dict[Any, Any]) -> str:
    ours, published = row["score"], row["score_reference"]
    return f"{ours:.4f} here, {published:.4f} published, tolerance {row['tolerance']:g}"
