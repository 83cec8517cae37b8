"""Ranks one cell: within each track, and among all methods whose inputs a track includes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.results.replicates import CellCandidates
from benchmark.results.schema import CELL, ORACLE, ROW_KEY
from benchmark.stats import Candidate, Ranking, paired_gain, rank_methods

__all__ = ["FLOORS", "RankedCell", "rank_cell"]

FLOORS: Final = {"classification": "age_sex", "regression": "chance"}
_UNRANKED_PROVENANCES: Final = (v.QUOTED, v.AUTHOR_REPORTED)


@dataclass(slots=True)
class RankedCell:
    """New column values by row key, and the comparisons made, a table per family."""

    updates: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    comparisons: list[pd.DataFrame] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Row:
    key: tuple[str, ...]
    method: str
    track: str
    derived_from: str
    ranked: bool
    candidate: Candidate


def rank_cell(
    rows: pd.DataFrame, cell: CellCandidates, tracks: Mapping[str, frozenset[str]]
) -> RankedCell:
    """Ranks the scored rows of one cohort, task and protocol.

    Args:
        rows: The cell's rows of ``entries.parquet``, all with status "done".
        cell: Their replicates.
        tracks: Sources of each track; a track not in it is comparable with itself alone.
    """
    members = [_row(record, cell) for record in rows[[*ROW_KEY, "provenance"]].to_dict("records")]
    result = RankedCell(updates={m.key: {} for m in members})
    head = {name: str(rows.iloc[0][name]) for name in CELL} | {"metric": cell.metric}
    for track in sorted({m.track for m in members if m.ranked}):
        own = [m for m in members if m.ranked and m.track == track]
        wider = [m for m in members if m.ranked and _included(m.track, track, tracks)]
        ranking = _ranking(own, cell)
        wider_ranking = ranking if wider == own else _ranking(wider, cell)
        for family, found, suffix in (("track", ranking, ""), ("inputs", wider_ranking, "_all")):
            _take_ranks(result, own, found, suffix)
            label = {**head, "family": family, "family_track": track}
            result.comparisons.append(_comparisons(found, label))
    floor = FLOORS[str(rows.iloc[0]["kind"])]
    for member in members:
        result.updates[member.key] |= _floor_gain(member, members, floor, cell)
        result.updates[member.key] |= _oracle_gap(member, members)
    return result


def _ranking(shown: Sequence[_Row], cell: CellCandidates) -> Ranking:
    candidates = [m.candidate for m in shown]
    return rank_methods(candidates, higher_is_better=cell.higher_is_better, rates=cell.rates)


def _row(record: Mapping[Any, Any], cell: CellCandidates) -> _Row:
    key = tuple(str(record[name]) for name in ROW_KEY)
    candidate = cell.candidates[f"{record['method']}|{record['track']}|{record['derived_from']}"]
    ranked = (
        record["method"] != ORACLE
        and record["provenance"] not in _UNRANKED_PROVENANCES
        and math.isfinite(candidate.own.score)
    )
    return _Row(key, record["method"], record["track"], record["derived_from"], ranked, candidate)


def _included(track: str, within: str, tracks: Mapping[str, frozenset[str]]) -> bool:
    if track == within:
        return True
    return track in tracks and within in tracks and tracks[track] <= tracks[within]


def _take_ranks(result: RankedCell, own: Sequence[_Row], ranking: Ranking, suffix: str) -> None:
    by_key = {row.key: row for row in ranking.rows}
    for member in own:
        row = by_key[member.candidate.key]
        update = result.updates[member.key]
        prefix = f"rank{suffix}"
        update |= {
            f"{prefix}_low": row.rank_low,
            f"{prefix}_high": row.rank_high,
            f"tie_group{suffix}": row.tie_group,
        }
        if not suffix:
            update |= {
                "position": row.position,
                "first_place_share": row.first_place_share,
                "n_more_to_separate": row.n_more_to_separate,
            }


def _comparisons(ranking: Ranking, label: Mapping[str, str]) -> pd.DataFrame:
    """One row per pair, made by column: 200 methods have 19,900 pairs."""
    columns = ranking.comparison_columns()
    names: dict[str, Any] = dict(label)
    for side in ("a", "b"):
        parts = {key: key.split("|") for key in ranking.keys}
        keys = columns.pop(f"key_{side}")
        for i, column in enumerate(("method", "track", "derived")):
            names[f"{column}_{side}"] = [parts[key][i] for key in keys]
    return pd.DataFrame(names | columns, index=range(len(columns["difference"])))


def _floor_gain(
    member: _Row, members: Sequence[_Row], floor: str, cell: CellCandidates
) -> dict[str, float]:
    """Gain over the floor baseline, fitted the same way where both ways exist."""
    floors = [m for m in members if m.method == floor]
    floors.sort(key=lambda m: (m.derived_from != member.derived_from, m.key))
    if not floors or member.method == floor:
        return {}
    gain, low, high = paired_gain(
        member.candidate, floors[0].candidate, higher_is_better=cell.higher_is_better
    )
    return {"floor_gain": gain, "floor_gain_low": low, "floor_gain_high": high}


def _oracle_gap(member: _Row, members: Sequence[_Row]) -> dict[str, float]:
    """Score minus the oracle's of the same track, on the people both predicted."""
    oracles = [m for m in members if m.method == ORACLE and m.track == member.track]
    if not oracles or member.method == ORACLE:
        return {}
    ours = member.candidate.against(oracles[0].candidate)
    theirs = oracles[0].candidate.against(member.candidate)
    return {"oracle_gap": ours.score - theirs.score}
