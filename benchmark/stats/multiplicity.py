"""Adjusted p-values for several tests: Holm (any false one) and Benjamini-Hochberg (their share).

Neither decides ranks (see ``maxt``); they serve lists of tests whose correlation is not known.

References:
    Holm 1979, Scandinavian Journal of Statistics 6:65.
    Benjamini and Hochberg 1995, 10.1111/j.2517-6161.1995.tb02031.x.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ResultError

__all__ = ["benjamini_hochberg", "holm"]

Array = NDArray[Any]


def holm(p_values: Array) -> Array:
    """Holm's step-down adjusted p-values: ``max over j <= i of (m - j + 1) p_(j)``, at most 1.

    The chance of even one false rejection stays below alpha whatever the dependence.

    Args:
        p_values: Shape (M,); NaN says that the test could not be made: it stays NaN and is not
            counted.

    Raises:
        ResultError: A value outside [0, 1], or not one-dimensional.

    Example:
        >>> holm([0.01, 0.04, 0.03, float("nan")]).round(3).tolist()
        [0.03, 0.06, 0.06, nan]
        >>> holm([]).tolist()
        []
    """
    p, known, order = _sorted(p_values)
    m = len(order)
    stepwise = p[order] * (m - np.arange(m))
    return _placed(np.maximum.accumulate(stepwise) if m else stepwise, p, known, order)


def benjamini_hochberg(p_values: Array) -> Array:
    """Step-up adjusted p-values: ``min over j >= i of (m / j) p_(j)``, at most 1.

    The expected share of false ones among the rejections stays below alpha where the tests are
    independent or positively dependent.

    Args:
        p_values: Shape (M,); NaN stays NaN and is not counted.

    Raises:
        ResultError: A value outside [0, 1], or not one-dimensional.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.04, 0.04]
        >>> benjamini_hochberg([0.2]).tolist()
        [0.2]
    """
    p, known, order = _sorted(p_values)
    m = len(order)
    stepwise = p[order] * (m / np.arange(1, m + 1))
    largest_first = np.minimum.accumulate(stepwise[::-1])[::-1] if m else stepwise
    return _placed(largest_first, p, known, order)


def _sorted(p_values: Array) -> tuple[Array, Array, Array]:
    p = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(p)
    if p.ndim != 1 or ((p[known] < 0.0) | (p[known] > 1.0)).any():
        raise ResultError(
            f"adjusting p-values: expected a list of values in [0, 1], got shape {p.shape} with "
            f"{int(((p[known] < 0.0) | (p[known] > 1.0)).sum())} outside"
        )
    order = np.argsort(np.where(known, p, np.inf), kind="stable")[: int(known.sum())]
    return p, known, order


def _placed(adjusted: Array, p: Array, known: Array, order: Array) -> Array:
    result = np.full(len(p), np.nan)
    result[order] = np.minimum(adjusted, 1.0)
    return np.where(known, result, np.nan)
