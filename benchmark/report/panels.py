"""Small panels, one for each of the best rows: calibration, decision curve, risk and coverage."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics import (
    NET_BENEFIT_THRESHOLDS,
    ReliabilityBins,
    decision_curve,
    equal_mass_bins,
    reliability_bins,
    risk_coverage,
)
from benchmark.report.content import Content, Row, number, row_name
from benchmark.report.svg import Figure, circle, line, path, rect, text
from benchmark.results.ledger import prediction_columns
from benchmark.stats.interval import z_value

__all__ = [
    "calibration_figure",
    "decision_figure",
    "first_replica",
    "labels_and_answers",
    "row_bins",
    "selective_errors",
    "selective_figure",
]

Array = NDArray[Any]
_SIDE: Final = 172.0
_LEFT: Final = 34.0
_TOP: Final = 8.0
_WIDTH: Final = 220
_HEIGHT: Final = 248
_BARS: Final = 20.0  # height of the bar of the fullest bin
_THRESHOLDS: Final = np.round(np.arange(0.01, 0.605, 0.01), 2)
_SHARES: Final = np.round(np.arange(0.1, 1.005, 0.01), 2)  # for which an error rate is drawn


@dataclass(frozen=True, slots=True)
class _Axes:
    """A square panel: ranges of both axes and what they are called."""

    across: tuple[float, float]
    up: tuple[float, float]
    names: tuple[str, str]

    def x(self, value: float) -> float:
        low, high = self.across
        return _LEFT + (value - low) / (high - low) * _SIDE

    def y(self, value: float) -> float:
        low, high = self.up
        return _TOP + _SIDE - (min(max(value, low), high) - low) / (high - low) * _SIDE

    def marks(self) -> list[str]:
        """Grid and labels: both ends and the middle; up from 0 where the range begins below."""
        across = np.linspace(*self.across, 3)
        up = np.linspace(max(self.up[0], 0.0), self.up[1], 3)
        bottom, right = _TOP + _SIDE, _LEFT + _SIDE
        marks = [line(self.x(t), bottom, self.x(t), _TOP) for t in across]
        marks += [line(_LEFT, self.y(t), right, self.y(t)) for t in up]
        marks += [text(self.x(t), bottom + 14, f"{t:g}", "faint", "middle") for t in across]
        marks += [text(_LEFT - 6, self.y(t) + 4, f"{t:.3g}", "faint", "end") for t in up]
        marks.append(text(_LEFT + _SIDE / 2, bottom + 32, self.names[0], "faint", "middle"))
        marks.append(text(_LEFT, bottom + 50, f"up: {self.names[1]}", "faint"))
        return marks

    def curve(self, xs: Array, ys: Array, kind: str) -> str:
        return path([(self.x(a), self.y(b)) for a, b in zip(xs, ys, strict=True)], kind)


def _figure(kind: str, what: str, row: Row, description: str, marks: Sequence[str]) -> Figure:
    name = f"{kind}-" + re.sub(r"[^a-z0-9]+", "-", row_name(row).lower()).strip("-")
    return Figure(name, f"{what} of {row_name(row)}", description, _WIDTH, _HEIGHT, marks)


def first_replica(own: pd.DataFrame) -> pd.DataFrame:
    """Predictions of the first seed, repeat or fold model: one line for each person."""
    first: pd.DataFrame = own[own["replica"] == own["replica"].min()]
    return first


def labels_and_answers(content: Content, own: pd.DataFrame) -> tuple[Array, Array]:
    """Labels (N,) and probabilities (N, K) of a classification task."""
    columns = prediction_columns(content.task.classes)
    return own["y_true"].to_numpy(dtype=np.int64), own[columns].to_numpy(dtype=np.float64)


def row_bins(content: Content, row: Row) -> ReliabilityBins:
    """Reliability bins of a row's first replica, so that a person is in one bin."""
    own = first_replica(content.said_by(row))
    return reliability_bins(*labels_and_answers(content, own), n_bins=_bins(len(own)))


