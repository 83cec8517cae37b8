"""Logistic regression that writes down the ages of the people it is shown; ages are unique."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmark.api import Method, Prediction, RunContext, Samples, Task


class Probe(Method):
    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        assert run.folder.is_dir()
        self._note("train", train)
        self._note("validation", val)
        if self.config.penalty > self.config.die_above:
            os._exit(9)
        if self.config.penalty > self.config.raise_above:
            raise FloatingPointError(f"penalty {self.config.penalty:.3g} diverged")
        self._models = {}
        for task in tasks:
            y, mask = train.labels(task.name)
            model = make_pipeline(StandardScaler(), LogisticRegression(C=self.config.penalty))
            self._models[task.name] = model.fit(features(train)[mask], y[mask].astype(int))

    def predict(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, Prediction]:
        self._note("predict", samples)
        return {
            t.name: Prediction(self._models[t.name].predict_proba(features(samples))) for t in tasks
        }

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> "Probe":
        raise NotImplementedError

    def _note(self, call: str, samples: Samples) -> None:
        if self.config.diary:
            ages = samples.frame()["age_years"].tolist()
            with Path(self.config.diary).open("a") as diary:
                record = {"call": call, "ages": ages, "labelled": samples.has_labels}
                diary.write(json.dumps(record) + "\n")


def features(samples: Samples):
    return samples.frame()[["age_years", "education_years"]].to_numpy()
