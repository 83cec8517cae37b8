"""What separates two boards: what they were made from, and which conclusions flipped.

A *conclusion* is a pair of methods and whether the board's test separates them, and which way. It
flips where it is reversed, gained, lost, or where one of two separated methods is no longer ranked.

The committed reference holds scores and intervals only. Against it both sides are read the same
cautious way: two methods of a track count as separated where their 95 % intervals do not touch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from benchmark.diff.changes import Change, mapping_changes
from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.results.schema import CELL, ORACLE, ROW_KEY

__all__ = ["BoardDiff", "Change", "Side", "diff_boards", "read_side"]

FLIPS: Final = ("reversed", "lost", "gained", "gone")
_FACTS: Final[Mapping[str, str]] = {
    "data_hashes": "data",
    "data_parts": "data part",
    "split_hashes": "split",
    "preparation": "preparation",
    "versions": "version",
}
_PLAIN: Final = ("profile", "protocol", "commit")
_TEXT: Final = [*ROW_KEY, "metric", "status"]


@dataclass(frozen=True, slots=True)
class Side:
    """One board.

    Attributes:
        path: Where it was read.
        rows: One line per row of the board.
        facts: ``board.json``; empty for a reference.
        configs: Settings by method, as YAML; empty for a reference.
        comparisons: ``comparisons.parquet``; None for a reference.
    """

    path: Path
    rows: pd.DataFrame
    facts: Mapping[str, Any]
    configs: Mapping[str, str]
    comparisons: pd.DataFrame | None


@dataclass(frozen=True, slots=True)
class BoardDiff:
    """What separates two boards.

    Attributes:
        changes: In what they were made from: ``data``, ``data part``, ``split``, ``labels``,
            ``preparation``, ``config``, ``version``, ``profile``, ``protocol``, ``commit``,
            ``row`` (only on one side, or of another status).
        ranks: Rows whose place changed: the key, ``old`` and ``new`` (tie group, or position
            against a reference), scores on both sides.
        flips: Conclusions that changed: cell, family, both methods, ``old``, ``new``, ``flip``.
        same: Number of conclusions that are the same.
        by_intervals: Whether separation was read from intervals, as one side is a reference.
    """

    changes: tuple[Change, ...]
    ranks: pd.DataFrame
    flips: pd.DataFrame
    same: int
    by_intervals: bool

    @property
    def unchanged(self) -> bool:
        """Whether every conclusion still holds."""
        return self.flips.empty

    def changes_of(self, kind: str) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind == kind]


def read_side(path: Path) -> Side:
    """Reads a board folder or a reference CSV.

    Raises:
        ResultError: There is neither, or a column is missing.
    """
    if path.is_dir() and (path / "board.json").is_file():
        cards = pd.read_parquet(path / "methods.parquet")
        configs = cards.get("config_yaml", pd.Series(dtype="str")).fillna("")
        names = cards.get("method", pd.Series(dtype="str"))
        return Side(
            path,
            pd.read_parquet(path / "leaderboard.parquet"),
            json.loads((path / "board.json").read_text()),
            dict(zip(names, configs, strict=True)),
            pd.read_parquet(path / "comparisons.parquet"),
        )
    table = path / "leaderboard.csv" if path.is_dir() else path
    if not table.is_file():
        raise ResultError(
            f"{path}: neither a board folder (with board.json) nor a reference CSV; make a board "
            "with `neurodx rank`, or name a table such as reference/leaderboard.csv"
        )
    rows = pd.read_csv(table, keep_default_na=False, na_values=[""])
    missing = [c for c in (*_TEXT, "score", "ci_low", "ci_high", "n") if c not in rows]
    if missing:
        raise ResultError(
            f"{table}: columns {missing} are missing; write it with `neurodx compare-reference "
            "--write`"
        )
    rows[_TEXT] = rows[_TEXT].astype("object").where(rows[_TEXT].notna(), "").astype(str)
    return Side(path, rows, {}, {}, None)


def diff_boards(old: Side, new: Side) -> BoardDiff:
    """Compares two boards; only what both sides hold is compared.

    Raises:
        ResultError: A board holds settings that are no YAML.
    """
    by_intervals = old.comparisons is None or new.comparisons is None
    before, after = (_conclusions(side, by_intervals=by_intervals) for side in (old, new))
    flips = [_flip(key, before[key], after.get(key)) for key in sorted(before)]
    changed = [flip for flip in flips if flip]
    columns = [*CELL, "family", "family_track", "method_a", "method_b", "old", "new", "flip"]
    return BoardDiff(
        tuple(_changes(old, new)),
        _ranks(old.rows, new.rows, by_intervals=by_intervals),
        pd.DataFrame(changed, columns=columns),
        sum(1 for key in before if after.get(key) == before[key]),
        by_intervals,
    )


def _changes(old: Side, new: Side) -> list[Change]:
    changes: list[Change] = []
    if old.facts and new.facts:
        for name in _PLAIN:
            changes += mapping_changes(name, _only(old.facts, name), _only(new.facts, name))
        for name, kind in _FACTS.items():
            if name in old.facts and name in new.facts:
                pair = (_flat(side.facts[name]) for side in (old, new))
                changes += mapping_changes(kind, *pair)
    if old.configs and new.configs:
        changes += mapping_changes("config", *(_settings(x) for x in (old, new)))
    labels = [_labels(side.rows) for side in (old, new)]
    both = labels[0].keys() & labels[1].keys()
    changes += mapping_changes("labels", *({k: x[k] for k in both} for x in labels))
    changes += mapping_changes("row", *(_statuses(side.rows) for side in (old, new)))
    return changes


def _only(facts: Mapping[str, Any], name: str) -> dict[str, str]:
    return {name: str(facts[name])} if name in facts else {}


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested values by dotted name, as text; lists and empty mappings whole."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}.{inner}": text for inner, text in _flat(value).items()}
        else:
            flat[str(name)] = str(value)
    return flat


def _settings(side: Side) -> dict[str, str]:
    """Settings of all methods by ``method: dotted.name``, lists whole."""
    found: dict[str, str] = {}
    for method, text in side.configs.items():
        try:
            settings = yaml.safe_load(text) or {}
        except yaml.YAMLError:
            settings = None
        if not isinstance(settings, Mapping):
            raise ResultError(
                f"{side.path}: the settings of {method} are no YAML mapping; make the board anew "
                "with `neurodx rank`"
            )
        found |= {f"{method}: {name}": value for name, value in _flat(settings).items()}
    return found


def _labels(rows: pd.DataFrame) -> dict[str, str]:
    """People by class (or their number) of each cell: those of its rows, each count once."""
    counts: dict[str, set[str]] = {}
    for row in rows[rows["status"] == "done"].to_dict("records"):
        name = " / ".join(str(row[c]) for c in CELL)
        text = str(row.get("n_by_class") or "") or f"n = {row['n']:.0f}"
        counts.setdefault(name, set()).add(text)
    return {name: "; ".join(sorted(texts)) for name, texts in counts.items()}


def _statuses(rows: pd.DataFrame) -> dict[str, str]:
    return {_label(row): str(row["status"]) for row in rows.to_dict("records")}


def _label(row: Mapping[Any, Any]) -> str:
    origin = f" (from {row['derived_from']})" if row["derived_from"] else ""
    cell = " / ".join(str(row[c]) for c in CELL)
    return f"{cell}: {row['method']}{origin} [{row['track']}]"


def _ranks(old: pd.DataFrame, new: pd.DataFrame, *, by_intervals: bool) -> pd.DataFrame:
    places = [_places(rows, by_intervals=by_intervals) for rows in (old, new)]
    both = places[0].merge(places[1], on=list(ROW_KEY), suffixes=("_old", "_new"))
    changed = both[both["place_old"] != both["place_new"]]
    named = {"place_old": "old", "place_new": "new"}
    columns = [*ROW_KEY, "old", "new", "score_old", "score_new"]
    renamed = changed.rename(columns=named)[columns]
    return renamed.sort_values(list(ROW_KEY), kind="stable", ignore_index=True)


def _places(rows: pd.DataFrame, *, by_intervals: bool) -> pd.DataFrame:
    """The tie group of each ranked row, or its position by score within cell and track."""
    if not by_intervals:
        ranked = rows[rows["tie_group"].notna()]
        return ranked[[*ROW_KEY, "score"]].assign(place=ranked["tie_group"].astype(int))
    scored = _scored(rows)
    gain = scored["score"] * scored["metric"].map(_sign)
    place = gain.groupby([scored[c] for c in (*CELL, "track")]).rank(ascending=False, method="min")
    return scored[[*ROW_KEY, "score"]].assign(place=place.astype(int))


def _scored(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["status"] == "done") & rows["score"].notna() & (rows["method"] != ORACLE)]


def _sign(metric: str) -> float:
    return 1.0 if METRICS[metric].higher_is_better else -1.0


def _conclusions(side: Side, *, by_intervals: bool) -> dict[tuple[str, ...], str]:
    """By cell, family and pair (in the order of their names): "a", "b" or "tied"."""
    table = side.comparisons
    if by_intervals or table is None:
        return _by_intervals(_scored(side.rows))
    found: dict[tuple[str, ...], str] = {}
    for row in table.to_dict("records"):
        a, b = (_candidate(row, side_name) for side_name in ("a", "b"))
        difference = row["difference"] * _sign(row["metric"])
        head = tuple(str(row[c]) for c in (*CELL, "family", "family_track"))
        found |= _conclusion(head, a, b, difference, separated=bool(row["separated"]))
    return found


def _candidate(row: Mapping[Any, Any], side: str) -> str:
    origin = f" (from {row[f'derived_{side}']})" if row[f"derived_{side}"] else ""
    return f"{row[f'method_{side}']}{origin} [{row[f'track_{side}']}]"


def _conclusion(
    head: tuple[str, ...], a: str, b: str, difference: float, *, separated: bool
) -> dict[tuple[str, ...], str]:
    first, second = sorted((a, b))
    winner = a if difference > 0 else b
    return {(*head, first, second): winner if separated else "tied"}


def _by_intervals(rows: pd.DataFrame) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for key, cell in rows.groupby([*CELL, "track"]):
        for a, b in combinations(cell.to_dict("records"), 2):
            clear = a["ci_low"] > b["ci_high"] or b["ci_low"] > a["ci_high"]
            head = (*map(str, key[:3]), "track", str(key[3]))
            first, second = (_label(x).split(": ", 1)[1] for x in (a, b))
            difference = (a["score"] - b["score"]) * _sign(a["metric"])
            found |= _conclusion(head, first, second, difference, separated=bool(clear))
    return found


def _flip(key: tuple[str, ...], old: str, new: str | None) -> dict[str, Any]:
    """The record of a conclusion that changed; empty where it did not, or said nothing."""
    if new == old or (new is None and old == "tied"):
        return {}
    if new is None:
        flip = "gone"
    elif old == "tied":
        flip = "gained"
    elif new == "tied":
        flip = "lost"
    else:
        flip = "reversed"
    names = (*CELL, "family", "family_track", "method_a", "method_b")
    return dict(zip(names, key, strict=True)) | {"old": old, "new": new or "absent", "flip": flip}
