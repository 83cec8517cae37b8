"""A linear model on confounds."""

from typing import Any

from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline

from benchmark.api import SklearnMethod, Task, tabular_preprocessor


class Confound(SklearnMethod):
    """All tables of the ``confound`` track; age is closed to ``brain_age``."""

    def estimator(self, task: Task) -> Any:
        model = LogisticRegression(max_iter=1000) if task.classes else RidgeCV((0.1, 1, 10, 100))
        return make_pipeline(tabular_preprocessor(), model)
