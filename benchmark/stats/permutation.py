"""Paired permutation test: were the two methods' answers exchangeable, person by person?

Under the null hypothesis the two answers of a person might as well be swapped. All ``2^n`` ways are
gone through where they are few; otherwise some are drawn and ``p = (b + 1) / (m + 1)``, which is
never 0 and valid for any m.

References:
    Fisher 1935, The Design of Experiments, section 21.
    Phipson and Smyth 2010, 10.2202/1544-6115.1585 (why b + 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ResultError

__all__ = ["MOST_EXACT", "PermutationTest", "paired_permutation_test", "sign_flip_test"]

Array = NDArray[Any]

MOST_EXACT = 14  # people: 16,384 ways
_BLOCK = 2_000_000  # swaps held at once


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """Attributes: observed difference, two-sided p, number of ways, and whether these are all."""

    difference: float
    p_value: float
    n_permutations: int
    exact: bool


def paired_permutation_test(
    statistic: Callable[[Array], Array],
    n_people: int,
    *,
    seed: int = 0,
    n_permutations: int = 9999,
) -> PermutationTest:
    """Tests a difference between two methods, two-sided by its absolute size.

    Args:
        statistic: Takes swaps (m, n_people), true where a person's two answers are swapped, and
            returns the difference under each, (m,). Two scores on different scales, such as the
            AUROC of two models, must be ranked within folds first, or a swap mixes scales.
        n_people: Number of people.
        seed: Seed of the draw, unused where all ways are gone through.
        n_permutations: How many to draw where people are more than 14.

    Raises:
        ResultError: Nobody, no permutation, or an undefined difference.
    """
    if n_people < 1 or n_permutations < 1:
        raise ResultError(
            f"permutation test: expected people and permutations, got {n_people} and "
            f"{n_permutations}"
        )
    observed = float(np.asarray(statistic(np.zeros((1, n_people), dtype=bool)))[0])
    if not np.isfinite(observed):
        raise ResultError("permutation test: the difference is not defined on these people")
    at_least = abs(observed) - 1e-12 * max(1.0, abs(observed))
    exact = n_people <= MOST_EXACT
    total = 2**n_people if exact else n_permutations
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // n_people)
    extreme = 0
    for start in range(0, total, step):
        rows = np.arange(start, min(start + step, total))
        if exact:
            swaps = (rows[:, None] >> np.arange(n_people)) & 1 == 1
        else:
            swaps = rng.random((len(rows), n_people)) < 0.5
        extreme += int((np.abs(statistic(swaps)) >= at_least).sum())
    p = extreme / total if exact else (extreme + 1) / (total + 1)
    return PermutationTest(observed, p, total, exact)


def sign_flip_test(
    differences: Array, *, seed: int = 0, n_permutations: int = 9999
) -> PermutationTest:
    """The same for a metric that is a mean over people, such as Brier score or absolute error.

    Args:
        differences: Each person's loss under one method minus that under the other, shape (N,).
        seed: Seed of the draw.
        n_permutations: How many to draw where people are more than 14.

    Raises:
        ResultError: No value, or one that is not finite.

    Example:
        >>> sign_flip_test([1.0, 2.0, 3.0]).p_value  # 2 of the 8 ways are as large
        0.25
        >>> sign_flip_test([0.0, 0.0]).p_value
        1.0
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not len(d) or not np.isfinite(d).all():
        raise ResultError(
            f"sign-flip test: expected one finite difference per person, got shape {d.shape}"
        )
    mean = d.mean()
    return paired_permutation_test(
        lambda swaps: mean - 2.0 * (swaps @ d) / len(d),
        len(d),
        seed=seed,
        n_permutations=n_permutations,
    )
