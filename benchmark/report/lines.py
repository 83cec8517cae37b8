"""Which lines of the robustness tables a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmark.report.content import Content, Row, row_name

__all__ = ["as_stored", "elsewhere", "left", "less", "of_first", "outputs_first"]


_BESIDE: Final = ("n", "n_everybody", "score", "status")


def of_first(content: Content, table: str) -> list[Row]:
    """Lines of the first row of each track."""
    first = {row_name(r) for r in content.ranked if r["position"] == 1}
    return [r for r in content.of_ranked(table) if row_name(r) in first]


def as_stored(content: Content, table: str) -> Sequence[Row]:
    """All lines."""
    return content.tables[table]


def elsewhere(content: Content, _: str) -> list[Row]:
    """External and left-out sites as lines of one table."""
    abroad = content.of_ranked("external_drop")
    left = content.of_ranked("leave_site_out")
    return [
        *({**r, "where": r["external_cohort"], "there": r["external"]} for r in abroad),
        *({**r, "where": "sites left out", "there": r["left_out"]} for r in left),
    ]


def outputs_first(content: Content, table: str) -> list[Row]:
    """Lines about outputs, then those about embeddings."""
    return sorted(content.of_ranked(table), key=lambda r: r["told_from"] != "outputs")


def less(content: Content, table: str) -> list[Row]:
    """Everybody's line for the full set, single modalities, all but one, and drops at random.

    What complete cases have stands beside it.
    """
    lines = content.of_ranked(table)
    complete = {(row_name(r), r["shown"]): r for r in lines if r["people"] == "complete"}
    sizes = {row_name(r): r["n_modalities"] for r in lines if r["shown"] == "full"}
    found: list[Row] = []
    for row in lines:
        most, size = sizes.get(row_name(row)), row["n_modalities"]
        if row["people"] not in ("everybody", "") or size not in (None, 1, most and most - 1, most):
            continue
        beside = complete.get((row_name(row), row["shown"]), {})
        also = {f"complete_{name}": beside.get(name) for name in _BESIDE}
        found.append({**row, **also})
    order = {row_name(row): place for place, row in enumerate(found)}
    return sorted(found, key=lambda r: (order[row_name(r)], _place(r["percent"])))


def _place(percent: int | None) -> int:
    """Everything first, then subsets, then drops."""
    return -1 if percent == 0 else percent or 0


def left(row: Row) -> str:
    """What a line says was left."""
    percent = row["percent"]
    return f"{percent} % dropped" if percent else "everything" if percent == 0 else row["shown"]
