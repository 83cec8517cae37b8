"""Ranks of the rows shown, computed anew by ``benchmark.stats`` for every choice of rows."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from benchmark.metrics import get_metric
from benchmark.stats import Candidate, RankRow, rank_methods
from leaderboard.rows import OK, ORACLE

__all__ = ["SHOWN", "ranked"]

SHOWN = (
    "shown_low",
    "shown_high",
    "shown_group",
    "shown_position",
    "shown_first_share",
    "shown_more",
)


def ranked(rows: pd.DataFrame, candidates: Mapping[str, Candidate]) -> pd.DataFrame:
    """Ranks the rows of one cell among themselves.

    Args:
        rows: Rows of one cohort, task and protocol, with the column ``key``.
        candidates: What the board stored for ranking, by ``key``.

    Returns:
        The rows with the ``shown_*`` columns; empty for rows that are not ranked.
    """
    metrics = rows["metric"].dropna().unique()
    places = _places(rows, candidates, str(metrics[0])) if len(metrics) == 1 else {}
    return rows.assign(
        shown_low=[_value(places, k, "rank_low") for k in rows["key"]],
        shown_high=[_value(places, k, "rank_high") for k in rows["key"]],
        shown_group=[_value(places, k, "tie_group") for k in rows["key"]],
        shown_position=[_value(places, k, "position") for k in rows["key"]],
        shown_first_share=[_value(places, k, "first_place_share") for k in rows["key"]],
        shown_more=[_value(places, k, "n_more_to_separate") for k in rows["key"]],
    )


def _places(
    rows: pd.DataFrame, candidates: Mapping[str, Candidate], metric_name: str
) -> dict[str, RankRow]:
    metric = get_metric(metric_name)
    scored = rows.loc[(rows["status"] == OK) & (rows["method"] != ORACLE), "key"]
    chosen = [candidates[key] for key in scored if key in candidates]
    ranking = rank_methods(
        chosen,
        higher_is_better=metric.higher_is_better,
        rates=metric.kind == "classification",
    )
    return {row.key: row for row in ranking.rows}


def _value(places: Mapping[str, RankRow], key: str, field: str) -> float:
    return float(getattr(places[key], field)) if key in places else float("nan")
