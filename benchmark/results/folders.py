"""Writes a folder of results whole or not at all, and its tables in a fixed form."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["cell_file", "replaced_folder", "write_json", "write_table"]


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yields an empty sibling folder that takes the target's place when the block succeeds.

    If the block raises, the target stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new-{os.getpid()}")
    stale = target.with_name(f".{target.name}.old-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        if target.exists():
            target.rename(stale)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if stale.exists() and not target.exists():
            stale.rename(target)
        shutil.rmtree(stale, ignore_errors=True)


def write_table(frame: pd.DataFrame, path: Path, *by: str) -> None:
    """Writes a parquet table with rows sorted by some columns, so equal content is equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if by and len(frame):
        frame = frame.sort_values(list(by), kind="stable")
    frame.reset_index(drop=True).to_parquet(path, index=False)


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Writes JSON with sorted keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def cell_file(cohort: str, task: str, protocol: str, ending: str = "parquet") -> str:
    """File name of a cell's tables."""
    return f"{cohort}__{task}__{protocol}.{ending}"
