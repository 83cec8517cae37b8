"""The rows of a ledger: one prediction per person, task and part."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import MethodError
from benchmark.method import Method
from benchmark.prediction import Prediction
from benchmark.runs.job import Job
from benchmark.runs.people import Cell
from benchmark.samples import Samples
from benchmark.samples.align import align_samples
from benchmark.tasks import labels_for

__all__ = ["answer_rows", "ledger_rows"]


def ledger_rows(method: Method, job: Job, cell: Cell, part: str, train: Samples) -> pd.DataFrame:
    """Predicts a part of a cohort and sets the labels beside the answers.

    Args:
        method: A fitted method.
        job: The job.
        cell: The cohort.
        part: Which people.
        train: The training samples, whose columns the others take.

    Returns:
        ``cohort task part participant_id session_id y_true`` and ``prob_<k>``, or ``y_pred y_sd``.

    Raises:
        MethodError: A task is not answered, or an answer is not valid.
    """
    samples = align_samples(cell.samples(job, part).without_labels(), like=train)
    return answer_rows(method, job, cell, part, samples)


def answer_rows(method: Method, job: Job, cell: Cell, part: str, samples: Samples) -> pd.DataFrame:
    """As :func:`ledger_rows`, for samples of that part which are made and aligned already."""
    answers = method.predict(samples, cell.tasks)
    people = np.asarray(cell.people[part])
    index = cell.cohort.index_visits.set_index(v.PARTICIPANT_ID)
    tables = []
    for task in cell.tasks:
        if task.name not in answers:
            raise MethodError(f"{job.label}: predict() gave nothing for task {task.name!r}")
        checked = answers[task.name].check(task, len(people), job.row)
        labels = labels_for(task, cell.cohort.visits)
        order = index.index.get_indexer(pd.Index(people))
        mask = labels.mask[order]
        table = pd.DataFrame(
            {
                "cohort": cell.cohort.name,
                "task": task.name,
                "part": part,
                v.PARTICIPANT_ID: people,
                v.SESSION_ID: index[v.SESSION_ID].to_numpy()[order],
                "y_true": labels.values[order],
                **_columns(checked),
            }
        )
        tables.append(table.loc[mask])
    return pd.concat(tables, ignore_index=True)


def _columns(prediction: Prediction) -> dict[str, np.ndarray]:
    if prediction.probabilities is not None:
        return {f"prob_{k}": column for k, column in enumerate(prediction.probabilities.T)}
    mean = np.asarray(prediction.mean)
    sd = np.full(len(mean), np.nan) if prediction.sd is None else prediction.sd
    return {"y_pred": mean, "y_sd": sd}
