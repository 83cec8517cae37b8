"""What a metric is: a name, a direction and one vectorised function.

A *kernel* is the bare formula. It takes weights with one row per participant and one column per
resample, so that every step is an operation over contiguous columns; ``compute`` wraps a kernel in
the one place where input is validated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.metrics.validation import check_classification, check_regression

__all__ = ["Array", "Kernel", "Kind", "Metric"]

Array: TypeAlias = NDArray[Any]
Kind: TypeAlias = Literal["classification", "regression"]
Kernel: TypeAlias = Callable[[Array, Array, Array, Array], Array]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of merit.

    Attributes:
        name: Its name in tables.
        title: How it is written for readers.
        kind: "classification" or "regression".
        higher_is_better: Direction. Calibration slope and bias slope are best at a target value;
            their direction is that of the distance and they never rank.
        kernel: (y_true (N,), prediction (N, K) or (N,), folds (N,), weights (N, B)) -> (B,).
        binary_only: Not defined for more than two classes.
        min_classes: Not defined for fewer classes.
        bounds: Least and greatest value that it can have; intervals end there.
        descriptive: Chosen on the test data itself (such as a threshold); never a claim.
        ranks: May serve as a primary metric.
        no_interval: Why no interval is given; empty where one is.
    """

    name: str
    title: str
    kind: Kind
    higher_is_better: bool
    kernel: Kernel
    binary_only: bool = False
    descriptive: bool = False
    ranks: bool = True
    no_interval: str = ""
    min_classes: int = 2
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def compute(
        self,
        y_true: Array,
        prediction: Array,
        folds: Array | None = None,
        weights: Array | None = None,
    ) -> Array:
        """Computes the metric, once or for every row of a weight matrix.

        Args:
            y_true: Class index or value, shape (N,).
            prediction: Class probabilities, shape (N, K), or predicted values, shape (N,).
            folds: Fold of each row, shape (N,); None means one fold.
            weights: Bootstrap weights, shape (B, N); None means every row counts once.

        Returns:
            Shape () without weights, shape (B,) with. NaN where the metric is not defined, for
            instance where a class is absent or all its weights are zero.

        Raises:
            ResultError: Invalid input (see ``benchmark.metrics.validation``), or more or fewer
                classes than the metric is defined for.
        """
        check = check_classification if self.kind == "classification" else check_regression
        y_true, prediction, folds, by_row = check(
            y_true, prediction, folds, weights, name=self.name, binary_only=self.binary_only
        )
        if self.kind == "classification" and prediction.shape[1] < self.min_classes:
            raise ResultError(
                f"{self.name}: defined for {self.min_classes} classes or more, "
                f"got {prediction.shape[1]}"
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            values = self.kernel(y_true, prediction, folds, by_row)
        return values if weights is not None else values.reshape(())
