"""Another test of the top pairs beside the board's own, which alone decides ranks.

DeLong where fixed models predict another cohort; Nadeau and Bengio's corrected t-test where folds
are repeated. Both from the predictions that are stored with the board.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.report.content import Content, Row, number, row_name
from benchmark.report.sheet import Sheet
from benchmark.results.cell import REPEATED
from benchmark.results.ledger import prediction_columns
from benchmark.results.schema import EXTERNAL_PROTOCOL
from benchmark.stats import (
    AurocComponents,
    auroc_components,
    corrected_resampled_t,
    delong_test,
)

__all__ = ["cross_checks"]

Array = NDArray[Any]
_MOST_PAIRS: Final = 6
_DELONG: Final = "DeLong"
_CORRECTED: Final = "corrected t"
_NOTES: Final = {
    _DELONG: "DeLong's test holds for these fitted models on these people.",
    _CORRECTED: "Nadeau and Bengio's test asks whether the procedure is better, training "
    "included, so it is often less sure.",
}


def cross_checks(content: Content) -> Sheet | None:
    """The table; None where neither test is made for the protocol and metric."""
    test = _test_of(content)
    if test is None:
        return None
    columns = ("pair", "difference", "board: adjusted p", f"difference, {test}", f"p, {test}")
    rows = tuple(_cells(content, line, test) for line in _top_pairs(content))
    note = (
        f"The board's max-T test decides ranks; {test} is a cross-check and decides nothing. "
        f"{_NOTES[test]} Its p is not adjusted for the number of pairs."
    )
    return Sheet("cross_check", f"The board's test beside {test}", columns, rows, note)


def _test_of(content: Content) -> str | None:
    if REPEATED.fullmatch(content.protocol):
        return _CORRECTED
    external = content.protocol == EXTERNAL_PROTOCOL
    return _DELONG if external and content.metric.name == "roc_auc" else None


def _side(line: Row, side: str) -> str:
    key = {name: line[f"{name}_{side}"] for name in ("method", "track")}
    return row_name({**key, "derived_from": line[f"derived_{side}"]})


def _top_pairs(content: Content) -> list[Row]:
    """Compared pairs of the best rows, in their order, each from the smallest family it is in."""
    place = {row_name(row): k for k, row in enumerate(content.best)}
    sizes = Counter((x["family"], x["family_track"]) for x in content.comparisons)
    found: dict[tuple[int, int], Row] = {}
    for x in sorted(content.comparisons, key=lambda x: sizes[x["family"], x["family_track"]]):
        sides = _side(x, "a"), _side(x, "b")
        if all(name in place for name in sides):
            low, high = sorted(place[name] for name in sides)
            found.setdefault((low, high), x)
    return [found[key] for key in sorted(found)[:_MOST_PAIRS]]


def _cells(content: Content, line: Row, test: str) -> tuple[str, ...]:
    rows = {row_name(row): row for row in content.best}
    place = list(rows)
    a, b = _side(line, "a"), _side(line, "b")
    sign = 1.0 if place.index(a) < place.index(b) else -1.0
    first, second = (a, b) if sign > 0 else (b, a)
    parts = _in_common(content.said_by(rows[first]), content.said_by(rows[second]))
    board = number(sign * line["difference"], sign=True), _p(line["p_adjusted"])
    make = _delong if test == _DELONG else _corrected
    try:
        difference, p = make(content, *parts)
    except ResultError as error:  # such as a fold in which the metric has no value
        return (f"{first} and {second}", *board, str(error), "")
    return (f"{first} and {second}", *board, number(difference, sign=True), _p(p))


def _in_common(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of the people that both rows predicted, in one order."""
    both = set(a["index"]) & set(b["index"])
    first, second = (
        part[part["index"].isin(both)].sort_values(["replica", "index"]) for part in (a, b)
    )
    return first, second


def _p(value: float | None) -> str:
    small = value is not None and value < 0.001
    return "< 0.001" if small else number(value)


def _delong(content: Content, a: pd.DataFrame, b: pd.DataFrame) -> tuple[float, float]:
    """Difference and p; people are independent within their class."""
    strata = a.loc[a["replica"] == a["replica"].min(), "y_true"].to_numpy()
    test = delong_test(_mean_components(content, a), _mean_components(content, b), strata)
    return test.difference, test.p_value


def _mean_components(content: Content, own: pd.DataFrame) -> AurocComponents:
    """Mean over fold models of the AUROC and of each person's influence on it."""
    columns = prediction_columns(content.task.classes)
    parts = [
        auroc_components(one["y_true"].to_numpy(), one[columns].to_numpy(dtype=np.float64))
        for _, one in own.groupby("replica")
    ]
    influence = np.mean([part.influence for part in parts], axis=0)
    return AurocComponents(float(np.mean([part.auroc for part in parts])), influence)


def _corrected(content: Content, a: pd.DataFrame, b: pd.DataFrame) -> tuple[float, float]:
    """Mean difference of fold scores and p, of people tested over people not tested in a fold."""
    match = REPEATED.fullmatch(content.protocol)
    n_folds = int(match[2]) if match else 0
    first, second = (_fold_scores(content, part) for part in (a, b))
    if first.keys() != second.keys():
        raise ResultError(f"folds differ: {len(first)} and {len(second)}")
    differences = np.array([first[fold] - second[fold] for fold in first])
    test = corrected_resampled_t(differences, 1.0 / (n_folds - 1))
    return test.difference, test.p_value


def _fold_scores(content: Content, own: pd.DataFrame) -> Mapping[int, float]:
    """Score of each fold of each repeat, the mean over seeds."""
    columns = prediction_columns(content.task.classes)
    scores: dict[int, list[float]] = {}
    for _, part in own.groupby(["fold", "seed"]):
        answers = part[columns].to_numpy(dtype=np.float64)
        answers = answers if content.task.classes else answers[:, 0]
        value = content.metric.compute(part["y_true"].to_numpy(), answers, np.zeros(len(part)))
        scores.setdefault(int(part["fold"].iloc[0]), []).append(float(value))
    return {fold: float(np.mean(values)) for fold, values in scores.items()}
