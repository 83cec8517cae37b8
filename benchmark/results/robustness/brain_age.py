"""The error of brain age after correction for age, beside the uncorrected one.

Each fold model has a line of its own, fitted on that fold's validation people
(``benchmark.metrics.brain_age``). The row's score stays the uncorrected error.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import LeakageError, ResultError
from benchmark.metrics import (
    BiasCorrection,
    BrainAgeErrors,
    brain_age_errors,
    fit_bias_correction,
)
from benchmark.results.ledger import first_line
from benchmark.results.robustness.subject import Subject

__all__ = ["brain_age_line"]

_TASK: Final = "brain_age"


def brain_age_line(subject: Subject) -> dict[str, Any] | None:
    """The line of ``brain_age`` for one row; None for other tasks and where no run made it."""
    ledger = subject.entry.ledger
    if subject.task.name != _TASK or ledger.trail is None:
        return None
    line = {**subject.head, "mae": subject.own.score, "n": subject.own.n}
    if ledger.validation is None:
        note = "external people validate nothing" if ledger.trail.sources else "not stored"
        return line | {"status": "undefined", "note": f"no validation predictions: {note}"}
    try:
        errors = _errors(subject, ledger.validation)
    except (ResultError, LeakageError) as error:  # the row's score does not need these people
        return line | {"status": "undefined", "note": first_line(error)}
    means = {name: float(np.mean([asdict(e)[name] for e in errors])) for name in asdict(errors[0])}
    return line | means | {"n": subject.own.n, "status": "done", "note": ""}


def _errors(subject: Subject, validation: pd.DataFrame) -> list[BrainAgeErrors]:
    """One for each seed and repeat of the folds."""
    lines: dict[tuple[int, int], BiasCorrection] = {}
    for _, people in validation.groupby(["seed", "fold"]):
        seed, fold = people["seed"].iloc[0], people["fold"].iloc[0]
        ids = people[v.PARTICIPANT_ID].to_numpy(dtype=str)
        age, predicted = people["y_true"].to_numpy(), people["y_pred"].to_numpy()
        lines[int(seed), int(fold)] = fit_bias_correction(age, predicted, ids)
    entry = subject.entry
    ids = subject.cell.participant_ids[entry.rows].astype(str)
    age = subject.y_true[entry.rows]
    return [
        brain_age_errors(
            age, predicted, ids, folds, {f: line for (s, f), line in lines.items() if s == seed}
        )
        for predicted, folds, seed in zip(entry.predictions, entry.folds, entry.seeds, strict=True)
    ]
