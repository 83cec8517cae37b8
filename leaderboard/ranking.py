"""Ranks of the rows shown, computed anew by ``benchmark.stats`` for every choice of rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import pandas as pd

from benchmark.results import CellCandidates
from benchmark.stats import RankRow, rank_methods
from leaderboard.rows import CELL, is_ranked

__all__ = ["BY_INPUTS", "Families", "input_families", "ranked", "ranked_by_inputs"]

Families = Mapping[str, frozenset[str]]

_SHOWN = {
    "shown_low": "rank_low",
    "shown_high": "rank_high",
    "shown_group": "tie_group",
    "shown_position": "position",
    "shown_first_share": "first_place_share",
    "shown_more": "n_more_to_separate",
}
_SAME = {
    name: name
    for name in (
        *("rank_low", "rank_high", "tie_group"),
        *("position", "first_place_share", "n_more_to_separate"),
    )
}
_WIDER = {
    "rank_all_low": "rank_low",
    "rank_all_high": "rank_high",
    "tie_group_all": "tie_group",
}
# Columns of the board that hold for its own choice of rows alone.
BY_INPUTS: Final = (*_SAME, *_WIDER)


def ranked(rows: pd.DataFrame, cell: CellCandidates | None) -> pd.DataFrame:
    """Ranks the rows of one cell among themselves.

    Args:
        rows: Rows of one cohort, task and protocol, with the column ``key``.
        cell: What the board stored for ranking; None where nothing was scored.

    Returns:
        The rows with the ``shown_*`` columns; NaN for rows that are not ranked. ``shown_oracle`` is
        the difference from the oracle, positive where the row is better whatever the metric.
    """
    places = _places(list(rows.loc[is_ranked(rows), "key"]), cell)
    sign = -1.0 if cell is not None and not cell.higher_is_better else 1.0
    return rows.assign(
        **_columns(rows, places, _SHOWN), shown_oracle=sign * rows["oracle_gap"].astype("float64")
    )


def ranked_by_inputs(
    rows: pd.DataFrame, cell: CellCandidates | None, families: Families
) -> pd.DataFrame:
    """Ranks each row among the shown rows of its inputs, and of the same or fewer inputs.

    Args:
        rows: As in ``ranked``.
        cell: As in ``ranked``.
        families: For each track, the keys of the rows whose inputs it includes.

    Returns:
        The rows with the columns ``BY_INPUTS`` replaced.
    """
    shown = rows.loc[is_ranked(rows), ["key", "track"]]
    every = list(shown["key"])
    same: dict[str, RankRow] = {}
    wider: dict[str, RankRow] = {}
    for track, keys in shown.groupby("track")["key"]:
        own = list(keys)
        inside = families.get(str(track), frozenset()).union(own)
        same |= _places(own, cell)
        found = _places([key for key in every if key in inside], cell)
        wider |= {key: found[key] for key in own if key in found}
    return rows.assign(**_columns(rows, same, _SAME), **_columns(rows, wider, _WIDER))


def input_families(comparisons: pd.DataFrame, cohort: str, task: str, protocol: str) -> Families:
    """Reads from the board's comparisons which rows are compared within which track's inputs.

    Args:
        comparisons: ``board/comparisons.parquet``.
        cohort: Cohort of the cell.
        task: Task of the cell.
        protocol: Protocol of the cell.

    Returns:
        For each track with at least two comparable rows, the keys of those rows.
    """
    here = comparisons.loc[
        (comparisons[CELL] == [cohort, task, protocol]).all(axis=1)
        & (comparisons["family"] == "inputs")
    ]
    families: dict[str, frozenset[str]] = {}
    for side in ("a", "b"):
        keys = here[f"method_{side}"] + "|" + here[f"track_{side}"] + "|" + here[f"derived_{side}"]
        for track, found in keys.groupby(here["family_track"]):
            families[str(track)] = families.get(str(track), frozenset()) | set(found)
    return families


def _places(keys: Collection[str], cell: CellCandidates | None) -> dict[str, RankRow]:
    if cell is None:
        return {}
    ranking = rank_methods(
        [cell.candidates[key] for key in keys if key in cell.candidates],
        higher_is_better=cell.higher_is_better,
        rates=cell.rates,
    )
    return {row.key: row for row in ranking.rows}


def _columns(
    rows: pd.DataFrame, places: Mapping[str, RankRow], names: Mapping[str, str]
) -> dict[str, list[float]]:
    """Fields of ``RankRow`` as columns in the order of the rows; NaN for those without a place."""
    found = [places.get(key) for key in rows["key"]]
    return {
        column: [float("nan") if place is None else float(getattr(place, field)) for place in found]
        for column, field in names.items()
    }
