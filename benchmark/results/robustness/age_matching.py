"""How much of a score is age: the classes' age gap, and the score on age-matched people.

Matching is one to one within 3 years, without replacement: as many pairs as possible, and among
those the smallest sum of age differences (an assignment problem, so nothing depends on the order of
people or on a random draw). With more than two classes each member of the smallest class is matched
in every other class, and counts where all of them have a match.

References:
    Rosenbaum 1989, 10.1080/01621459.1989.10478868 (optimal matching).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmark import vocabulary as v
from benchmark.results.robustness.subject import Subject, percentile_interval

__all__ = ["CALIPER_YEARS", "age_matched", "age_matched_line"]

Array = NDArray[Any]
CALIPER_YEARS: Final = 3.0
_MOST_PAIRS: Final = 25e6  # of the two largest classes: 200 MiB, about 3 s
_FORBIDDEN: Final = 1e6  # years; dearer than any set of allowed pairs


def age_matched(ages: Array, classes: Array, caliper: float = CALIPER_YEARS) -> Array:
    """Chooses people so that the classes agree in age.

    Args:
        ages: In years, shape (N,); NaN for unknown, which is never chosen.
        classes: Class of each person, shape (N,).
        caliper: Largest difference within a pair, in years.

    Returns:
        Row numbers, ascending: the same number of people of each class.

    >>> age_matched(np.array([60.0, 70.0, 80.0, 71.0, 90.0]), np.array([0, 0, 0, 1, 1])).tolist()
    [1, 3]
    >>> age_matched(np.array([60.0, 90.0]), np.array([0, 1])).tolist()
    []
    """
    known = np.isfinite(ages)
    groups = [np.flatnonzero(known & (classes == k)) for k in np.unique(classes)]
    groups.sort(key=len)
    anchors = groups[0]
    partners = np.full((len(groups), len(anchors)), -1)
    partners[0] = anchors
    for place, group in enumerate(groups[1:], start=1):
        apart = np.abs(ages[anchors][:, None] - ages[group][None, :])
        rows, columns = linear_sum_assignment(np.where(apart <= caliper, apart, _FORBIDDEN))
        allowed = apart[rows, columns] <= caliper
        partners[place, rows[allowed]] = group[columns[allowed]]
    whole = (partners >= 0).all(axis=0)
    chosen: Array = np.sort(partners[:, whole].ravel())
    return chosen


def age_matched_line(subject: Subject) -> dict[str, Any] | None:
    """The line of ``age_matched`` for one row; None for a regression or where ages are not known.

    The difference between all people and the matched ones is taken within the shared resamples.
    """
    if not subject.task.classes or v.AGE_YEARS not in subject.people:
        return None
    ages = subject.people[v.AGE_YEARS].to_numpy(dtype=np.float64, na_value=np.nan)[subject.rows]
    classes = subject.y_true[subject.rows]
    if not np.isfinite(ages).any():
        return None
    means = _class_means(ages, classes, len(subject.task.classes))
    own = subject.own.score
    oldest, youngest = int(np.nanargmax(means)), int(np.nanargmin(means))
    line = {
        **subject.head,
        "oldest_class": subject.task.classes[oldest],
        "youngest_class": subject.task.classes[youngest],
        "age_gap_years": float(means[oldest] - means[youngest]),
        "n": len(subject.rows),
        "score": own,
    }
    pairs = np.prod(np.sort(np.unique(classes, return_counts=True)[1])[-2:], dtype=np.float64)
    if pairs > _MOST_PAIRS:
        return line | {"status": "undefined", "note": f"{pairs:.0f} pairs are too many to match"}
    rows = subject.rows[age_matched(ages, classes)]
    line["n_matched"] = len(rows)
    refused = subject.too_few(rows)
    if refused:
        note = f"after matching within {CALIPER_YEARS:g} years: {refused}"
        return line | {"status": "suppressed", "note": note}
    return line | _matched(subject, rows, own, (oldest, youngest))


def _class_means(ages: Array, classes: Array, n_classes: int) -> Array:
    known = np.isfinite(ages)
    means = np.full(n_classes, np.nan)
    for k in range(n_classes):
        inside = known & (classes == k)
        if inside.any():
            means[k] = ages[inside].mean()
    return means


def _matched(subject: Subject, rows: Array, own: float, ends: tuple[int, int]) -> dict[str, Any]:
    ages = subject.people[v.AGE_YEARS].to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    means = _class_means(ages, subject.y_true[rows], len(subject.task.classes))
    found = subject.view(rows).score(subject.metric, subject.weights(rows))
    drops = subject.sign * (subject.own.replicates - subject.replicates(rows))
    interval = percentile_interval(drops)
    defined = math.isfinite(found.score)
    return {
        "matched_age_gap_years": float(means[ends[0]] - means[ends[1]]),
        "matched_score": found.score,
        "matched_low": found.interval.low,
        "matched_high": found.interval.high,
        "drop": subject.sign * (own - found.score),
        "drop_low": interval.low,
        "drop_high": interval.high,
        "status": "done" if defined else "undefined",
        "note": "" if defined else "the metric has no value on the matched people",
    }
