"""What is read beside a score: figures and tables with what they do and do not allow to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark.metrics import (
    METRICS,
    NET_BENEFIT_THRESHOLDS,
    brier_decomposition,
    decision_curve,
)
from benchmark.report.content import Content, number, row_name, what_intervals_hold_for
from benchmark.report.cross_checks import cross_checks
from benchmark.report.panels import (
    calibration_figure,
    decision_figure,
    labels_and_answers,
    row_bins,
    selective_errors,
    selective_figure,
)
from benchmark.report.score_sheets import value_with_interval
from benchmark.report.sheet import Sheet
from benchmark.report.svg import Figure

__all__ = ["Reading", "readings"]

_COVERAGES: Final = (0.5, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """One section of the page.

    Attributes:
        title: Heading.
        says: How it is read, and what may and may not be concluded from it.
        figures: One panel for each of the best rows.
        sheets: Its tables.
    """

    title: str
    says: str
    figures: tuple[Figure, ...]
    sheets: tuple[Sheet, ...]


def readings(content: Content, sheets: Mapping[str, Sheet]) -> list[Reading]:
    """The sections of a cell, in order.

    Args:
        content: The cell.
        sheets: ``all_sheets`` by name, of which calibration and brain age are shown here.
    """
    classes = len(content.task.classes)
    found = [_calibration(content, sheets)]
    if classes == 2:
        found.append(_decisions(content))
    if classes:
        found.append(_selective(content))
    checks = cross_checks(content)
    if checks is not None:
        says = (
            "The cross-check looks at one pair alone, the board at all of them, so the board's p "
            "is the larger one as a rule. Where it is the smaller one, do not lean on the pair. "
            "Two tests that agree are no second proof, since they see the same people."
        )
        found.append(Reading("Cross-check of the top pairs", says, (), (checks,)))
    return found


def _calibration(content: Content, sheets: Mapping[str, Sheet]) -> Reading:
    figures = tuple(calibration_figure(content, row) for row in content.best)
    if not content.task.classes:
        says = (
            "The best rows. On the dashed line the mean prediction is the true value; lines are "
            "95 % intervals, grey bars count people. A flat course is regression to the mean, not "
            "a finding about anybody's brain; the corrected error does not rank, and no corrected "
            "age may be read as a diagnosis."
        )
        shown = [sheets["calibration"], *([sheets["brain_age"]] if _is_age(content) else [])]
        return Reading("Calibration", says, figures, tuple(shown))
    says = (
        "The best rows. On the dashed line, what is said is what is found; lines are 95 % "
        f"intervals of each bin, grey bars count people.{_first_alone(content)} A bin whose "
        "interval crosses the line is not shown to be off, nor to be right; and what "
        "holds here need not hold where the disease is rarer."
    )
    tables = (sheets["calibration"], *_tables(content, _bins_sheet, _brier_sheet))
    return Reading("Calibration", says, figures, tables)


def _is_age(content: Content) -> bool:
    return content.task.name == "brain_age"


def _first_alone(content: Content) -> str:
    several = bool(content.best) and content.predictions["replica"].max() > 0
    return " Bins are of the first of several models or seeds alone." if several else ""


def _tables(content: Content, *makers: Any) -> Iterator[Sheet]:
    """Tables of the best rows; none where there are none."""
    return (maker(content) for maker in makers if content.best)


def _bins_sheet(content: Content) -> Sheet:
    lines = []
    for row in content.best:
        bins = row_bins(content, row)
        for k in range(len(bins.count)):
            span = f"{number(bins.observed_low[k])} to {number(bins.observed_high[k])}"
            said = f"{number(bins.low[k])} to {number(bins.high[k])}"
            values = number(bins.stated[k]), number(bins.observed[k])
            lines.append((row_name(row), said, str(bins.count[k]), *values, span))
    columns = ("row", "stated from", "people", "mean stated", "came true", "95 % interval")
    note = "The bins of the panels: equal counts, equal answers in one bin; Wilson's intervals."
    label = what_intervals_hold_for(content)
    return Sheet("reliability", "Bins", columns, tuple(lines), note, label)


def _brier_sheet(content: Content) -> Sheet:
    lines = []
    for row in content.best:
        own = content.said_by(row)
        terms = [
            brier_decomposition(*labels_and_answers(content, one))
            for _, one in own.groupby("replica")
        ]
        inside = [t.within_bin_variance - t.within_bin_covariance for t in terms]
        parts = (
            [t.total for t in terms],
            [t.reliability for t in terms],
            [t.resolution for t in terms],
            [t.uncertainty for t in terms],
            inside,
        )
        lines.append((row_name(row), *(number(np.mean(part)) for part in parts)))
    columns = ("row", "Brier", "reliability", "resolution", "uncertainty", "within bins")
    note = (
        "Brier = reliability - resolution + uncertainty + within bins. Reliability is best at 0, "
        "resolution large; both are too large in small samples, so they rank nothing."
    )
    return Sheet("brier_terms", "Terms of the Brier score", columns, tuple(lines), note)


def _decisions(content: Content) -> Reading:
    positive = content.task.classes[1]
    says = (
        f"Net benefit of acting on whoever is given at least the threshold as probability of "
        f"{positive}: blue the row, dashed acting on everybody, the line at 0 on nobody; discs are "
        "the stated thresholds. A row is worth something only where it lies above both, at a "
        "threshold that was chosen before; the share of patients here is this cohort's, so this is "
        "not the benefit in a clinic."
    )
    figures = tuple(decision_figure(content, row) for row in content.best)
    return Reading("Decision curves", says, figures, (_decision_sheet(content),))


def _decision_sheet(content: Content) -> Sheet:
    stored = {(row_name(r), r["metric"]): r for r in content.metrics}
    drawn = {row_name(row) for row in content.best}
    others = [row for row in content.scored if row_name(row) not in drawn]
    names = [f"net_benefit_{round(100 * t)}" for t in NET_BENEFIT_THRESHOLDS]
    lines = []
    for row in (*content.best, *others):
        cells = [stored.get((row_name(row), name)) for name in names]
        lines.append(
            (row_name(row), *("" if cell is None else value_with_interval(cell) for cell in cells))
        )
    note = "Every row, those that are drawn first."
    if content.best:
        first = content.said_by(content.best[0])
        everybody = decision_curve(*labels_and_answers(content, first), NET_BENEFIT_THRESHOLDS)
        nothing = ("acting on nobody", *(number(x) for x in everybody.treat_none))
        lines += [("acting on everybody", *(number(x) for x in everybody.treat_all)), nothing]
        note += " Acting on everybody: the people of the first row."
    columns = ("row", *(f"at {t:g}" for t in NET_BENEFIT_THRESHOLDS))
    title, label = "Net benefit at the stated thresholds", what_intervals_hold_for(content)
    return Sheet("decision", title, columns, tuple(lines), note, label)


def _selective(content: Content) -> Reading:
    says = (
        "Error among the people of each fold about whom the row is surest, by the share that is "
        "answered; dashed: among all. A curve that rises to the right says that the row knows "
        "where it is unsure. Left of a third few people decide, there is no interval, and a share "
        "chosen by looking at this curve promises nothing for others."
    )
    figures = tuple(selective_figure(content, row) for row in content.best)
    return Reading("Selective prediction", says, figures, tuple(_tables(content, _selective_sheet)))


def _selective_sheet(content: Content) -> Sheet:
    lines = []
    for row in content.best:
        own = content.said_by(row)
        errors = selective_errors(content, own, np.array(_COVERAGES))
        lines.append((row_name(row), *map(number, errors), *_areas(content, own)))
    shares = (f"error at {100 * c:.0f} %" for c in _COVERAGES)
    note = (
        "Share of wrong decisions among the surest people of each fold. AURC: mean over all "
        "shares; excess: above the best order of the same errors. Both are best at 0 and "
        "descriptive."
    )
    columns = ("row", *shares, "AURC", "excess AURC")
    return Sheet("selective", "Error by share answered", columns, tuple(lines), note)


def _areas(content: Content, own: pd.DataFrame) -> Sequence[str]:
    replicas = [one for _, one in own.groupby("replica")]
    return [
        number(
            np.mean(
                [
                    METRICS[name].compute(*labels_and_answers(content, one), one["fold"].to_numpy())
                    for one in replicas
                ]
            )
        )
        for name in ("aurc", "excess_aurc")
    ]
