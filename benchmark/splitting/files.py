"""The fold file and its manifest: ``splits/<cohort>/<protocol>.csv`` and ``.json``."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.errors import SplitError
from benchmark.splitting.split import FOLD, PERCENT, REPEAT, Split, columns_of
from benchmark.store.atomic import write_json, write_text

__all__ = ["read_split", "write_split"]

_REQUIRED = {"cohort", "counts", "people_sha256", "protocol", "rule", "seed", "sha256"}


def write_split(split: Split, folder: Path) -> Path:
    """Writes a split atomically, the manifest last.

    Args:
        split: The split.
        folder: ``splits/<cohort>``; made where it is missing.

    Returns:
        The path of the fold file.
    """
    path = folder / f"{split.protocol}.csv"
    write_text(path, split.csv())
    write_json(path.with_suffix(".json"), dict(split.manifest))
    return path


def read_split(path: Path, protocol: str = "") -> Split:
    """Reads a split and verifies it against its manifest.

    Args:
        path: ``splits/<cohort>``, or the fold file itself.
        protocol: Which split of the folder; not needed with a file.

    Returns:
        The split, exactly as it was made.

    Raises:
        SplitError: A file is missing or malformed, or the fold file is not the one that the
            manifest describes.
    """
    table_path = path if path.suffix == ".csv" else path / f"{protocol}.csv"
    manifest_path = table_path.with_suffix(".json")
    remake = f"`neurodx splits make --cohort {table_path.parent.name} --protocol {table_path.stem}`"
    for needed in (table_path, manifest_path):
        if not needed.is_file():
            raise SplitError(f"{needed}: missing; make it with {remake}")
    manifest = _manifest(manifest_path, remake)
    content = table_path.read_bytes()
    got = hashlib.sha256(content).hexdigest()
    if got != manifest["sha256"]:
        raise SplitError(
            f"{table_path}: differs from its manifest: expected sha256 {manifest['sha256']}, got "
            f"{got}; restore it with `git checkout -- {table_path}` or rebuild it with {remake}"
        )
    table = _table(content, table_path, remake)
    cohort, name = str(manifest["cohort"]), str(manifest["protocol"])
    if (cohort, name) != (table_path.parent.name, table_path.stem):
        raise SplitError(
            f"{manifest_path}: describes {cohort}/{name}, expected "
            f"{table_path.parent.name}/{table_path.stem}; rebuild it with {remake}"
        )
    return Split(cohort, name, int(manifest["seed"]), table, manifest)


def _manifest(path: Path, remake: str) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SplitError(f"{path}: not JSON ({error}); rebuild it with {remake}") from error
    missing = _REQUIRED - set(manifest) if isinstance(manifest, dict) else _REQUIRED
    if missing:
        raise SplitError(f"{path}: lacks {', '.join(sorted(missing))}; rebuild it with {remake}")
    return dict(manifest)


def _table(content: bytes, path: Path, remake: str) -> pd.DataFrame:
    text = {"participant_id": str, "part": str}
    table = pd.read_csv(io.BytesIO(content), dtype=text, keep_default_na=False)
    expected = columns_of(path.stem)
    if list(table.columns) != expected:
        raise SplitError(
            f"{path}: expected the columns {', '.join(expected)}, got "
            f"{', '.join(map(str, table.columns))}; rebuild it with {remake}"
        )
    whole = [column for column in (REPEAT, FOLD, PERCENT) if column in table]
    return table.astype(dict.fromkeys(whole, "int64"))
