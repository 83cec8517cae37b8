"""Small files for other tools: the metrics and plots of DVC."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.results.folders import cell_file, write_json
from benchmark.results.schema import CELL, ORACLE, ROW_KEY

__all__ = ["dvc_metrics", "write_exports"]

_PLOTTED = ("metric", "score", "ci_low", "ci_high")
_CALIBRATION = ("brier_score", "ece", "calibration_slope")


def dvc_metrics(leaderboard: pd.DataFrame) -> dict[str, Any]:
    """Nests the scores as cohort / task / protocol / track / method for ``dvc metrics``.

    A row derived from another task is called ``method (from dx3)``. Rows without a score are left
    out: their status is in the leaderboard.
    """
    nested: dict[str, Any] = {}
    for row in leaderboard[[*ROW_KEY, "score"]].to_dict("records"):
        if not math.isfinite(row["score"]):
            continue
        place = nested
        for name in ("cohort", "task", "protocol", "track"):
            place = place.setdefault(row[name], {})
        place[_label(row)] = round(float(row["score"]), 6)
    return nested


def write_exports(leaderboard: pd.DataFrame, metrics: pd.DataFrame, board: Path) -> None:
    """Writes ``metrics.json`` and ``plots/``: one CSV per cohort, task and protocol."""
    write_json(dvc_metrics(leaderboard), board / "metrics.json")
    plots = board / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    scored = leaderboard[leaderboard["score"].notna()]
    for cell, rows in scored.groupby(list(CELL)):
        cohort, task, protocol = map(str, cell)
        path = plots / cell_file(cohort, task, protocol, "csv")
        _plot_table(rows, metrics).to_csv(path, index=False, float_format="%.6f")


def _plot_table(rows: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per method of a cell: primary metric with its interval, and calibration."""
    slopes = metrics[metrics["metric"].isin(_CALIBRATION)].pivot_table(
        index=list(ROW_KEY), columns="metric", values="score"
    )
    table = rows[[*ROW_KEY, *_PLOTTED]].join(slopes, on=list(ROW_KEY))
    table = table.assign(row=[_plot_label(row) for row in table.to_dict("records")])
    for name in _CALIBRATION:
        if name not in table:
            table[name] = math.nan
    return table[["row", "method", "track", *_PLOTTED, *_CALIBRATION]]


def _plot_label(row: Mapping[Any, Any]) -> str:
    """Names a row; the oracle has one in every track."""
    return f"{row['method']} ({row['track']})" if row["method"] == ORACLE else str(row["method"])


def _label(row: Mapping[Any, Any]) -> str:
    origin = row["derived_from"]
    return f"{row['method']} (from {origin})" if origin else str(row["method"])
