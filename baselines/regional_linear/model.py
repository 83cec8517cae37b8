"""A linear model on the logarithms of measured regional volumes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from benchmark.api import Samples, SklearnMethod, Task, tabular_preprocessor


class RegionalLinear(SklearnMethod):
    """Log volumes: a linear model can take ratios of them, head size included."""

    def features(self, samples: Samples) -> pd.DataFrame:
        return np.log(samples.frame("t1w").clip(lower=1.0))

    def candidates(self, task: Task) -> Sequence[Any]:
        return [self._pipeline(task, penalty) for penalty in self.config.penalties]

    def estimator(self, task: Task) -> Any:
        return self._pipeline(task, 1.0)

    @staticmethod
    def _pipeline(task: Task, penalty: float) -> Any:
        model = LogisticRegression(C=penalty, max_iter=2000) if task.classes else Ridge(penalty)
        return make_pipeline(tabular_preprocessor(), model)
