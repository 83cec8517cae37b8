"""The primary metric within groups of people, the worst group, and the gap between groups.

A group keeps its people's weights of the shared resamples of the whole cell, so groups of one
variable are resampled together. The gap is that between the best and the worst group; as these two
were chosen on the same data, its interval is the simultaneous one over all pairs of groups (max-T),
which pays for that choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.results.people import SUBGROUPS
from benchmark.results.robustness.subject import Subject
from benchmark.stats import max_t

__all__ = ["group_gap", "subgroup_lines"]

Array = NDArray[Any]
Lines = list[dict[str, Any]]


def subgroup_lines(subject: Subject) -> tuple[Lines, Lines]:
    """Lines of ``subgroups`` and of ``subgroup_gaps`` for one row.

    A person whose value is missing belongs to no group. A variable with one group says nothing.
    """
    groups: Lines = []
    gaps: Lines = []
    for variable in SUBGROUPS:
        if variable not in subject.people:
            continue
        members = list(_members(subject.people[variable], subject.rows))
        if len(members) < 2:
            continue
        lines = [_line(subject, variable, name, rows) for name, rows in members]
        scored = [(line, rows) for line, (_, rows) in zip(lines, members, strict=True)]
        shown = [(line, rows) for line, rows in scored if line["status"] == "done"]
        groups += lines
        if len(shown) < 2:
            continue
        scores = np.array([line["score"] for line, _ in shown])
        replicates = np.stack([subject.replicates(rows) for _, rows in shown])
        sizes = np.array([line["n_smallest_class"] for line, _ in shown])
        floors = 1.0 / sizes if subject.task.classes else None
        gap = group_gap(scores, replicates, sign=subject.sign, floors=floors)
        best, worst = (shown[gap.pop(end)][0] for end in ("best", "worst"))
        worst["worst"] = worst is not best
        head = {**subject.head, "variable": variable, "groups": len(shown)}
        ends = {"best_group": best["group"], "worst_group": worst["group"]}
        gaps.append({**head, **(ends if worst["worst"] else {}), **gap})
    return groups, gaps


def group_gap(
    scores: Array, replicates: Array, *, sign: float, floors: Array | None = None
) -> dict[str, Any]:
    """Best minus worst of G groups, with an interval that allows for their choice.

    Args:
        scores: Shape (G,).
        replicates: Shape (G, B), shared resamples.
        sign: 1 where higher is better, -1 where lower is.
        floors: Smallest standard error allowed for each group, shape (G,); a pair takes the larger.
            None means none. A rate of people is never known better than to one person of the
            smallest class, as in the ranking.

    Returns:
        ``best`` and ``worst`` (indices; the first where tied), ``gap`` (at least 0), ``gap_low``,
        ``gap_high`` and ``separated``: whether the gap is not zero at the family-wise 5 % level.
    """
    gains = sign * scores
    best, worst = int(np.argmax(gains)), int(np.argmin(gains))
    pairs = list(combinations(range(len(scores)), 2))
    differences = np.array([gains[a] - gains[b] for a, b in pairs])
    shifts = np.stack([sign * (replicates[a] - replicates[b]) for a, b in pairs])
    floor = 0.0 if floors is None else np.array([max(floors[a], floors[b]) for a, b in pairs])
    test = max_t(differences, shifts, floor=floor)
    if best == worst:
        low = high = math.nan
        separated = False
    else:
        place = pairs.index((min(best, worst), max(best, worst)))
        bounds = float(test.low[place]), float(test.high[place])
        low, high = bounds if best < worst else (-bounds[1], -bounds[0])
        separated = bool(test.separated[place])
    gap = float(gains[best] - gains[worst])
    found = {"gap": gap, "gap_low": low, "gap_high": high, "separated": separated}
    return {"best": best, "worst": worst, **found}


def _members(values: pd.Series, rows: Array) -> Iterator[tuple[str, Array]]:
    """Name and row numbers of each group among some people, by name."""
    column = values.to_numpy(dtype=object)
    known = np.array([not pd.isna(column[row]) and column[row] != "" for row in rows], dtype=bool)
    names = np.array([_name(column[row]) for row in rows[known]], dtype=object)
    for name in sorted(set(names)):
        yield name, rows[known][names == name]


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _line(subject: Subject, variable: str, group: str, rows: Array) -> dict[str, Any]:
    line = {
        **subject.head,
        "variable": variable,
        "group": group,
        "n": len(rows),
        "n_smallest_class": subject.smallest_class(rows),
        "worst": False,
    }
    refused = subject.too_few(rows)
    if refused:
        return line | {"status": "suppressed", "note": refused}
    found = subject.view(rows).score(subject.metric, subject.weights(rows))
    if not math.isfinite(found.score):
        return line | {"status": "undefined", "note": "the metric has no value on these people"}
    return line | {
        "score": found.score,
        "ci_low": found.interval.low,
        "ci_high": found.interval.high,
        "ci_method": found.interval.method,
        "status": "done",
        "note": "",
    }
