"""What a method answers: class probabilities, or a mean with its standard deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.errors import MethodError
from benchmark.tasks import Task

__all__ = ["Prediction"]

_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predictions of one task for N people, in the order of the samples.

    Attributes:
        probabilities: Class probabilities, shape (N, K), in the task's class order; classification.
        mean: Predicted values in the task's unit, shape (N,); regression.
        sd: Their standard deviation, shape (N,), or None if the method states none.
    """

    probabilities: np.ndarray | None = None
    mean: np.ndarray | None = None
    sd: np.ndarray | None = None

    def check(self, task: Task, n: int, method: str) -> Prediction:
        """Returns the prediction in float64 after checking it against its task.

        Args:
            task: The task that was asked for.
            n: Number of people.
            method: Name used in messages.

        Raises:
            MethodError: Wrong field, shape, non-finite values, or rows that do not sum to 1.
        """
        where = f"method {method!r}, task {task.name!r}"
        if task.classes:
            values = _array(self.probabilities, (n, len(task.classes)), "probabilities", where)
            worst = float(np.abs(values.sum(axis=1) - 1.0).max(initial=0.0))
            if worst > _TOLERANCE or values.min(initial=0.0) < 0:
                raise MethodError(
                    f"{where}: probabilities must be >= 0 with rows that sum to 1; the worst row "
                    f"is off by {worst:.3g}. Apply softmax before returning them."
                )
            return Prediction(probabilities=values / values.sum(axis=1, keepdims=True))
        mean = _array(self.mean, (n,), "mean", where)
        sd = None if self.sd is None else _array(self.sd, (n,), "sd", where)
        return Prediction(mean=mean, sd=sd)


def _array(value: object, shape: tuple[int, ...], name: str, where: str) -> np.ndarray:
    if value is None:
        raise MethodError(f"{where}: Prediction.{name} is missing; expected an array {shape}")
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise MethodError(f"{where}: {name} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise MethodError(
            f"{where}: {name} holds {bad} non-finite value(s); look at the training log for a "
            "diverged loss"
        )
    return array
