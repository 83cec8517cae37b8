"""The forest plot of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from benchmark.report.content import Content, Row, is_oracle, number, row_name
from benchmark.report.svg import Figure, circle, diamond, line, rect, text

__all__ = ["forest_figure"]

_WIDTH: Final = 420  # narrow enough to stay legible on a telephone
_EDGE: Final = 12
_ROW: Final = 36
_NO_INFORMATION: Final = {"roc_auc": 0.5}


def forest_figure(content: Content) -> Figure:
    """Scores with intervals, by track, best first; the oracle as a diamond."""
    rows = [row for row in content.scored if row["ci_low"] is not None or is_oracle(row)]
    scale = _Scale.over(content, rows)
    marks: list[str] = []
    y = 8.0
    for track in dict.fromkeys(row["track"] for row in rows):
        marks += [rect(0, y, _WIDTH, 20), text(_EDGE, y + 14, f"track {track}", "bold")]
        y += 20
        for row in (r for r in rows if r["track"] == track):
            marks += _forest_row(row, y, scale)
            y += _ROW
        y += 6
    marks = [*scale.grid(8, y), *marks, *scale.axis(y, content.metric.title)]
    best = content.ranked[0] if content.ranked else None
    said = f"{len(rows)} rows of {content.cohort}, {content.task.title}, {content.metric.title}"
    if best:
        low, high = number(best["ci_low"]), number(best["ci_high"])
        said += f"; first shown: {row_name(best)} {number(best['score'])} ({low} to {high})"
    description = f"{said}. All values are in the table of ranks."
    title = f"{content.metric.title} with 95 % intervals"
    return Figure("forest", title, description, _WIDTH, int(y + 44), marks)


def _forest_row(row: Row, y: float, scale: _Scale) -> list[str]:
    oracle = is_oracle(row)
    name = f"{row['method']} (from {row['derived_from']})" if row["derived_from"] else row["method"]
    group = "" if row["tie_group"] is None else f"tie group {row['tie_group']} \N{MIDDLE DOT} "
    value = f"{group}{number(row['score'])}"
    marks = [
        text(_EDGE, y + 14, str(name)),
        text(_WIDTH - _EDGE, y + 14, value, "faint", "end"),
    ]
    middle = y + 24
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
    """From a score to a place between the left and right edge."""

    def __init__(self, low: float, high: float, reference: float | None) -> None:
        step = 10 ** math.floor(math.log10(max(high - low, 1e-6)))
        if (high - low) / step < 3:
            step /= 2 if (high - low) / step > 1.5 else 5
        self.step = step
        self.low = math.floor(low / step) * step
        self.high = math.ceil(high / step) * step
        self.reference = reference

    @classmethod
    def over(cls, content: Content, rows: Sequence[Row]) -> _Scale:
        ends = [r[name] for r in rows for name in ("score", "ci_low", "ci_high")]
        known = [float(x) for x in ends if x is not None]
        reference = _NO_INFORMATION.get(content.metric.name)
        if reference is not None:
            known.append(reference)
        return cls(min(known, default=0.0), max(known, default=1.0), reference)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return float(_EDGE + 6 + share * (_WIDTH - 2 * _EDGE - 12))

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
        return [*labels, text(_WIDTH / 2, y + 34, f"{title}{note}", "faint", "middle")]
