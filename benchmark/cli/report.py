"""``neurodx report``: one cohort and task as a page, with figures and tables for LaTeX."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Write one HTML page for a cohort and task, with figures (SVG) and tables (LaTeX) beside it."
EPILOG = """\
The page holds everything in one file and asks nothing of a network. It says in sentences what may
and what may not be concluded. Nothing is computed anew: it reads board/ only.

examples:
  neurodx report --cohort phantom-memory --task ad_cn
  neurodx report --cohort ad-csf --task impaired --out ad-csf.html
  neurodx report --cohort phantom-external --task ad_cn --protocol external
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--cohort", required=True, help="a cohort of the board")
    parser.add_argument("--task", required=True, help="a task of the board")
    parser.add_argument("--protocol", default="", help="default: the board's own")
    parser.add_argument("--profile", help="default: the one of this folder, or mini")
    parser.add_argument("--board", type=Path, help="default: the profile's")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.html", help="default: reports/<cohort>-<task>.html"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    from rich.console import Console

    from benchmark.errors import ConfigError
    from benchmark.report import read_content, write_report
    from benchmark.runs.workspace import profile_here, workspace_of

    out = args.out or Path("reports") / f"{args.cohort}-{args.task}.html"
    if out.suffix != ".html":
        raise ConfigError(f"--out {out}: expected a name that ends in .html")
    board = args.board or workspace_of(args.profile or profile_here()).board
    content = read_content(board, args.cohort, args.task, args.protocol)
    written = write_report(content, out)
    console = Console(highlight=False)
    console.print(f"wrote {out}", soft_wrap=True)
    folder = written[-1].parent
    console.print(f"wrote {len(written) - 1} figures and tables in {folder}", soft_wrap=True)
    return 0
