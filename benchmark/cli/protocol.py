"""``neurodx protocol``: compares what two boards were made from and what they conclude."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.sections import section

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.results.board_diff import BoardDiff

HELP = "protocol diff OLD NEW: what changed between two boards, and which conclusions flipped."
EPILOG = """\
OLD and NEW are board folders, or a reference CSV. Shown are changed data, splits, labels,
preparation and settings, changed ranks, and pairs of methods whose separation changed. Exits with
0 if no conclusion changed, 1 if one did. A reference holds no comparisons: two methods then count
as separated where their 95 % intervals do not touch, on both sides.

examples:
  neurodx protocol diff old/board board
  neurodx protocol diff reference/leaderboard.csv board
  neurodx protocol diff old/board board --json diff.json

What a changed table of people does to folds, before any run: `neurodx splits diff`.
"""
_REMEDY = "all of them with --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("action", choices=("diff",), metavar="diff", help="the one action there is")
    parser.add_argument("old", type=Path, metavar="OLD", help="board folder or reference CSV")
    parser.add_argument("new", type=Path, metavar="NEW", help="board folder or reference CSV")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    import json
    from dataclasses import asdict

    from rich.console import Console

    from benchmark.results.board_diff import diff_boards, read_side
    from benchmark.store.atomic import write_text

    console = Console(highlight=False)
    console.width = max(console.width, 110)
    found = diff_boards(read_side(args.old), read_side(args.new))
    _show(found, console)
    if args.json:
        content = {
            "unchanged": found.unchanged,
            "same": found.same,
            "by_intervals": found.by_intervals,
            "changes": [asdict(change) for change in found.changes],
            "ranks": json.loads(found.ranks.to_json(orient="records")),
            "flips": json.loads(found.flips.to_json(orient="records")),
        }
        write_text(args.json, json.dumps(content, indent=1) + "\n")
        console.print(f"wrote {args.json}")
    return 0 if found.unchanged else 1


def _show(found: BoardDiff, console: Console) -> None:
    if found.by_intervals:
        console.print("One side is a reference: separation is read from 95 % intervals.\n")
    kinds = list(dict.fromkeys(change.kind for change in found.changes))
    for kind in kinds:
        lines = [f"{c.name}: {_short(c.old)} -> {_short(c.new)}" for c in found.changes_of(kind)]
        section(console, f"{kind}: {len(lines)} changed", lines, _REMEDY)
    if not kinds:
        console.print("Made from the same data, splits, labels and settings, as far as both say.")
    ranks = [
        f"{r['cohort']} / {r['task']} / {r['protocol']}: {r['method']} [{r['track']}] "
        f"{r['old']} -> {r['new']} ({r['score_old']:.3f} -> {r['score_new']:.3f})"
        for r in found.ranks.to_dict("records")
    ]
    section(
        console,
        f"{'position' if found.by_intervals else 'tie group'}: {len(ranks)}",
        ranks,
        _REMEDY,
    )
    flips = [
        f"{f['cohort']} / {f['task']} / {f['protocol']} ({f['family']} {f['family_track']}): "
        f"{f['method_a']} against {f['method_b']}: {f['old']} -> {f['new']} ({f['flip']})"
        for f in found.flips.to_dict("records")
    ]
    section(console, f"conclusions: {found.same} the same, {len(flips)} changed", flips, _REMEDY)
    verdict = "no conclusion changed" if found.unchanged else "conclusions changed"
    console.print(verdict, style="green" if found.unchanged else "red")


def _short(value: str) -> str:
    """A hash by its first twelve digits; other text as it is."""
    is_hash = len(value) in (40, 64) and all(c in "0123456789abcdef" for c in value)
    return value[:12] if is_hash else value
