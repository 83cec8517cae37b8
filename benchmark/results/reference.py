"""Compares a board with the committed reference, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.schema import ROW_KEY
from benchmark.store.atomic import write_text

__all__ = [
    "DEFAULT_TOLERANCE",
    "STATUSES",
    "ReferenceReport",
    "compare_reference",
    "write_reference",
]

STATUSES: Final = ("identical", "within tolerance", "different", "missing", "new")

# Where no seeds tell: what another CPU's rounding may do to a trained model. In the metric's unit,
# or as a share of half the interval where that is more: few people make scores move further. On two
# CPUs 20 rows of trained networks moved by up to 0.55 of it (docs/decisions.md).
DEFAULT_TOLERANCE: Final = {"roc_auc": 0.03, "mae": 0.35}
_FALLBACK_TOLERANCE: Final = 0.03
_HALF_INTERVALS: Final = 0.6
_SPREADS: Final = 3.0  # seed standard deviations that a rerun may be away

_KEY: Final = [*ROW_KEY, "metric"]
_COMPARED: Final = ["score", "ci_low", "ci_high"]
_STORED: Final = [
    *_KEY,
    *_COMPARED,
    "n",
    "seeds",
    "seed_sd",
    "status",
    "tolerance",
]


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """Outcome of a comparison.

    Attributes:
        rows: One row per row of either table: its key, outcome, both scores, difference,
            tolerance.
        counts: Number of rows by outcome.
    """

    rows: pd.DataFrame
    counts: dict[str, int]

    @property
    def passed(self) -> bool:
        """Whether nothing is different or missing; new rows do not fail."""
        return not self.counts["different"] and not self.counts["missing"]


def write_reference(board: Path, reference: Path) -> None:
    """Writes a board's leaderboard as the reference, whole or not at all, with tolerances.

    The tolerance is three standard deviations between seeds where the row has three seeds or
    more (at least a tenth of the default), otherwise ``DEFAULT_TOLERANCE`` of its metric or 0.6 of
    half its interval, whichever is more.

    Args:
        board: ``board/`` or its ``leaderboard.csv``.
        reference: The CSV to write.
    """
    rows = _read(_csv(board), "neurodx rank")
    rows["tolerance"] = [_tolerance(row) for row in rows.to_dict("records")]
    ordered = rows.sort_values(_KEY, kind="stable")[_STORED]
    write_text(reference, ordered.to_csv(index=False, float_format="%.6f"))


def compare_reference(board: Path, reference: Path) -> ReferenceReport:
    """Compares each row of the board with the reference.

    *identical*: same status, n, score and interval to six decimals. *within tolerance*: same
    status and n, score within the row's stored tolerance. *different*: anything else. *missing*:
    only in the reference. *new*: only on the board.

    Args:
        board: ``board/`` or its ``leaderboard.csv``.
        reference: The committed CSV, or its folder.

    Raises:
        ResultError: A file is missing or lacks a column.
    """
    ours = _read(_csv(board), "neurodx rank")
    theirs = _read(_csv(reference), "neurodx compare-reference --write")
    if "tolerance" not in theirs:
        raise ResultError(
            f"{_csv(reference)}: the column 'tolerance' is missing; "
            "write it anew with `neurodx compare-reference --write`"
        )
    both = ours.merge(theirs, on=_KEY, how="outer", suffixes=("", "_ref"), indicator=True)
    both["outcome"] = [_outcome(row) for row in both.to_dict("records")]
    both["difference"] = both["score"] - both["score_ref"]
    shown = both[[*_KEY, "outcome", "score", "score_ref", "difference", "tolerance"]]
    shown = shown.rename(columns={"score_ref": "score_reference"})
    counts = {name: int((both["outcome"] == name).sum()) for name in STATUSES}
    return ReferenceReport(shown.sort_values(_KEY, kind="stable", ignore_index=True), counts)


def _csv(path: Path) -> Path:
    return path / "leaderboard.csv" if path.is_dir() else path


def _read(path: Path, command: str) -> pd.DataFrame:
    if not path.exists():
        raise ResultError(f"{path}: there is no such file; make it with `{command}`")
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    missing = [c for c in [*_KEY, *_COMPARED, "n", "status"] if c not in frame]
    if missing:
        raise ResultError(f"{path}: columns {missing} are missing; make it with `{command}`")
    text = [*_KEY, "status"]
    frame[text] = frame[text].astype("object").where(frame[text].notna(), "").astype(str)
    return frame


def _tolerance(row: Mapping[Any, Any]) -> float:
    spread = float(row["seed_sd"])
    default = DEFAULT_TOLERANCE.get(row["metric"], _FALLBACK_TOLERANCE)
    if row["seeds"] >= 3 and math.isfinite(spread):
        return round(max(_SPREADS * spread, default / 10.0), 6)
    width = float(row["ci_high"]) - float(row["ci_low"])
    return round(max(default, _HALF_INTERVALS * width / 2), 6) if math.isfinite(width) else default


def _outcome(row: Mapping[Any, Any]) -> str:
    if row["_merge"] != "both":
        return "missing" if row["_merge"] == "right_only" else "new"
    same_rows = row["status"] == row["status_ref"] and _same(row["n"], row["n_ref"])
    if same_rows and all(_same(row[name], row[f"{name}_ref"]) for name in _COMPARED):
        return "identical"
    near = abs(row["score"] - row["score_ref"]) <= row["tolerance"] + 1e-9
    return "within tolerance" if same_rows and near else "different"


def _same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or abs(a - b) < 1.5e-6
