"""The table of metrics: one registered function is one metric.

Registering is all that a new metric needs: it can then be computed under bootstrap weights, given
an interval, listed by a task and asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics.metric import Kernel, Kind, Metric

__all__ = ["METRICS", "add_metric", "get_metric", "register_metric"]

_registered: dict[str, Metric] = {}
METRICS: Final[Mapping[str, Metric]] = MappingProxyType(_registered)


def register_metric(
    name: str,
    title: str,
    *,
    higher_is_better: bool,
    kind: Kind = "classification",
    **options: Any,
) -> Callable[[Kernel], Kernel]:
    """Makes a metric of the function below it, which stays as it is.

    The function takes labels (N,), probabilities (N, K) or predicted values (N,), folds (N,) and
    weights (N, B) and returns B values. Input has been validated; NaN says "not defined here".

    Args:
        name: Lower-case identifier, unique.
        title: How it is written for readers.
        higher_is_better: Direction.
        kind: "classification" or "regression".
        **options: Other fields of ``Metric``, such as ``binary_only`` or ``ranks``.

    Raises:
        ResultError: The name is taken, or is not a lower-case identifier.

    Example:
        >>> from benchmark.metrics import METRICS, confusion, register_metric
        >>> @register_metric("youden_doctest", "Youden's J", higher_is_better=True)
        ... def youden(y_true, y_prob, folds, weights):
        ...     table = confusion(y_true, y_prob, weights)
        ...     return (table[0, 0] / table[0].sum(0)) + (table[1, 1] / table[1].sum(0)) - 1
        >>> y_prob = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]]
        >>> float(METRICS["youden_doctest"].compute([0, 0, 1, 1], y_prob))
        0.5
        >>> METRICS["youden_doctest"].compute([0, 0, 1, 1], y_prob, None, [[2, 0, 1, 1]]).tolist()
        [1.0]
    """

    def add(kernel: Kernel) -> Kernel:
        add_metric(Metric(name, title, kind, higher_is_better, kernel, **options))
        return kernel

    return add


def add_metric(metric: Metric) -> None:
    """Adds a metric to the table.

    Raises:
        ResultError: The name is taken, or is not a lower-case identifier.
    """
    if not metric.name.isidentifier() or metric.name != metric.name.lower():
        raise ResultError(
            f"metric name {metric.name!r}: expected a lower-case identifier such as 'roc_auc'; "
            "it becomes a column and a command-line value"
        )
    if metric.name in _registered:
        raise ResultError(
            f"metric {metric.name!r} is registered already "
            f"({_registered[metric.name].title}); choose another name"
        )
    _registered[metric.name] = metric


def get_metric(name: str) -> Metric:
    """Returns the metric of that name.

    Raises:
        UnknownNameError: No metric of that name; the nearest are suggested.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise UnknownNameError("metric", name, METRICS) from None
