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

from benchmark.errors import ResultError
from benchmark.store.folders import empty, lock_folder, put_in_place, recover

__all__ = ["cell_file", "replaced_folder", "write_json", "write_table"]


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yields an empty sibling folder that takes the target's place when the block succeeds.

    The sibling, ``.<name>.partial``, is locked by this process. If the block raises, the target
    stays as it was; so it does if the process is killed, and the next call clears up.

    Raises:
        ResultError: Another process is writing the same target.
    """
    fresh = target.with_name(f".{target.name}.partial")
    handle = lock_folder(fresh)
    if handle is None:
        raise ResultError(
            f"{fresh}: locked; another process is writing {target}, expected one at a time. Wait "
            "until it ends, then run the same command again"
        )
    try:
        empty(fresh)
        recover(target)
        yield fresh
        put_in_place(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    finally:
        os.close(handle)


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
