"""From scores to the board: ranks, tie groups, gains over the floor, gaps to the oracle."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.beside import tables_beside
from benchmark.results.export import write_exports
from benchmark.results.folders import cell_file, replaced_folder, write_json, write_table
from benchmark.results.rank_cell import RankedCell, rank_cell
from benchmark.results.replicates import read_replicates
from benchmark.results.schema import (
    CELL,
    LEADERBOARD,
    LEADERBOARD_DTYPES,
    ROW_KEY,
    typed,
)
from benchmark.tracks import TRACKS

__all__ = ["COMPARISON_COLUMNS", "rank_workspace", "without_formulas"]

COMPARISON_COLUMNS: Final = (
    *CELL,
    "family",
    "family_track",
    "method_a",
    "track_a",
    "derived_a",
    "method_b",
    "track_b",
    "derived_b",
    "metric",
    "difference",
    "low",
    "high",
    "t",
    "p_adjusted",
    "separated",
    "n_common",
)


_CELLS_AT_ONCE: Final = 2
_NUMBER: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBERS: Final = re.compile(rf"{_NUMBER}(?: to {_NUMBER})?")


def rank_workspace(
    scores: Path,
    board: Path,
    cards: Sequence[Mapping[str, Any]] = (),
    *,
    cohorts: Mapping[str, Mapping[str, Any]] | None = None,
    facts: Mapping[str, Any] | None = None,
    beside: Mapping[str, Path] | None = None,
    tracks: Mapping[str, frozenset[str]] = TRACKS,
) -> pd.DataFrame:
    """Ranks every cell and writes ``board/`` whole.

    Args:
        scores: Folder that ``score_workspace`` wrote.
        board: Folder to write, replaced when everything is written.
        cards: One record per method, stored as ``methods.parquet``; lists and mappings in it are
            stored as JSON text.
        cohorts: Datasheets by cohort; ``synthetic`` is read from them.
        facts: Further content of ``board.json``, such as profile, commit and hashes.
        beside: Scores by other protocols, which hold the few-label curve and the drop on left-out
            sites; folders that are not there are said to be absent.
        tracks: Sources of each track.

    Returns:
        The leaderboard, one row per cohort, task, protocol, track, method and origin.

    Raises:
        ResultError: ``scores`` is not whole.
    """
    entries, metrics = (_read(scores / name) for name in ("entries.parquet", "scores.parquet"))
    leaderboard = _base_rows(entries, metrics, cohorts or {})
    comparisons: list[pd.DataFrame] = []
    updates: dict[tuple[str, ...], dict[str, Any]] = {}
    cells = entries[entries["status"] == "done"].groupby(list(CELL))

    def rank_one(part: tuple[Any, pd.DataFrame]) -> RankedCell:
        cell, rows = part
        replicates = read_replicates(scores / "replicates" / cell_file(*map(str, cell)))
        return rank_cell(rows, replicates, tracks)

    with ThreadPoolExecutor(_CELLS_AT_ONCE) as pool:  # numpy lets go of the interpreter lock
        for ranked in pool.map(rank_one, cells):
            updates |= ranked.updates
            comparisons += ranked.comparisons
    leaderboard = _finished(leaderboard, updates)
    with replaced_folder(board) as fresh:
        write_table(leaderboard, fresh / "leaderboard.parquet")
        plain = without_formulas(leaderboard, keep=ROW_KEY)
        plain.to_csv(fresh / "leaderboard.csv", index=False, float_format="%.6f")
        write_table(metrics, fresh / "metrics.parquet", *ROW_KEY, "metric")
        write_table(
            _comparison_table(comparisons),
            fresh / "comparisons.parquet",
            *COMPARISON_COLUMNS[:11],
        )
        write_table(_card_table(cards), fresh / "methods.parquet")
        for name in ("runs.parquet", "replicates", "predictions"):
            _copy(scores / name, fresh / name)
        for path in sorted((scores / "robustness").glob("*.parquet")):
            _copy(path, fresh / path.name)
        for name, table in tables_beside(scores, beside or {}).items():
            write_table(table, fresh / f"{name}.parquet")
        write_json(_board_facts(scores, leaderboard, facts or {}), fresh / "board.json")
        write_exports(leaderboard, metrics, fresh)
    return leaderboard


def without_formulas(frame: pd.DataFrame, keep: Collection[str] = ()) -> pd.DataFrame:
    r"""Puts an apostrophe before each text that a spreadsheet would take for a formula.

    These begin with ``= + - @``, a tab or the end of a line. Numbers and intervals stay, as in
    ``-0.1 to 0.2``, and so do columns of numbers. Carriage returns become line feeds: alone they
    would end a row of the file, and the next one would begin with what follows.

    Args:
        frame: Any table.
        keep: Columns to leave as they are, since rows are found by them.
    """
    texts = frame.select_dtypes(exclude=["number", "bool", "boolean"]).columns.difference([*keep])
    return frame.assign(**{str(c): frame[c].map(_no_formula, na_action="ignore") for c in texts})


def _no_formula(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    risky = text.startswith(("=", "+", "-", "@", "\t", "\n")) and not _NUMBERS.fullmatch(text)
    return f"'{text}" if risky else text


def _comparison_table(families: Sequence[pd.DataFrame]) -> pd.DataFrame:
    tables = [family for family in families if len(family)]
    if not tables:
        return pd.DataFrame([], columns=list(COMPARISON_COLUMNS))
    return pd.concat(tables, ignore_index=True)[list(COMPARISON_COLUMNS)]


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise ResultError(f"{path}: there is no such file; make it with `neurodx score`")
    return pd.read_parquet(path)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copyfile(source, target)


def _base_rows(
    entries: pd.DataFrame, metrics: pd.DataFrame, cohorts: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    primary = metrics.loc[
        metrics["primary"].astype(bool),
        [*ROW_KEY, "score", "ci_low", "ci_high", "ci_method", "seed_sd"],
    ]
    rows = entries.merge(primary, on=list(ROW_KEY), how="left", validate="one_to_one")
    synthetic = {name: card.get("synthetic") for name, card in cohorts.items()}
    rows["synthetic"] = rows["cohort"].map(synthetic)
    return rows[[c for c in rows.columns if c in LEADERBOARD_DTYPES]]


def _finished(
    rows: pd.DataFrame, updates: Mapping[tuple[str, ...], dict[str, Any]]
) -> pd.DataFrame:
    """Adds what ranking found and sorts: by cell and track, ranked rows first, best first."""
    records = []
    for record in rows.to_dict("records"):
        key = tuple(str(record[name]) for name in ROW_KEY)
        records.append({str(k): value for k, value in record.items()} | updates.get(key, {}))
    frame = typed(pd.DataFrame(records, columns=list(LEADERBOARD)), LEADERBOARD_DTYPES)
    order = ["cohort", "task", "protocol", "track", "position", "method", "derived_from"]
    return frame.sort_values(order, kind="stable", na_position="last").reset_index(drop=True)


def _card_table(cards: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    def flat(value: object) -> object:
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            plain = sorted(value) if isinstance(value, (set, frozenset)) else value
            return json.dumps(plain, sort_keys=True)
        return value

    return pd.DataFrame([{name: flat(value) for name, value in card.items()} for card in cards])


def _board_facts(
    scores: Path, leaderboard: pd.DataFrame, facts: Mapping[str, Any]
) -> dict[str, Any]:
    synthetic = leaderboard["synthetic"].fillna(False).astype(bool)
    settings = json.loads((scores / "scores.json").read_text())
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "synthetic_cohorts": sorted(leaderboard.loc[synthetic, "cohort"].unique()),
        "counts": {
            "rows": len(leaderboard),
            "methods": int(leaderboard["method"].nunique()),
            "cohorts": int(leaderboard["cohort"].nunique()),
            "failed": int((leaderboard["status"] == "failed").sum()),
            "missing": int((leaderboard["status"] == "missing").sum()),
        },
        "resampling": settings,
        **facts,
    }
