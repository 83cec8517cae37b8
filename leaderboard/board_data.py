"""The only file input of the leaderboard: the tables of ``board/``, read once and cached."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from benchmark.results import CellCandidates, ResultError, read_replicates
from benchmark.results.robustness.schema import TABLES as ROBUSTNESS_TABLES
from benchmark.results.robustness.schema import outdated
from benchmark.results.schema import LEADERBOARD
from leaderboard.rows import REAL, SYNTHETIC, UNKNOWN, keyed

__all__ = [
    "Ablations",
    "Board",
    "BoardError",
    "NoBoardError",
    "Robustness",
    "board_folder",
    "load_ablations",
    "load_board",
    "load_cell",
    "load_robustness",
]

ENVIRONMENT: Final = "NEURODX_BOARD"
TABLES: Final = ("leaderboard", "methods", "runs", "comparisons")
CARD_COLUMNS: Final = (
    *("method", "title", "summary", "paper", "doi", "licence", "contact", "tracks", "tasks"),
    *("pretraining", "tuning", "config_yaml", "readme_md", "bibtex", "command"),
)
REBUILD: Final = "write the board again with `neurodx rank`"
RESCORE: Final = "write the board again with `neurodx score` and then `neurodx rank`"


class BoardError(Exception):
    """A file of the board is missing or damaged; the message names it."""


class NoBoardError(BoardError):
    """There is no board yet."""


@dataclass(frozen=True, slots=True)
class Board:
    """What the pages read.

    Attributes:
        folder: Where it was read.
        rows: ``leaderboard.parquet``, one row for each cell and method.
        cards: ``methods.parquet``, one row for each method.
        runs: ``runs.parquet``, one row for each run.
        comparisons: ``comparisons.parquet``, one row for each pair that was tested.
        facts: ``board.json``: profile, commit, hashes, date, synthetic cohorts, versions.
    """

    folder: Path
    rows: pd.DataFrame
    cards: pd.DataFrame
    runs: pd.DataFrame
    comparisons: pd.DataFrame
    facts: Mapping[str, Any]


def board_folder() -> Path:
    """Returns the board's folder: ``-- --board DIR``, else ``NEURODX_BOARD``, else ``./board``."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--board")
    given = parser.parse_known_args(sys.argv[1:])[0].board
    return Path(given or os.environ.get(ENVIRONMENT) or "board")


