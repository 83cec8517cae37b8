"""The ranked table in a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmark.errors import ResultError

__all__ = ["SMALL", "board_markdown", "board_tables", "show_board"]

SMALL = "† fewer than 30 people in a class: intervals are too narrow."
_HEADINGS = ("method", "track", "rank", "tie group", "score", "95 % interval", "n", "gain")


def show_board(board: Path, console: Console) -> None:
    """Prints one table per cohort and task, in ranking order.

    Raises:
        ResultError: There is no board.
    """
    frame = _read(board)
    if synthetic := _synthetic(frame):
        console.print(
            f"[bold]SYNTHETIC[/]: {', '.join(synthetic)}. A rank there checks methods and "
            "machinery; it is not a clinical claim."
        )
    console.print("Ranks are within a track. * gain whose 95 % interval is clear of zero.")
    console.print(f"{SMALL}\n" if frame["small_sample"].any() else "")
    for (cohort, task, protocol), rows in frame.groupby(["cohort", "task", "protocol"], sort=False):
        console.print(_table(f"{cohort} / {task} / {protocol}", rows))
        for row in rows.loc[rows["score"].isna()].to_dict("records"):
            reason = f"{row['method']} ({row['track']}) {row['status']}: {row['error']}"
            console.print(f"  {reason}", style="red", highlight=False, markup=False)
        console.print()


def board_markdown(board: Path) -> str:
    """Returns the board as a Markdown page, one table per cohort and task.

    Raises:
        ResultError: There is no board.
    """
    frame = _read(board)
    facts = json.loads((board / "board.json").read_text())
    lines = [
        "# Results",
        "",
        f"Board of profile `{facts['profile']}`, {facts['date']}; `neurodx rank --markdown`.",
        "",
        f"**Synthetic: {', '.join(_synthetic(frame)) or 'none'}.** A rank there checks methods and",
        "machinery and is no clinical claim. Ranks are within a track; methods of one tie group",
        "cannot be told apart. *gain*: difference to the confound floor, * where its 95 % interval",
        f"is clear of zero. {SMALL}",
    ]
    return "\n".join(lines + _tables(frame, "##")) + "\n"


def board_tables(board: Path, heading: str = "##") -> list[str]:
    """Returns the board's tables as lines of Markdown, one per cohort and task.

    Args:
        board: ``board/``.
        heading: What stands before their titles.

    Raises:
        ResultError: There is no board.
    """
    return _tables(_read(board), heading)


def _tables(frame: pd.DataFrame, heading: str) -> list[str]:
    lines: list[str] = []
    for (cohort, task, protocol), rows in frame.groupby(["cohort", "task", "protocol"], sort=False):
        metric = rows["metric"].iloc[0]
        lines += ["", f"{heading} {cohort} / {task} / {protocol} ({metric})", ""]
        lines += [f"| {' | '.join(_HEADINGS)} |", "|" + "---|" * len(_HEADINGS)]
        for row in rows.sort_values("position", kind="stable").to_dict("records"):
            cells = [cell.strip() for cell in _cells(row)]
            lines.append(f"| {' | '.join(cells + [''] * (len(_HEADINGS) - len(cells)))} |")
    return lines


def _read(board: Path) -> pd.DataFrame:
    path = board / "leaderboard.parquet"
    if not path.is_file():
        raise ResultError(f"{path}: there is no board yet; make it with `make repro`")
    return pd.read_parquet(path)


def _synthetic(frame: pd.DataFrame) -> list[str]:
    return sorted(frame.loc[frame["synthetic"].fillna(False), "cohort"].unique())


def _table(title: str, rows: pd.DataFrame) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    metric = str(rows["metric"].iloc[0])
    table.add_column("method", no_wrap=True)
    table.add_column("track", no_wrap=True)
    for name in ("rank", "tie group", metric, "95 % interval", "n", "gain over floor"):
        table.add_column(name, justify="right", no_wrap=name != "tie group")
    for row in rows.sort_values("position", kind="stable").to_dict("records"):
        table.add_row(*_cells(row))
    return table


def _cells(row: dict[Any, Any]) -> list[str]:
    name = row["method"] + (f" (from {row['derived_from']})" if row["derived_from"] else "")
    if pd.isna(row["score"]):
        return [name, row["track"], "", "", row["status"]]
    low, high = row["rank_low"], row["rank_high"]
    rank = "" if pd.isna(low) else f"{low}" if low == high else f"{low}-{high}"
    tie = "" if pd.isna(row["tie_group"]) else str(row["tie_group"])
    interval = "" if pd.isna(row["ci_low"]) else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"
    score = f"{row['score']:.3f}"
    n = f"{row['n']}{'†' if row['small_sample'] else ''}"
    return [name, row["track"], rank, tie, score, interval, n, _gain(row)]


def _gain(row: dict[Any, Any]) -> str:
    if pd.isna(row["floor_gain"]):
        return ""
    clear = row["floor_gain_low"] > 0 or row["floor_gain_high"] < 0
    return f"{row['floor_gain']:+.3f}{'*' if clear else ' '}"
