"""Template method: one scikit-learn estimator per task."""

from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmark.api import SklearnMethod, Task, tabular_preprocessor


class TemplateMethod(SklearnMethod):
    """Sees the tables that its track opens; write ``features()`` to see more or less."""

    def estimator(self, task: Task) -> Any:
        """An unfitted estimator; seeds are set by the adapter."""
        model = LogisticRegression(C=self.config.penalty, max_iter=2000)
        return make_pipeline(tabular_preprocessor(), model)
