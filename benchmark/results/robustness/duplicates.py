"""Rows of a cell that say the same of the same people: a submission entered twice, or a copy.

*identical*: equal to six decimals on exactly the same people, which one content hash tells.
*nearly identical*: on their common people the outputs of every class correlate at 0.999 or more
and are at most 0.05 apart (a regression: a tenth of the target's standard deviation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.results.ledger import Ledger, RowKey, prediction_columns
from benchmark.results.schema import ORACLE
from benchmark.tasks import Task

__all__ = ["Said", "content_sha256", "duplicate_lines", "likeness", "most_apart", "read_said"]

Array = NDArray[Any]
LEAST_CORRELATION: Final = 0.999
MOST_APART: Final = 0.05
_DECIMALS: Final = 6
_LEAST_PEOPLE: Final = 10


def content_sha256(participant_ids: Array, predictions: Array) -> str:
    """Hash of whom a row predicted and of what it said, to six decimals.

    Args:
        participant_ids: Ascending, shape (n,).
        predictions: Shape (n, d).
    """
    rounded = np.round(np.asarray(predictions, dtype=np.float64), _DECIMALS) + 0.0  # no minus zero
    digest = hashlib.sha256("\x1f".join(map(str, participant_ids)).encode())
    digest.update(np.ascontiguousarray(rounded).tobytes())
    return digest.hexdigest()


def likeness(a: Array, b: Array) -> tuple[float, float]:
    """Smallest correlation over columns, and the largest difference, of two tables (n, d).

    The correlation is NaN where a column does not vary.
    """
    centred = [x - x.mean(axis=0) for x in (a, b)]
    norms = np.sqrt((centred[0] ** 2).sum(axis=0) * (centred[1] ** 2).sum(axis=0))
    products = (centred[0] * centred[1]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.where(norms > 1e-12, products / norms, np.nan)
    return float(correlations.min()), float(np.abs(a - b).max())


@dataclass(frozen=True, slots=True)
class Said:
    """What one row says of whom.

    Attributes:
        key: The row's key.
        rows: Row numbers of its people in the cell, ascending, shape (n,).
        outputs: Mean over replicas, shape (n, d).
    """

    key: RowKey
    rows: Array
    outputs: Array


def read_said(path: Path, ledgers: Sequence[Ledger], index: Array, task: Task) -> list[Said]:
    """What the rows of a cell say, from the file of predictions that scoring wrote.

    Args:
        path: The cell's file.
        ledgers: The cell's, whose order the rows take; one that is not in the file is left out.
        index: Number of each of the cell's people in the file, as ``anonymous_index`` gives it.
        task: The task.
    """
    table = pd.read_parquet(path)
    columns = prediction_columns(task.classes)
    place = np.argsort(index)
    parts = dict(iter(table.groupby(["method", "track", "derived_from"])))
    found = []
    for ledger in sorted(ledgers, key=lambda x: (not x.has_folds, x.key)):
        key = ledger.key
        part = parts.get((key.method, key.track, key.derived_from))
        if part is None:
            continue
        replicas = part["replica"].nunique()
        rows = place[part["index"].to_numpy()[: len(part) // replicas]]
        values = part[columns].to_numpy(dtype=np.float64).reshape(replicas, len(rows), -1)
        order = np.argsort(rows)
        found.append(Said(key, rows[order], values.mean(axis=0)[order]))
    return found


def duplicate_lines(
    said: Sequence[Said], participant_ids: Array, apart: float, fresh: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Lines of ``duplicates`` for one cell.

    Two rows of one method and track, such as a fitted task and the same derived from another, are
    no duplicates; the oracle is left out.

    Args:
        said: What its rows say.
        participant_ids: The cell's people.
        apart: Most that near copies differ by.
        fresh: Candidates of which a pair must hold one; None means all.
    """
    members = [s for s in said if s.key.method != ORACLE]
    hashes = [content_sha256(participant_ids[s.rows], s.outputs) for s in members]
    asked = [fresh is None or s.key.candidate in fresh for s in members]
    lines = []
    for a, b in combinations(range(len(members)), 2):
        first, second = members[a].key, members[b].key
        if not (asked[a] or asked[b]):
            continue
        if (first.method, first.track) == (second.method, second.track):
            continue
        common, left, right = np.intersect1d(
            members[a].rows, members[b].rows, assume_unique=True, return_indices=True
        )
        if len(common) < _LEAST_PEOPLE:
            continue
        correlation, difference = likeness(members[a].outputs[left], members[b].outputs[right])
        same = hashes[a] == hashes[b]
        if not same and not (correlation >= LEAST_CORRELATION and difference <= apart):
            continue
        names = {"cohort": first.cohort, "task": first.task, "protocol": first.protocol}
        for side, key in (("a", first), ("b", second)):
            names |= {f"method_{side}": key.method, f"track_{side}": key.track}
            names |= {f"derived_{side}": key.derived_from}
        lines.append(
            {
                **names,
                "kind": "identical" if same else "nearly identical",
                "correlation": correlation,
                "largest_difference": difference,
                "n_common": len(common),
                "content_sha256": hashes[a] if same else "",
            }
        )
    return lines


def most_apart(task: Task, y_true: Array) -> float:
    """Most that the outputs of near copies differ by."""
    return MOST_APART if task.classes else 0.1 * float(y_true.std())
