"""Rows of a cell that say the same of the same people: a submission entered twice, or a copy.

*identical*: equal to six decimals on exactly the same people, which one content hash tells.
*nearly identical*: on their common people the outputs of every class correlate at 0.999 or more
and are at most 0.05 apart (a regression: a tenth of the target's standard deviation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmark.results.robustness.subject import Subject
from benchmark.results.schema import ORACLE

__all__ = ["content_sha256", "duplicate_lines", "likeness"]

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


def duplicate_lines(subjects: Sequence[Subject]) -> list[dict[str, Any]]:
    """Lines of ``duplicates`` for one cell.

    Two rows of one method and track, such as a fitted task and the same derived from another, are
    no duplicates; the oracle is left out.
    """
    members = [s for s in subjects if s.key.method != ORACLE]
    outputs = [_outputs(s) for s in members]
    hashes = [content_sha256(_ids(s), o) for s, o in zip(members, outputs, strict=True)]
    lines = []
    for a, b in combinations(range(len(members)), 2):
        first, second = members[a].key, members[b].key
        if (first.method, first.track) == (second.method, second.track):
            continue
        common, left, right = np.intersect1d(
            members[a].rows, members[b].rows, assume_unique=True, return_indices=True
        )
        if len(common) < _LEAST_PEOPLE:
            continue
        correlation, apart = likeness(outputs[a][left], outputs[b][right])
        same = hashes[a] == hashes[b]
        if not same and not (correlation >= LEAST_CORRELATION and apart <= _most(members[a])):
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
                "largest_difference": apart,
                "n_common": len(common),
                "content_sha256": hashes[a] if same else "",
            }
        )
    return lines


def _ids(subject: Subject) -> Array:
    ids: Array = subject.cell.participant_ids[subject.rows]
    return ids


def _outputs(subject: Subject) -> Array:
    """Mean over replicas, shape (n, d)."""
    mean = subject.entry.predictions.mean(axis=0)
    table: Array = mean.reshape(len(mean), -1)
    return table


def _most(subject: Subject) -> float:
    if subject.task.classes:
        return MOST_APART
    return 0.1 * float(subject.y_true.std())
