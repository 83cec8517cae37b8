"""What a method may answer."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.errors import MethodError
from benchmark.prediction import Prediction
from benchmark.tasks import get_task

DX3, AGE = get_task("dx3"), get_task("brain_age")


def test_rows_are_made_to_sum_to_one_in_double_precision() -> None:
    given = np.array([[0.2, 0.3, 0.50005], [1, 0, 0]], dtype=np.float32)
    checked = Prediction(probabilities=given).check(DX3, 2, "m")
    assert checked.probabilities is not None
    assert checked.probabilities.dtype == np.float64
    np.testing.assert_allclose(checked.probabilities.sum(axis=1), 1.0, rtol=1e-15)
    assert Prediction(probabilities=np.zeros((0, 3))).check(DX3, 0, "m").probabilities is not None


@pytest.mark.parametrize(
    ("prediction", "said"),
    [
        (Prediction(mean=np.zeros(2)), r"probabilities is missing; expected an array \(2, 3\)"),
        (Prediction(probabilities=np.ones((2, 2)) / 2), r"shape \(2, 2\), expected \(2, 3\)"),
        (Prediction(probabilities=np.ones((3, 3)) / 3), r"shape \(3, 3\), expected \(2, 3\)"),
        (Prediction(probabilities=np.full((2, 3), np.nan)), "holds 6 non-finite"),
        (Prediction(probabilities=np.full((2, 3), 0.5)), "off by 0.5. Apply softmax"),
        (Prediction(probabilities=np.array([[1.2, -0.2, 0]] * 2)), "must be >= 0"),
    ],
)
def test_a_wrong_classification_is_refused_by_name(prediction: Prediction, said: str) -> None:
    with pytest.raises(MethodError, match=rf"method 'm', task 'dx3': .*{said}"):
        prediction.check(DX3, 2, "m")


@pytest.mark.parametrize(
    ("prediction", "said"),
    [
        (Prediction(probabilities=np.zeros((2, 1))), "mean is missing"),
        (Prediction(mean=np.zeros((2, 1))), r"mean has shape \(2, 1\), expected \(2,\)"),
        (Prediction(mean=np.zeros(2), sd=np.array([1, np.inf])), "sd holds 1 non-finite"),
    ],
)
def test_a_wrong_regression_is_refused_by_name(prediction: Prediction, said: str) -> None:
    with pytest.raises(MethodError, match=rf"task 'brain_age': .*{said}"):
        prediction.check(AGE, 2, "m")
