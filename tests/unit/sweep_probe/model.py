"""Logistic regression that writes down the ages of the people it is shown; ages are unique."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.api import Method, Prediction, RunContext, Samples, Task

NEWTON_STEPS = 30


class Probe(Method):
    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        assert run.folder.is_dir()
        self._note("train", train)
        self._note("validation", val)
        if self.config.penalty > self.config.die_above:
            os._exit(9)
        if self.config.penalty > self.config.raise_above:
            raise FloatingPointError(f"penalty {self.config.penalty:.3g} diverged")
        x = features(train)
        self._mean, self._sd = x.mean(axis=0), x.std(axis=0)
        self._weights = {}
        for task in tasks:
            y, mask = train.labels(task.name)
            self._weights[task.name] = newton(
                self._design(train)[mask], y[mask], self.config.penalty
            )

    def predict(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, Prediction]:
        self._note("predict", samples)
        answers = {}
        for task in tasks:
            p = 1 / (1 + np.exp(-self._design(samples) @ self._weights[task.name]))
            answers[task.name] = Prediction(np.stack([1 - p, p], axis=1))
        return answers

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> "Probe":
        raise NotImplementedError

    def _design(self, samples: Samples) -> np.ndarray:
        return np.c_[np.ones(len(samples)), (features(samples) - self._mean) / self._sd]

    def _note(self, call: str, samples: Samples) -> None:
        if self.config.diary:
            ages = samples.frame()["age_years"].tolist()
            with Path(self.config.diary).open("a") as diary:
                record = {"call": call, "ages": ages, "labelled": samples.has_labels}
                diary.write(json.dumps(record) + "\n")


def features(samples: Samples) -> np.ndarray:
    return samples.frame()[["age_years", "education_years"]].to_numpy()


def newton(x: np.ndarray, y: np.ndarray, c: float) -> np.ndarray:
    """Minimises |w|^2 / 2 + c * (sum of log losses); the first weight is the free intercept."""
    w = np.zeros(x.shape[1])
    ridge = np.diag([0.0, *np.ones(len(w) - 1)])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = c * (x.T * (p * (1 - p))) @ x + ridge
        w -= np.linalg.solve(hessian, c * x.T @ (p - y) + ridge @ w)
    return w
