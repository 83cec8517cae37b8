"""Reads the embeddings that fits show of their test people: ``exposed/<cohort>.npz``."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmark import vocabulary as v

__all__ = ["NO_EMBEDDINGS", "Embedding", "Embeddings", "read_embeddings"]

Array = NDArray[Any]
_ARRAY: Final = "embedding"
_DAMAGED: Final = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """One fit's vectors of its test people; each fit has a space of its own.

    Attributes:
        participant_ids: Shape (n,).
        values: Shape (n, d).
    """

    participant_ids: Array
    values: Array


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Those of every fit behind a row.

    Attributes:
        fits: One per fit; none where the method shows none.
        note: Why there are none though some fits show them; empty otherwise.
    """

    fits: tuple[Embedding, ...] = ()
    note: str = ""


NO_EMBEDDINGS: Final = Embeddings()


def read_embeddings(folders: Iterable[Path], cohort: str) -> Embeddings:
    """Reads what some runs show of a cohort.

    Args:
        folders: The folder of each run.
        cohort: The cohort's name.

    Returns:
        All of them or none: a row is looked at whole.
    """
    found: list[Embedding] = []
    paths = [folder / "exposed" / f"{cohort}.npz" for folder in folders]
    for path in paths:
        try:
            one = _read(path) if path.is_file() else None
        except _DAMAGED as error:
            fault = f"{path.parents[1].name}/exposed/{path.name} cannot be read ({error})"
            return Embeddings(note=f"{fault}; rerun with `neurodx run`")
        if one is not None:
            found.append(one)
    if found and len(found) < len(paths):
        return Embeddings(note=f"{len(found)} of {len(paths)} runs show an embedding")
    return Embeddings(tuple(found))


def _read(path: Path) -> Embedding | None:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        if _ARRAY not in stored.files:
            return None
        ids, values = stored[v.PARTICIPANT_ID].astype(str), stored[_ARRAY]
    if len(ids) != len(values) or not np.isfinite(values).all():
        raise ValueError("expected one finite vector per person")
    return Embedding(ids, values.reshape(len(values), -1))
