"""Logistic regression on age and sex."""

from typing import Any

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmark.api import Samples, SklearnMethod, Task, tabular_preprocessor

AGE_AND_SEX = ("age_years", "age_transformed", "sex")


class AgeSex(SklearnMethod):
    """Age and sex, nothing else of the demographic track."""

    def features(self, samples: Samples) -> pd.DataFrame:
        frame = samples.frame("demographics")
        return frame[[column for column in AGE_AND_SEX if column in frame]]

    def estimator(self, task: Task) -> Any:
        return make_pipeline(tabular_preprocessor(), LogisticRegression(max_iter=1000))
