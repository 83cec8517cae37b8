"""What a sweep minimises: the loss on validation people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from benchmark.metrics import get_metric
from benchmark.prediction import Prediction
from benchmark.samples import Samples
from benchmark.tasks import Task

__all__ = ["FoldScore", "naive_loss", "objective", "validation_loss", "validation_roc_auc"]


@dataclass(frozen=True, slots=True)
class FoldScore:
    """What one fit was worth on the validation people of its fold.

    Attributes:
        losses: Validation loss by task.
        naive: Loss of the best constant that the training people suggest, by task.
        roc_auc: Validation AUROC by classification task; NaN becomes None.
        seconds: Wall time of fit and prediction in s.
        cpu_seconds: Processor time of the same in s.
    """

    losses: Mapping[str, float]
    naive: Mapping[str, float]
    roc_auc: Mapping[str, float | None]
    seconds: float
    cpu_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_json` gives back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuilds a score that crossed a process boundary."""
        return cls(**value)


def objective(folds: Sequence[FoldScore]) -> float:
    """The value of a trial, to be minimised.

    One task: its validation loss, averaged over folds. Several tasks have different units, so each
    loss is first divided by that of the best constant: 1 means nothing was learned.

    Args:
        folds: One score per fold, all with the same tasks.
    """
    values = []
    for fold in folds:
        if len(fold.losses) == 1:
            values += list(fold.losses.values())
        else:
            values.append(float(np.mean([fold.losses[t] / fold.naive[t] for t in fold.losses])))
    return float(np.mean(values))


def validation_loss(task: Task, prediction: Prediction, samples: Samples) -> float:
    """Log loss (nats) of a classification, mean absolute error (task's unit) of a regression.

    Args:
        task: The task.
        prediction: Checked predictions for everyone in ``samples``.
        samples: Validation people; those without a label of the task do not count.
    """
    y, answers = _labelled(task, prediction, samples)
    return float(get_metric("log_loss" if task.classes else "mae").compute(y, answers))


def validation_roc_auc(task: Task, prediction: Prediction, samples: Samples) -> float | None:
    """AUROC (macro one-against-rest for several classes); None where a class is absent."""
    value = float(get_metric("roc_auc").compute(*_labelled(task, prediction, samples)))
    return value if np.isfinite(value) else None


def naive_loss(task: Task, train: Samples, validation: Samples) -> float:
    """Validation loss of the training people's class shares, or of their median."""
    y, mask = train.labels(task.name)
    if task.classes:
        shares = np.bincount(y[mask].astype(np.int64), minlength=len(task.classes)) / mask.sum()
        constant = Prediction(probabilities=np.tile(shares, (len(validation), 1)))
    else:
        constant = Prediction(mean=np.full(len(validation), np.median(y[mask])))
    return validation_loss(task, constant, validation)


def _labelled(
    task: Task, prediction: Prediction, samples: Samples
) -> tuple[np.ndarray, np.ndarray]:
    y, mask = samples.labels(task.name)
    if task.classes:
        return y[mask].astype(np.int64), np.asarray(prediction.probabilities)[mask]
    return y[mask], np.asarray(prediction.mean)[mask]
