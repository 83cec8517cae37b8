"""The critical-difference diagram: mean ranks on an axis, bars over what is not told apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from benchmark.report.svg import LETTER, Figure, line, text
from benchmark.stats import CriticalDifference

__all__ = ["mean_ranks_figure"]

_AXIS: Final = 480  # width of the axis
_EDGE: Final = 12
_TOP: Final = 58  # where the axis lies
_BAR: Final = 9  # between two bars
_ROW: Final = 20  # between two names


def mean_ranks_figure(diagram: CriticalDifference, title: str) -> Figure:
    """Draws mean ranks, the best to the left, and a bar over each group not told apart.

    The better half is named on the left and the other on the right, so that no two lines to a name
    cross (Demsar 2006, jmlr.org/papers/v7/demsar06a).

    Args:
        diagram: Names in the order of their mean ranks, and groups.
        title: What was compared.
    """
    names, ranks = diagram.names, diagram.mean_ranks
    written = [f"{name} {rank:.2f}" for name, rank in zip(names, ranks, strict=True)]
    side = max(LETTER * max(map(len, written)) + 2 * _EDGE, 90)
    width = round(2 * side + _AXIS)

    def place(rank: float) -> float:
        return side + _AXIS * (rank - 1) / (len(names) - 1)

    levels = _levels(diagram)
    bottom = _TOP + 10 + _BAR * (1 + max(levels, default=-1))
    first_name = bottom + 14
    half = math.ceil(len(names) / 2)
    marks = [text(_EDGE, 18, title, "bold"), *_axis(len(names), place)]
    for k, (label, rank) in enumerate(zip(written, ranks, strict=True)):
        left = k < half
        y = first_name + _ROW * (k if left else len(names) - 1 - k)
        x, end = place(rank), side - _EDGE if left else width - side + _EDGE
        marks += [
            line(x, _TOP, x, y, "mark", 1.5),
            line(x, y, end, y, "mark", 1.5),
            text(end + (-4 if left else 4), y + 4, label, "", "end" if left else "start"),
        ]
    for group, level in zip(diagram.groups, levels, strict=True):
        y = _TOP + 10 + _BAR * level
        low, high = (place(ranks[names.index(name)]) for name in (group[0], group[-1]))
        marks.append(line(low - 3, y, high + 3, y, "other", 5))
    said = _said(diagram)
    under = first_name + _ROW * half + 12
    marks += [text(_EDGE, under + 16 * k, words, "faint") for k, words in enumerate(said)]
    order = "; ".join(written)
    apart = [", ".join(group) for group in diagram.groups]
    joined = f"Joined: {' / '.join(apart)}." if apart else "No two are joined."
    about = f"{' '.join(said)} Mean ranks from best to worst: {order}. {joined}"
    return Figure("mean-ranks", title, about, width, round(under + 30), marks)


def _said(diagram: CriticalDifference) -> tuple[str, str]:
    test = "Wilcoxon and Holm" if math.isnan(diagram.critical) else "Nemenyi"
    p = "below 0.001" if diagram.friedman_p < 0.001 else f"{diagram.friedman_p:.3f}"
    return (
        f"{diagram.n_data_sets} data sets; Friedman's p {p}.",
        f"A bar joins methods that are not told apart ({test}), which does not make them equal.",
    )


def _axis(count: int, place: Callable[[float], float]) -> list[str]:
    step = 1 + (count - 1) // 12
    marks = [line(place(1), _TOP, place(count), _TOP, "ink", 1.5)]
    for rank in range(1, count + 1, step):
        marks.append(line(place(rank), _TOP - 6, place(rank), _TOP, "ink", 1.5))
        marks.append(text(place(rank), _TOP - 10, str(rank), "faint", "middle"))
    middle = (place(1) + place(count)) / 2
    return [*marks, text(middle, _TOP - 26, "mean rank (1 is best)", "faint", "middle")]


def _levels(diagram: CriticalDifference) -> list[int]:
    """The lowest line for each bar on which it touches no other."""
    ends: list[int] = []  # index of the last name by level
    found = []
    for group in diagram.groups:
        first, last = (diagram.names.index(name) for name in (group[0], group[-1]))
        free = [level for level, end in enumerate(ends) if end < first]
        level = free[0] if free else len(ends)
        ends[level : level + 1] = [last]
        found.append(level)
    return found
