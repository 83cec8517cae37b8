"""The forest plot of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmark.report.content import Content, Row, is_oracle, number, row_name
from benchmark.report.svg import LETTER, Figure, circle, diamond, line, rect, text

__all__ = ["forest_figure"]

_EDGE: Final = 12
_INSIDE: Final = 6  # between the plot's sides and its outermost ticks
_NO_INFORMATION: Final = {"roc_auc": 0.5}


@dataclass(frozen=True, slots=True)
class _Form:
    """Where the parts of a row stand; names never stand on the plot.

    Attributes:
        width: Of the figure.
        row: Height of a row.
        left: Left side of the plot.
        right: Right side of the plot.
        baseline: Of name and value, below the row's top.
        strip: Top of the plot in the row, below the row's top; it ends with the row.
    """

    width: int
    row: int
    left: float
    right: float
    baseline: float
    strip: float

    @property
    def middle(self) -> float:
        """Where marks stand, below the row's top."""
        return (self.strip + self.row) / 2


def _narrow(_: Sequence[str], __: Sequence[str]) -> _Form:
    """For a telephone: the plot below name and value."""
    return _Form(420, 36, _EDGE, 420 - _EDGE, 14, 17)


def _wide(names: Sequence[str], values: Sequence[str]) -> _Form:
    """For a page: name, plot and value side by side."""
    left, right = (LETTER * max(map(len, x), default=0) + 2 * _EDGE for x in (names, values))
    return _Form(960, 22, left, 960 - right, 15, 0)


def forest_figure(content: Content, *, narrow: bool = False) -> Figure:
    """Scores with intervals, by track, best first; the oracle as a diamond.

    Args:
        content: The cell.
        narrow: For a telephone, where names stand above what belongs to them.
    """
    rows = [row for row in content.scored if row["ci_low"] is not None or is_oracle(row)]
    form = (_narrow if narrow else _wide)([_name(r) for r in rows], [_value(r) for r in rows])
    scale = _Scale.over(content, rows, form)
    marks: list[str] = []
    y = 8.0
    for track in dict.fromkeys(row["track"] for row in rows):
        marks += [rect(0, y, form.width, 20), text(_EDGE, y + 14, f"track {track}", "bold")]
        y += 20
        for row in (r for r in rows if r["track"] == track):
            marks += [*scale.grid(y + form.strip, y + form.row), *_forest_row(row, y, scale)]
            y += form.row
        y += 6
    marks += scale.axis(y, content.metric.title)
    best = content.ranked[0] if content.ranked else None
    said = f"{len(rows)} rows of {content.cohort}, {content.task.title}, {content.metric.title}"
    if best:
        low, high = number(best["ci_low"]), number(best["ci_high"])
        said += f"; first shown: {row_name(best)} {number(best['score'])} ({low} to {high})"
    description = f"{said}. All values are in the table of ranks."
    title = f"{content.metric.title} with 95 % intervals"
    name = "forest-narrow" if narrow else "forest"
    return Figure(name, title, description, form.width, int(y + 44), marks)


def _name(row: Row) -> str:
    return f"{row['method']} (from {row['derived_from']})" if row["derived_from"] else row["method"]


def _value(row: Row) -> str:
    group = "" if row["tie_group"] is None else f"tie group {row['tie_group']} \N{MIDDLE DOT} "
    return f"{group}{number(row['score'])}"


def _forest_row(row: Row, y: float, scale: _Scale) -> list[str]:
    form, oracle = scale.form, is_oracle(row)
    marks = [
        text(_EDGE, y + form.baseline, _name(row)),
        text(form.width - _EDGE, y + form.baseline, _value(row), "faint", "end"),
    ]
    middle = y + form.middle
    kind = "ink" if oracle else ("mark" if row["tie_group"] == 1 else "other")
    if row["ci_low"] is not None:
        marks.append(line(scale(row["ci_low"]), middle, scale(row["ci_high"]), middle, kind, 2))
    place = scale(row["score"])
    shape = diamond(place, middle, 5) if oracle else _mark(place, middle, row["tie_group"])
    return [*marks, shape]


def _mark(x: float, y: float, tie_group: object) -> str:
    """Filled disc for the first tie group, square for the others: shape as well as colour."""
    return circle(x, y, 4.5) if tie_group == 1 else rect(x - 4, y - 4, 8, 8, "other")


class _Scale:
    """From a score to a place between the sides of the plot."""

    def __init__(self, low: float, high: float, reference: float | None, form: _Form) -> None:
        step = 10 ** math.floor(math.log10(max(high - low, 1e-6)))
        if (high - low) / step < 3:
            step /= 2 if (high - low) / step > 1.5 else 5
        self.step = step
        self.low = math.floor(low / step) * step
        self.high = math.ceil(high / step) * step
        self.reference = reference
        self.form = form

    @classmethod
    def over(cls, content: Content, rows: Sequence[Row], form: _Form) -> _Scale:
        ends = [r[name] for r in rows for name in ("score", "ci_low", "ci_high")]
        known = [float(x) for x in ends if x is not None]
        reference = _NO_INFORMATION.get(content.metric.name)
        if reference is not None:
            known.append(reference)
        return cls(min(known, default=0.0), max(known, default=1.0), reference, form)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        inside = self.form.right - self.form.left - 2 * _INSIDE
        return float(self.form.left + _INSIDE + share * inside)

    def _ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.low + k * self.step for k in range(count + 1)]

    def grid(self, top: float, bottom: float) -> list[str]:
        marks = [line(self(t), top, self(t), bottom) for t in self._ticks()]
        if self.reference is not None:
            x = self(self.reference)
            marks.append(line(x, top, x, bottom, "ink dashed"))
        return marks

    def axis(self, y: float, title: str) -> list[str]:
        digits = max(0, -math.floor(math.log10(self.step)))
        ticks = self._ticks()
        skip = 1 + len(ticks) // 9
        labels = [
            text(self(t), y + 14, f"{t:.{digits}f}", "faint", "middle") for t in ticks[::skip]
        ]
        note = "" if self.reference is None else f"; dashed: {self.reference:g}, no information"
        middle = (self.form.left + self.form.right) / 2
        return [*labels, text(middle, y + 34, f"{title}{note}", "faint", "middle")]
