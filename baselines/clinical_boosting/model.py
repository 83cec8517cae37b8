"""Gradient boosting on the clinical table; missing values are handled by the trees themselves."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmark.api import Samples, SklearnMethod, Task


class ClinicalBoosting(SklearnMethod):
    """The learning rate is chosen on validation people."""

    def features(self, samples: Samples) -> pd.DataFrame:
        frame = samples.frame()
        texts = frame.select_dtypes(exclude="number").columns
        return frame.astype(dict.fromkeys(texts, "category"))

    def candidates(self, task: Task) -> Sequence[Any]:
        return [self._booster(rate) for rate in self.config.learning_rates]

    def estimator(self, task: Task) -> Any:
        return self._booster(self.config.learning_rates[0])

    def _booster(self, rate: float) -> Any:
        return HistGradientBoostingClassifier(
            learning_rate=rate,
            max_iter=self.config.iterations,
            max_leaf_nodes=self.config.max_leaf_nodes,
            min_samples_leaf=self.config.min_samples_leaf,
            l2_regularization=self.config.l2,
            early_stopping=False,
        )
