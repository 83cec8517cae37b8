"""The tables of what methods expose: written beside those of claims, and read again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

import pandas as pd

from benchmark.store.atomic import write_parquet

__all__ = [
    "EMBEDDING_COLUMNS",
    "EVERYBODY",
    "INSIDES_COLUMNS",
    "INSIDE_TABLES",
    "NEIGHBOURS",
    "OVERLAP",
    "merged",
    "write_insides",
]

INSIDES: Final = "insides.parquet"
EMBEDDINGS: Final = "embeddings.parquet"
INSIDE_TABLES: Final = (INSIDES, EMBEDDINGS)
EVERYBODY: Final = "everybody"
NEIGHBOURS: Final = "neighbours"
OVERLAP: Final = "overlap"
_OF_ARM: Final = ("claim", "arm", "row", "cohort", "task", "array", "title", "about", "fits")
INSIDES_COLUMNS: Final = (
    *_OF_ARM,
    *("kind", "group", "item", "value", "low", "high"),
    *("chosen", "chance", "n", "seed", "fold", "note"),
)
EMBEDDING_COLUMNS: Final = (
    *_OF_ARM,
    *("epoch", "person", "group", "x", "y", "seed", "fold", "perplexity"),
)


def write_insides(
    insides: pd.DataFrame,
    embeddings: pd.DataFrame,
    judged: Collection[str],
    claims: Collection[str],
    *folders: Path,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Writes what some claims' arms expose; the lines of other claims stay as they are.

    Args:
        insides: Lines of the claims that were judged now.
        embeddings: Their maps.
        judged: Those claims.
        claims: Every claim that there is, in order: lines of claims that are gone are dropped.
        folders: Where the tables go; the first also holds those of earlier calls.

    Returns:
        All lines of both tables, in the order of the claims.
    """
    written = []
    for name, fresh, columns in (
        (INSIDES, insides, INSIDES_COLUMNS),
        (EMBEDDINGS, embeddings, EMBEDDING_COLUMNS),
    ):
        earlier = _read(folders[0] / name, columns)
        table = merged(earlier, fresh, judged, claims)
        for folder in folders:
            write_parquet(folder / name, table)
        written.append(table)
    return written[0], written[1]


def merged(
    earlier: pd.DataFrame, fresh: pd.DataFrame, judged: Collection[str], claims: Collection[str]
) -> pd.DataFrame:
    """Lines of the claims that were judged now in place of their earlier ones, in claims' order.

    Args:
        earlier: Lines of earlier calls, with a column ``claim``; may be empty.
        fresh: Lines of the claims that were judged now.
        judged: Those claims.
        claims: Every claim that there is, in order: lines of claims that are gone are dropped.
    """
    place = {name: k for k, name in enumerate(claims)}
    kept = earlier[earlier["claim"].isin(set(claims) - set(judged))] if len(earlier) else earlier
    parts = [part for part in (kept, fresh) if len(part)]
    if not parts:
        return fresh if len(fresh.columns) else kept
    table = pd.concat(parts, ignore_index=True)
    table = table.sort_values("claim", key=lambda names: names.map(place), kind="stable")
    return table.reset_index(drop=True)


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """An earlier table; empty where there is none, or where it has other columns."""
    table = pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=[*columns])
    return table if tuple(table.columns) == columns else pd.DataFrame(columns=[*columns])
