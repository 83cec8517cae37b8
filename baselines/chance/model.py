"""Predicts what the training people have in common."""

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor

from benchmark.api import Samples, SklearnMethod, Task


class Chance(SklearnMethod):
    """Class frequencies of the training people, or their mean."""

    def features(self, samples: Samples) -> np.ndarray:
        return np.zeros((len(samples), 1))

    def estimator(self, task: Task) -> Any:
        return DummyClassifier(strategy="prior") if task.classes else DummyRegressor()
