"""Logistic regression on the clinical table, APOE e4 and SNP dosages."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmark.api import Samples, SklearnMethod, Task, tabular_preprocessor


class ClinicalGenetic(SklearnMethod):
    """Additive genotypes; what is missing is imputed by the training median and flagged."""

    _columns: list[str] | None = None

    def features(self, samples: Samples) -> pd.DataFrame:
        parts = [samples.frame()]
        if "snps" in samples.arrays:
            parts.append(pd.DataFrame(samples.array("snps"), columns=list(samples.names["snps"])))
        frame = pd.concat(parts, axis=1)
        if self._columns is None:
            self._columns = list(frame)
        return frame.reindex(columns=self._columns)  # another cohort may lack a source

    def candidates(self, task: Task) -> Sequence[Any]:
        return [self._pipeline(penalty) for penalty in self.config.penalties]

    def estimator(self, task: Task) -> Any:
        return self._pipeline(self.config.penalties[0])

    @staticmethod
    def _pipeline(penalty: float) -> Any:
        model = LogisticRegression(C=penalty, max_iter=2000)
        return make_pipeline(tabular_preprocessor(), model)
