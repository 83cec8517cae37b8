"""Penalised logistic regression on every table of the track."""

from collections.abc import Sequence
from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmark.api import SklearnMethod, Task, tabular_preprocessor


class BiomarkerLinear(SklearnMethod):
    """The penalty is chosen on validation people."""

    def candidates(self, task: Task) -> Sequence[Any]:
        return [self._pipeline(penalty) for penalty in self.config.penalties]

    def estimator(self, task: Task) -> Any:
        return self._pipeline(self.config.penalties[0])

    @staticmethod
    def _pipeline(penalty: float) -> Any:
        model = LogisticRegression(C=penalty, max_iter=5000)
        return make_pipeline(tabular_preprocessor(), model)
