"""Small files for other tools: the metrics and plots of DVC."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.results.folders import write_json

__all__ = ["dvc_metrics", "write_exports"]

_PLOT_COLUMNS = ("cohort", "task", "protocol", "track", "method", "score", "ci_low", "ci_high")


def dvc_metrics(leaderboard: pd.DataFrame) -> dict[str, Any]:
    """Nests the scores as cohort / task / protocol / track / method for ``dvc metrics``.

    A row derived from another task is called ``method (from dx3)``. Rows without a score are left
    out: their status is in the leaderboard.
    """
    nested: dict[str, Any] = {}
    for row in leaderboard.to_dict("records"):
        if not math.isfinite(row["score"]):
            continue
        place = nested
        for name in ("cohort", "task", "protocol", "track"):
            place = place.setdefault(row[name], {})
        place[_label(row)] = round(float(row["score"]), 6)
    return nested


def write_exports(leaderboard: pd.DataFrame, metrics: pd.DataFrame, board: Path) -> None:
    """Writes ``metrics.json`` and ``plots/``: one CSV of scores, one of calibration."""
    write_json(dvc_metrics(leaderboard), board / "metrics.json")
    plots = board / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    scored = leaderboard[leaderboard["score"].notna()]
    scored[list(_PLOT_COLUMNS)].to_csv(plots / "scores.csv", index=False, float_format="%.6f")
    slopes = metrics[metrics["metric"].isin(["calibration_slope", "ece", "brier_score"])]
    columns = [*_PLOT_COLUMNS[:5], "derived_from", "metric", "score"]
    slopes.sort_values(columns[:-1], kind="stable")[columns].to_csv(
        plots / "calibration.csv", index=False, float_format="%.6f"
    )


def _label(row: Mapping[Any, Any]) -> str:
    origin = row["derived_from"]
    return f"{row['method']} (from {origin})" if origin else str(row["method"])
