"""A page of what was scored on cohorts that a user holds: scores of groups, no person in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.cli.board_table import SMALL, board_tables
from benchmark.config import load_profile
from benchmark.errors import ResultError
from benchmark.runs.workspace import workspace_of
from benchmark.store import Cohort

__all__ = ["held_page"]


def held_page(names: Sequence[str]) -> str:
    """Returns the page of some added cohorts, as Markdown.

    Args:
        names: Profiles that ``neurodx cohort`` has written, in the order of the page.

    Raises:
        ResultError: None of them has a board, or a board is missing.
    """
    if not names:
        raise ResultError(
            "no cohort has been added, so there is nothing to show; `neurodx cohort add NAME "
            "--root FOLDER --run`"
        )
    lines = [
        "# Cohorts of real people",
        "",
        f"Written by `neurodx cohort results` from the boards of {', '.join(names)}.",
        "Scores of groups with 95 % intervals; no row of a person is in it. Ranks are within a",
        "track; methods of one tie group cannot be told apart. *gain*: difference to age and sex",
        "alone, for ages to the mean, * where its 95 % interval is clear of zero.",
        f"{SMALL} For research, no diagnosis.",
    ]
    for name in names:
        lines += _section(name)
    return "\n".join(lines) + "\n"


def _section(name: str) -> list[str]:
    workspace = workspace_of(name)
    if not (workspace.board / "leaderboard.parquet").is_file():
        raise ResultError(f"{name}: there is no board yet; make it with `make repro COHORT={name}`")
    cards = {c: Cohort(workspace.data / c).card for c in load_profile(name).cohorts}
    lines = ["", f"## {name}", "", *(_described(c, card) for c, card in cards.items())]
    lines += board_tables(workspace.board, "###")
    drops = pd.read_parquet(workspace.board / "external_drop.parquet")
    return lines + (_drops(drops) if len(drops) else [])


def _described(cohort: str, card: dict[str, Any]) -> str:
    held = {k: n for k, n in card["availability"].items() if n}
    synthetic = "**made-up people**; " if card["synthetic"] else ""
    parts = [f"{n} {k}" for k, n in held.items()]
    told = [f"{n} {why}" for why, n in card.get("left_out", {}).items()]
    cited = [f"Cite: {card['citation']}"] if card.get("citation") else []
    facts = ", ".join(parts) + (f"; left out: {', '.join(told)}" if told else "")
    said = [
        f"- `{cohort}`: {synthetic}{card['title']}",
        facts,
        f"Licence: {card['licence']}",
        *cited,
    ]
    return ". ".join(part.rstrip(".") for part in said) + "."


def _drops(drops: pd.DataFrame) -> list[str]:
    lines = ["", "### What is lost on the other cohort", ""]
    lines += [
        "| row | task | at home | external | drop | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    for row in drops.to_dict("records"):
        interval = f"{row['drop_low']:.3f} to {row['drop_high']:.3f}"
        cells = [
            f"{row['method']} ({row['track']})",
            str(row["task"]),
            f"{row['in_domain']:.3f} (n {row['n_in_domain']})",
            f"{row['external']:.3f} (n {row['n_external']})",
            f"{row['drop']:.3f}",
            interval,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