def load_board(folder: Path) -> Board:
    """Reads a board, again only when one of its files has changed.

    Raises:
        NoBoardError: The folder holds no ``board.json``.
        BoardError: A file is missing or cannot be read.
    """
    if not (folder / "board.json").is_file():
        raise NoBoardError(
            f"There is no board in {folder.resolve()}: expected board.json there. "
            "Make one with `make repro`, or open another with `neurodx board --board DIR`."
        )
    return _read(folder, _stamp(folder))


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    found = sorted([*folder.glob("*.parquet"), folder / "board.json"])
    return tuple((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in found)


@st.cache_resource(show_spinner=False, max_entries=2)
def _read(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> Board:  # noqa: ARG001
    tables = {name: _table(folder / f"{name}.parquet") for name in TABLES}
    why = outdated("leaderboard", tables["leaderboard"].columns, LEADERBOARD)
    if why:
        raise BoardError(f"{folder}: {why}; {REBUILD}")
    rows = keyed(_plain(tables["leaderboard"]))
    cards = tables["methods"].reindex(columns=CARD_COLUMNS).fillna("")
    return Board(folder, rows, cards, tables["runs"], tables["comparisons"], _facts(folder))


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Nullable columns as plain ones (missing: NaN or false), and the origin of the cohort."""
    origin = rows["synthetic"].map({True: SYNTHETIC, False: REAL})
    rows = rows.assign(origin=origin.astype("object").fillna(UNKNOWN))
    flags = rows.select_dtypes("boolean").columns
    numbers = rows.select_dtypes("Int64").columns
    rows = rows.astype(dict.fromkeys(numbers, "float64"))
    return rows.assign(**{name: rows[name].fillna(value=False).astype(bool) for name in flags})


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise BoardError(f"{path} is missing; {REBUILD}") from None
    except (OSError, ValueError) as error:
        raise BoardError(f"{path} cannot be read ({error}); {REBUILD}") from error


def _facts(folder: Path) -> Mapping[str, Any]:
    path = folder / "board.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BoardError(f"{path} cannot be read ({error}); {REBUILD}") from error
    if not isinstance(facts, dict):
        raise BoardError(f"{path} holds {type(facts).__name__}, not an object; {REBUILD}")
    return facts


def load_cell(board: Board, cohort: str, task: str, protocol: str) -> CellCandidates | None:
    """Returns what ranking one cell needs; None where nothing was scored.

    Raises:
        BoardError: The file is damaged.
    """
    path = board.folder / "replicates" / f"{cohort}__{task}__{protocol}.parquet"
    if not path.is_file():
        return None
    return _cell(path, path.stat().st_mtime_ns)


@st.cache_resource(show_spinner=False, max_entries=64)
def _cell(path: Path, stamp: int) -> CellCandidates:  # noqa: ARG001
    try:
        return read_replicates(path)
    except (OSError, ValueError, KeyError, ResultError) as error:
        raise BoardError(f"{path} cannot be read ({error}); {REBUILD}") from error


@dataclass(frozen=True, slots=True)
class Robustness:
    """The robustness and honesty tables of a board.

    Attributes:
        tables: By name, as ``docs/evaluation.md`` lists them, with the column ``key`` where a line
            is about one row; a table that the board lacks is empty.
        says: What each holds over the whole board, or why it is empty.
    """

    tables: Mapping[str, pd.DataFrame]
    says: Mapping[str, str]


def load_robustness(board: Board) -> Robustness:
    """Returns the robustness tables, read once.

    Raises:
        BoardError: A table is damaged.
    """
    return _robustness(board.folder, _stamp(board.folder))


@st.cache_resource(show_spinner=False, max_entries=2)
def _robustness(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> Robustness:
    there = {name for name, _, _ in stamp}
    old = f"empty: the board was written before this table was known; {RESCORE}"
    says = dict.fromkeys(ROBUSTNESS_TABLES, old)
    if "robustness.parquet" in there:
        said = _table(folder / "robustness.parquet")
        says |= dict(zip(said["table"], said["says"], strict=True))
    tables = {}
    for name, columns in ROBUSTNESS_TABLES.items():
        known = f"{name}.parquet" in there
        table = _table(folder / f"{name}.parquet") if known else pd.DataFrame(columns=[*columns])
        why = outdated(name, table.columns, columns)
        if why:
            table, says[name] = pd.DataFrame(columns=[*columns]), f"empty: {why}; {RESCORE}"
        flags = table.select_dtypes("boolean").columns
        plain = {flag: table[flag].fillna(value=False).astype(bool) for flag in flags}
        table = table.assign(**plain)
        tables[name] = keyed(table) if "method" in table else table
    return Robustness(tables, says)


@dataclass(frozen=True, slots=True)
class Ablations:
    """What ``neurodx ablate`` has written to a board.

    Attributes:
        claims: ``ablations.parquet``, one row for each difference of two arms; empty before.
        insides: ``insides.parquet``, what the arms' methods expose, summed up; may be empty.
        maps: ``embeddings.parquet``, one row for each person and epoch; may be empty.
    """

    claims: pd.DataFrame
    insides: pd.DataFrame
    maps: pd.DataFrame


def load_ablations(board: Board) -> Ablations:
    """Returns the tables of tested claims, read once.

    Raises:
        BoardError: A table is damaged.
    """
    return _ablations(board.folder, _stamp(board.folder))


@st.cache_resource(show_spinner=False, max_entries=2)
def _ablations(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> Ablations:
    there = {name for name, _, _ in stamp}
    tables = []
    for name in ("ablations", "insides", "embeddings"):
        known = f"{name}.parquet" in there
        table = _table(folder / f"{name}.parquet") if known else pd.DataFrame()
        tables.append(table.astype(dict.fromkeys(table.select_dtypes("Int64"), "float64")))
    return Ablations(*tables)
