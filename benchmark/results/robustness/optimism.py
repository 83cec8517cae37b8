"""Validation score minus test score of the same fits: how far the tuning people flatter.

Both are the task's primary metric within folds. A person who is tested in one fold may validate in
another, so people are resampled once, within classes, and carry their weight into both scores.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.metrics import Metric
from benchmark.results.ledger import first_line, prediction_columns
from benchmark.results.robustness.subject import Subject, percentile_interval
from benchmark.stats import draw_resamples
from benchmark.tasks import Task

__all__ = ["honesty_line", "optimism"]

Array = NDArray[Any]


def honesty_line(subject: Subject, *, n_resamples: int, seed: int) -> dict[str, Any] | None:
    """The line of ``honesty`` for one row; None where no run made it, such as an oracle's."""
    ledger = subject.entry.ledger
    if ledger.trail is None:
        return None
    own = subject.own
    line = {
        **subject.head,
        "runs": ledger.trail.runs,
        "test_evaluations": ledger.trail.evaluations,
        "superseded_evaluations": ledger.trail.superseded,
        "test_score": own.score,
        "n_test": own.n,
    }
    if ledger.validation is None:
        note = "external people validate nothing" if ledger.trail.sources else "not stored"
        return line | {"status": "undefined", "note": f"no validation predictions: {note}"}
    try:
        found = optimism(
            ledger.validation,
            ledger.frame,
            subject.task,
            subject.metric,
            n_resamples=n_resamples,
            seed=seed,
        )
    except ResultError as error:  # the row's score does not need these people
        return line | {"status": "undefined", "note": first_line(error)}
    defined = math.isfinite(found["optimism"])
    note = "" if defined else "the metric has no value on the validation people"
    return line | found | {"status": "done" if defined else "undefined", "note": note}


def optimism(
    validation: pd.DataFrame,
    test: pd.DataFrame,
    task: Task,
    metric: Metric,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares two parts of the same fits.

    Args:
        validation: ``participant_id y_true fold seed`` and the predictions.
        test: The same.
        task: The task.
        metric: What is compared.
        n_resamples: Bootstrap resamples.
        seed: Seed of the resamples.

    Returns:
        ``validation_score``, ``optimism`` (positive where validation looks better), its percentile
        interval, and ``n_validation``, the number of distinct people who validate.
    """
    both = pd.concat([validation, test])[[v.PARTICIPANT_ID, "y_true"]]
    people = both.assign(**{v.PARTICIPANT_ID: both[v.PARTICIPANT_ID].astype(str)})
    people = people.drop_duplicates(v.PARTICIPANT_ID).sort_values(v.PARTICIPANT_ID)
    ids = people[v.PARTICIPANT_ID].to_numpy(dtype=str)
    strata = people["y_true"].to_numpy() if task.classes else np.zeros(len(ids))
    weights = draw_resamples(ids, strata, n_resamples=n_resamples, seed=seed)
    values = [_scores(part, task, metric, ids, weights) for part in (validation, test)]
    sign = 1.0 if metric.higher_is_better else -1.0
    interval = percentile_interval(sign * (values[0][1] - values[1][1]))
    return {
        "validation_score": values[0][0],
        "optimism": sign * (values[0][0] - values[1][0]),
        "optimism_low": interval.low,
        "optimism_high": interval.high,
        "n_validation": int(validation[v.PARTICIPANT_ID].nunique()),
    }


def _scores(
    part: pd.DataFrame, task: Task, metric: Metric, ids: Array, weights: Array
) -> tuple[float, Array]:
    """Mean over seeds of the metric and of its replicates, shape (B,)."""
    plain, replicates = [], []
    columns = prediction_columns(task.classes)
    for _, rows in part.groupby("seed"):
        place = np.searchsorted(ids, rows[v.PARTICIPANT_ID].to_numpy(dtype=str))
        predictions = rows[columns].to_numpy(dtype=np.float64)
        predictions = predictions if task.classes else predictions[:, 0]
        y_true, folds = rows["y_true"].to_numpy(), rows["fold"].to_numpy()
        plain.append(float(metric.compute(y_true, predictions, folds)))
        own = np.ascontiguousarray(weights[:, place].T).T
        replicates.append(metric.compute(y_true, predictions, folds, own))
    return float(np.mean(plain)), np.mean(replicates, axis=0)