def _bins(n: int) -> int:
    return int(np.clip(n // 20, 2, 10))


def calibration_figure(content: Content, row: Row) -> Figure:
    """Stated against observed; of a regression, predicted against true."""
    if content.task.classes:
        bins = row_bins(content, row)
        points = pd.DataFrame(
            {
                "stated": bins.stated,
                "observed": bins.observed,
                "low": bins.observed_low,
                "high": bins.observed_high,
                "n": bins.count,
            }
        )
        ends, names = (0.0, 1.0), ("stated probability", "share that came true")
    else:
        own = first_replica(content.said_by(row))
        points = _values(own, _bins(len(own)))
        low, high = points[["stated", "observed"]].min().min(), points.drop(columns="n").max().max()
        ends = (5.0 * math.floor(low / 5), 5.0 * math.ceil(high / 5))
        names = (f"true ({content.task.unit})", "predicted, mean")
    axes = _Axes(ends, ends, names)
    marks = [*axes.marks(), line(_LEFT, _TOP + _SIDE, _LEFT + _SIDE, _TOP, "ink dashed")]
    for point in points.to_dict("records"):
        place, height = axes.x(point["stated"]), _BARS * point["n"] / points["n"].max()
        marks.append(rect(place - 2, _TOP + _SIDE - height, 4, height, "count"))
        marks.append(line(place, axes.y(point["low"]), place, axes.y(point["high"]), "mark", 1.5))
        marks.append(circle(place, axes.y(point["observed"]), 3.5))
    fewest, most = points["n"].min(), points["n"].max()
    said = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    marks.append(text(_LEFT + 4, _TOP + 14, f"{said} people a bin", "faint"))
    gap = float(np.average(np.abs(points["stated"] - points["observed"]), weights=points["n"]))
    counts = ", ".join(str(n) for n in points["n"])
    said = (
        f"{names[1]} by {names[0]}: {len(points)} bins of {counts} people, mean distance from the "
        f"diagonal {gap:.2f}."
    )
    return _figure("calibration", "Calibration", row, said, marks)


def _values(own: pd.DataFrame, n_bins: int) -> pd.DataFrame:
    """Mean prediction by bin of the true value, with its 95 % interval."""
    bins = equal_mass_bins(own["y_true"].to_numpy(), n_bins)
    grouped = own.groupby(bins)
    n, mean = grouped.size(), grouped["y_pred"].mean()
    half: pd.Series = z_value() * grouped["y_pred"].std(ddof=1).fillna(0.0) / np.sqrt(n)
    columns = {"stated": grouped["y_true"].mean(), "observed": mean}
    return pd.DataFrame(columns | {"low": mean - half, "high": mean + half}).assign(n=n)


def decision_figure(content: Content, row: Row) -> Figure:
    """Net benefit by threshold, with acting on all and on none; the mean over replicas."""
    labels, answers = labels_and_answers(content, content.said_by(row))
    curve = decision_curve(labels, answers, _THRESHOLDS.tolist())
    stated = decision_curve(labels, answers, NET_BENEFIT_THRESHOLDS)
    highest = 0.1 * math.ceil(10 * float(np.mean(labels == 1)) + 1e-9)
    deepest = math.floor(20 * float(curve.model.min())) / 20
    lowest = max(-highest, min(-highest / 4, deepest))  # what lies deeper is left out
    axes = _Axes((0.0, 0.6), (lowest, highest), ("threshold", "net benefit"))
    marks = [*axes.marks(), line(_LEFT, axes.y(0), _LEFT + _SIDE, axes.y(0), "ink")]
    for values, kind in ((curve.treat_all, "other dashed"), (curve.model, "mark")):
        inside = values >= lowest
        marks.append(axes.curve(curve.thresholds[inside], values[inside], kind))
    for threshold, value in zip(stated.thresholds, stated.model, strict=True):
        marks += [circle(axes.x(threshold), axes.y(value), 3.5)] if value >= lowest else []
    gains = ", ".join(
        f"{number(gain, sign=True)} at {t:g}"
        for t, gain in zip(stated.thresholds, stated.gain, strict=True)
    )
    said = f"Net benefit over the better of acting on all and on none: {gains}."
    return _figure("decision", "Decision curve", row, said, marks)


def selective_errors(content: Content, own: pd.DataFrame, shares: Array) -> Array:
    """Error among the surest people, for shares of people that are answered.

    As for AURC, people are ordered within the folds of a replica, since other models are sure on
    other scales; those of equal confidence enter in proportion; folds count by their people,
    replicas alike.

    Args:
        content: The cell.
        own: Stored predictions of one row, all replicas.
        shares: Above 0 and up to 1, (S,).

    Returns:
        Shape (S,).
    """
    found = []
    for _, one in own.groupby("replica"):
        wrong = np.zeros(len(shares))
        for _, fold in one.groupby("fold"):
            curve = risk_coverage(*labels_and_answers(content, fold))
            known = np.append(0.0, curve.coverage), np.append(0.0, curve.risk * curve.coverage)
            wrong += len(fold) * np.interp(shares, *known)
        found.append(wrong / (len(one) * shares))
    mean: Array = np.mean(found, axis=0)
    return mean


def selective_figure(content: Content, row: Row) -> Figure:
    """Error among the surest people of each fold, by their share."""
    errors = selective_errors(content, content.said_by(row), _SHARES)
    overall, half = float(errors[-1]), float(errors[_SHARES == 0.5][0])
    top = 0.1 * math.ceil(10 * max(float(errors.max()), 0.05))
    axes = _Axes((0.0, 1.0), (0.0, top), ("share answered, surest first", "error among them"))
    marks = axes.marks()
    marks.append(line(_LEFT, axes.y(overall), _LEFT + _SIDE, axes.y(overall), "other dashed"))
    marks.append(axes.curve(_SHARES, errors, "mark"))
    marks.append(circle(axes.x(1.0), axes.y(overall), 3.5))
    said = f"Error {overall:.3f} among all, {half:.3f} among the surest half."
    return _figure("selective", "Selective prediction", row, said, marks)
