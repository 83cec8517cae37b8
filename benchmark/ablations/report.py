"""The table of claims: parquet and CSV for the board, Markdown for readers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.ablations.claims import Claim
from benchmark.ablations.inside_tables import INSIDE_TABLES, merged
from benchmark.metrics import METRICS
from benchmark.results.ablation import CONTRAST, ablation_table
from benchmark.store.atomic import replace_file, write_parquet, write_text

__all__ = ["markdown", "publish", "read_lines", "write_lines"]

TABLE = "ablations.parquet"
CSV = "ablations.csv"
_NEEDED = ("claim", "n_lower", "n_higher", "note", "commit")


def read_lines(folder: Path) -> pd.DataFrame:
    """The lines of earlier calls; empty where there are none, or they lack what lines have now."""
    path = folder / TABLE
    table = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    return table if {*_NEEDED} <= {*table.columns} else pd.DataFrame()


def write_lines(
    lines: Sequence[Mapping[str, Any]], claims: Mapping[str, Claim], *folders: Path
) -> pd.DataFrame:
    """Writes the lines of some claims; those of other claims stay as they are.

    Args:
        lines: Lines of the claims that were judged now.
        claims: Every claim that there is: lines of claims that are gone are dropped.
        folders: Where the tables go; the first also holds those of earlier calls.

    Returns:
        All lines, in the order of the claims.
    """
    fresh = ablation_table(lines)
    earlier = read_lines(folders[0])
    if len(earlier) or len(fresh):
        fresh = merged(earlier, fresh, set(fresh["claim"]) if len(fresh) else set(), claims)
        fresh["title"] = [claims[name].title for name in fresh["claim"]]
        fresh["source"] = [claims[name].source for name in fresh["claim"]]
        fresh["reading"] = [claims[name].reading for name in fresh["claim"]]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(folder / TABLE, fresh)
        write_text(folder / CSV, fresh.to_csv(index=False, float_format="%.6f"))
    return fresh


def publish(folder: Path, board: Path) -> None:
    """Copies the tables of earlier calls to a board; nothing where there are none."""
    for name in (TABLE, CSV, *INSIDE_TABLES):
        if (folder / name).is_file():
            with replace_file(board / name) as temporary:
                shutil.copyfile(folder / name, temporary)


def markdown(table: pd.DataFrame, claims: Mapping[str, Claim], profile: str) -> str:
    """The page for readers: each claim, what was compared, and what came of it."""
    counted = f"{len(table)} differences" if len(table) else "Nothing has been judged yet"
    lines = [
        "# Published claims, tested here",
        "",
        f"Written by `neurodx ablate` (profile {profile}). Each line is a difference, positive",
        "where the claim holds: of two arms on the same people; where it says so, of thirds of one",
        "arm's people, of two cohorts, or of two gains. Arms differ in what their names say; where",
        "they differ in more, the claim says so. The 95 % interval resamples people and includes",
        "the spread between seeds ([how](statistics.md#intervals)). *Shown*: it lies above zero.",
        "*Reversed*: below. *Not shown*: it holds zero, which is not evidence of equality.",
        f"{counted}, and nothing is corrected for their number: where there is no difference, one",
        "line in forty comes out as shown. The cohorts are synthetic: a verdict is about these",
        "data, not about patients.",
        "",
    ]
    for name, claim in claims.items():
        rows = table[table["claim"] == name] if len(table) else table
        lines += [f"## {claim.title}", "", f"`{name}`. {claim.source}", ""]
        if claim.reading:
            lines += [claim.reading, ""]
        if not len(rows):
            lines += [f"Not run yet: `neurodx ablate --only {name}`.", ""]
            continue
        head = ("task", "metric", "lower arm", "higher arm", "difference", "95 % interval", "n")
        lines += [
            "| " + " | ".join((*head, "verdict")) + " |",
            "|" + "---|" * (len(head) + 1),
            *(_line(row) for row in rows.to_dict("records")),
            "",
            _made(claim, rows),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _made(claim: Claim, rows: pd.DataFrame) -> str:
    commit = str(rows["commit"].iloc[0])
    code = f", fitted by the code of {commit}" if commit else ""
    return f"{claim.cohort}, {int(rows['seeds'].iloc[0])} seeds{code}."


def _line(row: Mapping[Any, Any]) -> str:
    title = METRICS[row["metric"]].title if row["metric"] in METRICS else row["metric"]
    if row["note"]:
        cells = [row["task"], title, "", "", "", "", "", f"{row['verdict']}: {row['note']}"]
        return "| " + " | ".join(cells) + " |"
    sign = "+" if row["kind"] == CONTRAST else ""
    n, lower, higher = (int(row[name]) for name in ("n", "n_lower", "n_higher"))
    cells = [
        row["task"],
        title,
        f"{row['lower']} ({row['score_lower']:{sign}.3f})",
        f"{row['higher']} ({row['score_higher']:{sign}.3f})",
        f"{row['difference']:+.3f}",
        f"{row['low']:+.3f} to {row['high']:+.3f}",
        str(n) if lower == higher == n else f"{lower}, {higher}",
        row["verdict"],
    ]
    return "| " + " | ".join(cells) + " |"
