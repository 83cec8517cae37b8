"""One adapter that turns a scikit-learn estimator into a method."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from benchmark.errors import MethodError
from benchmark.method import Method, RunContext
from benchmark.prediction import Prediction
from benchmark.samples.samples import Samples
from benchmark.tasks import Task

__all__ = ["PenalisedLinear", "SklearnMethod", "tabular_preprocessor"]

_MODEL_FILE = "model.pkl"


class SklearnMethod(Method):
    """Fits one estimator per task on the training people who have that label.

    Write :meth:`estimator`; write :meth:`features` too if the method uses more than the tables that
    its track opens. To choose among several settings return them all from :meth:`candidates`: the
    one with the lowest validation loss (log loss, or mean absolute error) is kept. The standard
    deviation of a value is the root mean square of its validation residuals.
    """

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._fitted: dict[str, Any] = {}
        self._residual_sd: dict[str, float] = {}

    @abstractmethod
    def estimator(self, task: Task) -> Any:
        """An unfitted estimator, with ``predict_proba`` for classification."""

    def candidates(self, task: Task) -> Sequence[Any]:
        """Unfitted estimators to choose from on validation people."""
        return [self.estimator(task)]

    def features(self, samples: Samples) -> pd.DataFrame | np.ndarray:
        """What the estimator sees, one row a person; all tables of the track by default."""
        return samples.frame()

    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Fits every task; each estimator sees training people only."""
        inputs, val_inputs = self.features(train), self.features(val)
        for task in tasks:
            y, mask = train.labels(task.name)
            val_y, val_mask = val.labels(task.name)
            target = y[mask].astype(np.int64) if task.classes else y[mask]
            losses = []
            fitted = []
            for candidate in self.candidates(task):
                _seed(candidate, run.seed)
                candidate.fit(_take(inputs, mask), target)
                fitted.append(candidate)
                answer = _answer(candidate, _take(val_inputs, val_mask), task)
                losses.append(_loss(answer, val_y[val_mask], task))
            best = int(np.argmin(losses))
            run.log({"task": task.name, "validation_loss": losses[best], "candidate": best})
            self._fitted[task.name] = fitted[best]
            if not task.classes:
                answer = _answer(fitted[best], _take(val_inputs, val_mask), task)
                squares = np.square(answer - val_y[val_mask])
                self._residual_sd[task.name] = float(np.sqrt(squares.mean()))

    def predict(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, Prediction]:
        """Predicts each task with its own estimator."""
        inputs = self.features(samples)
        predictions = {}
        for task in tasks:
            if task.name not in self._fitted:
                raise MethodError(f"task {task.name!r} was not fitted; fit() it before predict()")
            answer = _answer(self._fitted[task.name], inputs, task)
            if task.classes:
                predictions[task.name] = Prediction(probabilities=answer)
            else:
                sd = np.full(len(answer), self._residual_sd[task.name])
                predictions[task.name] = Prediction(mean=answer, sd=sd)
        return predictions

    def save(self, folder: Path) -> None:
        """Pickles every attribute: the fitted estimators and what a subclass learned besides."""
        (folder / _MODEL_FILE).write_bytes(pickle.dumps(vars(self)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what :meth:`save` wrote; load only files that you trust."""
        state = pickle.loads((folder / _MODEL_FILE).read_bytes())
        method = cls(state["config"])
        vars(method).update(state)
        return method

    def parameter_count(self) -> int:
        """Coefficients of linear estimators; 0 for others."""
        total = 0
        for estimator in self._fitted.values():
            last = estimator[-1] if hasattr(estimator, "steps") else estimator
            total += int(np.size(getattr(last, "coef_", ())))
        return total


class PenalisedLinear(SklearnMethod):
    """Logistic regression for classes, ridge regression for values, on prepared tables.

    The penalty is chosen on validation people from the setting ``penalties``: the inverse strength
    ``C`` of the logistic regression, the strength of the ridge.
    """

    def candidates(self, task: Task) -> Sequence[Any]:
        """One pipeline per penalty."""
        return [self._pipeline(task, penalty) for penalty in self.config.penalties]

    def estimator(self, task: Task) -> Any:
        """The pipeline of the first penalty."""
        return self._pipeline(task, self.config.penalties[0])

    @staticmethod
    def _pipeline(task: Task, penalty: float) -> Any:
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.pipeline import make_pipeline

        model = LogisticRegression(C=penalty, max_iter=5000) if task.classes else Ridge(penalty)
        return make_pipeline(tabular_preprocessor(), model)


def tabular_preprocessor(*, scale: bool = True) -> Any:
    """Median imputation with missingness indicators, one-hot categories, standard scaling.

    Returns:
        An unfitted scikit-learn transformer for a table with numeric and text columns. Fitted as
        part of a pipeline it sees training rows only.
    """
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    numeric = make_pipeline(impute, StandardScaler()) if scale else impute
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    is_number = make_column_selector(dtype_include="number")
    is_text = make_column_selector(dtype_exclude="number")
    return make_column_transformer((numeric, is_number), (categories, is_text))


def _take(inputs: pd.DataFrame | np.ndarray, mask: np.ndarray) -> pd.DataFrame | np.ndarray:
    return inputs.loc[mask] if isinstance(inputs, pd.DataFrame) else inputs[mask]


def _seed(estimator: Any, seed: int) -> None:
    names = [n for n in estimator.get_params() if n.rpartition("__")[2] == "random_state"]
    estimator.set_params(**dict.fromkeys(names, seed))


def _answer(estimator: Any, inputs: pd.DataFrame | np.ndarray, task: Task) -> np.ndarray:
    if not task.classes:
        return np.asarray(estimator.predict(inputs), dtype=np.float64)
    known = estimator.predict_proba(inputs)
    answer = np.zeros((len(known), len(task.classes)))
    answer[:, np.asarray(estimator.classes_, dtype=np.int64)] = known
    return answer


def _loss(answer: np.ndarray, y: np.ndarray, task: Task) -> float:
    if not task.classes:
        return float(np.abs(answer - y).mean())
    picked = answer[np.arange(len(y)), y.astype(np.int64)]
    return float(-np.log(np.clip(picked, 1e-7, 1.0)).mean())
