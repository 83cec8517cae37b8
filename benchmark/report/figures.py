"""The figures of a report: forest plot, and calibration of the best rows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics import equal_mass_bins
from benchmark.report.content import Content, Row, is_oracle, number, row_name
from benchmark.report.svg import Figure, circle, diamond, line, rect, text
from benchmark.stats.interval import z_value

__all__ = ["calibration_figures", "calibration_points", "forest_figure"]

Array = NDArray[Any]
_WIDTH: Final = 420  # narrow enough to stay legible on a telephone
_EDGE: Final = 12
_ROW: Final = 36
_NO_INFORMATION: Final = {"roc_auc": 0.5}
_MOST_CALIBRATED: Final = 6
_PANEL: Final = 220


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


def calibration_points(y_true: Array, stated: Array, n_bins: int) -> pd.DataFrame:
    """Mean stated probability against the share that came true, in bins of equal mass.

    Args:
        y_true: 1 where the event happened, shape (N,).
        stated: Its stated probability, shape (N,).
        n_bins: Number of bins; equal values share one.

    Returns:
        ``stated observed low high n``, one row per bin that holds anybody; low and high are
        Wilson's 95 % interval.
    """
    frame = pd.DataFrame({"y": y_true, "p": stated, "bin": equal_mass_bins(stated, n_bins)})
    grouped = frame.groupby("bin")
    n, p = grouped.size().to_numpy(), grouped["y"].mean().to_numpy(dtype=np.float64)
    z = z_value()
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    mean = grouped["p"].mean().to_numpy()
    return pd.DataFrame(
        {"stated": mean, "observed": p, "low": centre - half, "high": centre + half, "n": n}
    )


def calibration_figures(content: Content) -> list[Figure]:
    """One panel for each of the best rows: stated against observed, or predicted against true."""
    if not len(content.predictions):
        return []
    best = sorted(content.ranked, key=lambda r: -_sign(content) * r["score"])[:_MOST_CALIBRATED]
    return [figure for row in best for figure in _panel(content, row)]


def _sign(content: Content) -> float:
    return 1.0 if content.metric.higher_is_better else -1.0


def _panel(content: Content, row: Row) -> Iterator[Figure]:
    table = content.predictions
    own = table[
        (table["method"] == row["method"])
        & (table["track"] == row["track"])
        & (table["derived_from"] == row["derived_from"])
    ]
    if not len(own):
        return
    n_bins = int(np.clip(len(own) // 20, 2, 10))
    name = "calibration-" + re.sub(r"[^a-z0-9]+", "-", row_name(row).lower()).strip("-")
    if content.task.classes:
        points, range_ = _probabilities(content, own, n_bins), (0.0, 1.0)
        axes = ("stated probability", "share that came true")
    else:
        points = _values(own, n_bins)
        low, high = points[["stated", "observed"]].min().min(), points.max().max()
        range_ = (5 * math.floor(low / 5), 5 * math.ceil(high / 5))
        axes = (f"true ({content.task.unit})", "predicted, mean")
    gap = float(np.average(np.abs(points["stated"] - points["observed"]), weights=points["n"]))
    said = f"{len(points)} bins, mean distance from the diagonal {gap:.2f}"
    title = f"Calibration of {row_name(row)}"
    yield Figure(
        name,
        title,
        f"{axes[1]} by {axes[0]}: {said}.",
        _PANEL,
        _PANEL + 28,
        _marks(points, range_, axes),
    )


def _probabilities(content: Content, own: pd.DataFrame, n_bins: int) -> pd.DataFrame:
    columns = [f"prob_{k}" for k in range(len(content.task.classes))]
    probabilities = own[columns].to_numpy(dtype=np.float64)
    labels = own["y_true"].to_numpy(dtype=np.int64)
    if len(columns) == 2:
        return calibration_points((labels == 1) * 1.0, probabilities[:, 1], n_bins)
    right = probabilities.argmax(axis=1) == labels
    return calibration_points(right * 1.0, probabilities.max(axis=1), n_bins)


def _values(own: pd.DataFrame, n_bins: int) -> pd.DataFrame:
    """Mean prediction by bin of the true value, with its 95 % interval."""
    bins = equal_mass_bins(own["y_true"].to_numpy(), n_bins)
    grouped = own.groupby(bins)
    n, mean = grouped.size(), grouped["y_pred"].mean()
    half: pd.Series = z_value() * grouped["y_pred"].std(ddof=1).fillna(0.0) / np.sqrt(n)
    columns = {"stated": grouped["y_true"].mean(), "observed": mean}
    return pd.DataFrame(columns | {"low": mean - half, "high": mean + half}).assign(n=n)


def _marks(points: pd.DataFrame, range_: tuple[float, float], axes: tuple[str, str]) -> list[str]:
    left, top, side = 34.0, 8.0, float(_PANEL - 48)
    low, high = range_

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * side

    def y(value: float) -> float:
        return top + side - (min(max(value, low), high) - low) / (high - low) * side

    ticks = [low, (low + high) / 2, high]
    marks = [line(x(t), y(low), x(t), y(high)) for t in ticks]
    marks += [line(x(low), y(t), x(high), y(t)) for t in ticks]
    marks.append(line(x(low), y(low), x(high), y(high), "ink dashed"))
    for point in points.to_dict("records"):
        place = x(point["stated"])
        marks.append(line(place, y(point["low"]), place, y(point["high"]), "mark", 1.5))
        marks.append(circle(place, y(point["observed"]), 3.5))
    bottom = top + side
    marks += [text(x(t), bottom + 14, f"{t:g}", "faint", "middle") for t in ticks]
    marks += [text(left - 6, y(t) + 4, f"{t:g}", "faint", "end") for t in ticks]
    marks.append(text(left + side / 2, bottom + 32, axes[0], "faint", "middle"))
    marks.append(text(left, bottom + 50, f"up: {axes[1]}", "faint"))
    return marks
