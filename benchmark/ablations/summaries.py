"""What exposed arrays come down to: means by class, routing of tasks, neighbours, a map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.stats import draw_resamples, percentile_interval, strata_codes, with_seed_variance

__all__ = ["class_means", "layout", "map_perplexity", "neighbours", "overlaps", "routing"]

Array = NDArray[Any]
NEAREST: Final = 10
_LEAST_PEOPLE: Final = 8  # of a map


def class_means(
    values: Array, people: Array, classes: Array, seeds: Array, *, n_resamples: int = 2000
) -> pd.DataFrame:
    """Means of some columns in each class, people resampled within class.

    A person counts once, by the mean over seeds. From three seeds on, the interval includes the
    spread between them.

    Args:
        values: One line for each person and seed, shape (N, M).
        people: Participant ids, (N,).
        classes: Classes as text, the same for a person in every line, (N,).
        seeds: Training seeds, (N,).
        n_resamples: Bootstrap resamples.

    Returns:
        Columns ``group column value low high n``, a line for each class and column.
    """
    columns = [*range(values.shape[1])]
    table = pd.DataFrame(np.asarray(values, dtype=np.float64), columns=columns)
    table = table.assign(person=people, group=classes, seed=seeds)
    by_seed = table.groupby(["group", "person", "seed"], sort=True)[columns].mean()
    by_person = by_seed.groupby(level=["group", "person"]).mean()
    spread = by_seed.groupby(level=["group", "seed"]).mean().groupby(level="group").std()
    groups = by_person.index.get_level_values("group").to_numpy()
    ids = by_person.index.get_level_values("person").to_numpy()
    weights = draw_resamples(ids, strata_codes(groups), n_resamples=n_resamples)
    lines = []
    for group in dict.fromkeys(groups):
        own = groups == group
        found = by_person[columns].to_numpy()[own]
        replicates = weights[:, own] @ found / own.sum()
        for column in columns:
            mean = float(found[:, column].mean())
            between = float(spread.loc[group, column])
            around = percentile_interval(mean, replicates[:, column])
            around = with_seed_variance(around, mean, between, len(set(seeds)))
            line = {"group": group, "column": column, "value": mean}
            lines.append(line | {"low": around.low, "high": around.high, "n": int(own.sum())})
    return pd.DataFrame(lines)


def routing(values: Array) -> tuple[Array, Array]:
    """Of weights (N, T, E): means, and the share of people who get the expert, each (T, E)."""
    return values.mean(axis=0), (values > 0).mean(axis=0)


def overlaps(means: Array) -> Array:
    """How far two tasks take the same experts, shape (T, T).

    The sum over experts of the smaller of both mean weights, each task's weights summing to 1: 1
    for the same experts with the same weights, 0 for none in common. Experts of different fits
    have nothing to do with one another, but this can be compared between fits.

    Args:
        means: Mean weights (T, E).
    """
    shares = means / np.maximum(means.sum(axis=1, keepdims=True), 1e-12)
    smaller: Array = np.minimum(shares[:, None], shares[None, :]).sum(axis=2)
    return smaller


def neighbours(embedding: Array, classes: Array, nearest: int = NEAREST) -> tuple[Array, Array]:
    """Share of each person's nearest people who are of the same class, and that by chance.

    Args:
        embedding: Shape (N, d), at least two people.
        classes: Shape (N,).
        nearest: How many of them, at most N - 1.

    Returns:
        Both shares, each (N,).
    """
    n = len(embedding)
    x = np.asarray(embedding, dtype=np.float64)
    square = (x**2).sum(axis=1)
    distance = square[:, None] + square[None, :] - 2 * x @ x.T
    np.fill_diagonal(distance, np.inf)
    closest = np.argsort(distance, axis=1, kind="stable")[:, : min(nearest, n - 1)]
    same = classes[closest] == classes[:, None]
    counts = np.array([(classes == one).sum() for one in classes])
    return same.mean(axis=1), (counts - 1) / (n - 1)


def map_perplexity(n: int) -> float:
    """A fifth of the people, between 2 and 30.

    >>> map_perplexity(12), map_perplexity(100), map_perplexity(1000)
    (2.4, 20.0, 30.0)
    """
    return float(np.clip(n / 5, 2, 30))


def layout(embeddings: Sequence[Array]) -> list[Array]:
    """Maps of the same people by t-SNE: from principal components, always the same seed.

    Args:
        embeddings: Each (N, d), of one fit after several epochs.

    Returns:
        Each (N, 2), scaled to lie between -1 and 1. Distances between groups, and one map's against
        another's, say nothing.

    Raises:
        ResultError: There are fewer than 8 people, or an embedding does not vary in two directions.
    """
    from sklearn.manifold import TSNE

    n = len(embeddings[0])
    if n < _LEAST_PEOPLE:
        raise ResultError(f"a map needs {_LEAST_PEOPLE} people, got {n}")
    maps = []
    for embedding in embeddings:
        x = np.asarray(embedding, dtype=np.float64)
        if np.linalg.matrix_rank(x - x.mean(axis=0)) < 2:
            raise ResultError("the embedding does not vary in two directions")
        tsne = TSNE(init="pca", random_state=0, perplexity=map_perplexity(n))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            placed = tsne.fit_transform(x)
        placed = placed - placed.mean(axis=0)
        maps.append(placed / np.abs(placed).max())
    return maps
