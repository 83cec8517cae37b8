"""All pairs of candidates, without holding the replicates of every pair at once.

200 methods make 19,900 pairs; with 2,000 resamples their differences are 318 MB, and each step of a
test over them would go through main memory. The distinct rows of replicates are held instead (one
per method and set of people), and differences are formed for the pairs asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.candidate import Candidate, SetScore, replicates_with_seed_noise
from benchmark.stats.interval import few_seeds_factor

__all__ = ["Moments", "Pairs", "blocks", "pair_candidates"]

Array = NDArray[Any]

_BLOCK = 64  # pairs whose replicates are held at once: 1 MiB


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the replicates of P differences.

    Attributes:
        known: Share of resamples in which each is defined, (P,).
        spread: Standard deviation over resamples, those undefined set to the difference, (P,).
        largest: Largest absolute replicate of all.
    """

    known: Array
    spread: Array
    largest: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs (first, second) of M candidates, all arrays of shape (P,) unless said.

    Attributes:
        n_candidates: M.
        first: Index of the first candidate; pairs are in the order of ``itertools.combinations``.
        second: Index of the second.
        differences: Score of the first minus that of the second on the people both predicted.
        n_common: Number of these people.
        n_smallest_class: People of their smallest class.
        rows: Distinct rows of replicates, (R, B).
        row_first: Row of the first candidate in each pair.
        row_second: Row of the second.
        seed_variance: Variance of each candidate's score by its seeds, (M,).
        seed_df: Its degrees of freedom, (M,).
    """

    n_candidates: int
    first: Array
    second: Array
    differences: Array
    n_common: Array
    n_smallest_class: Array
    rows: Array
    row_first: Array
    row_second: Array
    seed_variance: Array
    seed_df: Array

    def widened(self, error: Array) -> Array:
        """Standard errors (P,) as they are to be used where the seeds' part is estimated from few.

        Each is multiplied by :func:`few_seeds_factor`, so that what is compared with a normal
        quantile holds at that of Student's t.
        """
        if not self.seed_variance.any():
            return error
        parts = [(self.seed_variance[k], self.seed_df[k]) for k in (self.first, self.second)]
        by_seeds = sum(variance for variance, _ in parts)
        return error * few_seeds_factor(np.maximum(np.square(error) - by_seeds, 0.0), parts)

    def replicates(self, which: Array) -> Array:
        """Replicates of the difference of some pairs, (len(which), B)."""
        difference: Array = self.rows[self.row_first[which]]
        difference -= self.rows[self.row_second[which]]
        return difference

    def index(self, a: int, b: int) -> int:
        """Number of the pair of two candidates, in either order."""
        low, high = min(a, b), max(a, b)
        return low * self.n_candidates - low * (low + 1) // 2 + high - low - 1

    def square(self, values: Array) -> Array:
        """Antisymmetric matrix (M, M) from the values of pairs; NaN counts as 0."""
        square = np.zeros((self.n_candidates, self.n_candidates))
        square[self.first, self.second] = np.nan_to_num(values)
        return square - square.T

    def moments(self) -> Moments | None:
        """Spread of every pair from the covariances of the rows; None where people differ.

        The standard deviation of a difference is ``sqrt(v_a + v_b - 2 c_ab)``, so the replicates
        of the pairs need not be formed. Rounding leaves 1e-9 where two rows are equal.
        """
        if not self.one_set:
            return None
        centred = self.rows - self.rows.mean(axis=1, keepdims=True)
        covariance = centred @ centred.T / (self.rows.shape[1] - 1)
        variance = np.diag(covariance)
        a, b = self.row_first, self.row_second
        squared = variance[a] + variance[b] - 2.0 * covariance[a, b]
        largest = float(np.ptp(self.rows, axis=0).max(initial=0.0))
        return Moments(np.ones(len(a)), np.sqrt(np.maximum(squared, 0.0)), largest)

    @property
    def one_set(self) -> bool:
        """Whether every candidate has one row: all predicted the same people."""
        return len(self.rows) == self.n_candidates and bool(np.isfinite(self.rows).all())


def pair_candidates(candidates: Sequence[Candidate]) -> Pairs:
    """Lines up all pairs; at least one candidate."""
    first, second = np.triu_indices(len(candidates), 1)
    table = _RowTable(candidates)
    own = np.array([table.names.index(c.own_set) for c in candidates])
    ours, theirs = table.index[first, own[second]], table.index[second, own[first]]
    return Pairs(
        n_candidates=len(candidates),
        first=first,
        second=second,
        differences=table.score[ours] - table.score[theirs],
        n_common=table.n[ours],
        n_smallest_class=table.n_smallest_class[ours],
        rows=table.rows,
        row_first=ours,
        row_second=theirs,
        seed_variance=np.array([c.seed_part[0] for c in candidates]),
        seed_df=np.array([c.seed_part[1] for c in candidates]),
    )


class _RowTable:
    """Distinct (candidate, set of people), and which of them a candidate has against each set."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.names = sorted({c.own_set for c in candidates})
        self.index = np.empty((len(candidates), len(self.names)), dtype=np.int64)
        found: list[SetScore] = []
        rows: list[Array] = []
        for i, candidate in enumerate(candidates):
            known: dict[int, int] = {}
            for j, name in enumerate(self.names):
                score = candidate.scores[name]
                if id(score) not in known:
                    known[id(score)] = len(found)
                    found.append(score)
                    rows.append(replicates_with_seed_noise(candidate, score))
                self.index[i, j] = known[id(score)]
        self.rows = np.stack(rows).astype(np.float64)
        self.score = np.array([s.score for s in found])
        self.n = np.array([s.n for s in found])
        self.n_smallest_class = np.array([s.n_smallest_class for s in found])


def blocks(which: Array) -> Iterator[Array]:
    """Cuts indices of pairs into blocks that stay in the processor's cache."""
    for start in range(0, len(which), _BLOCK):
        yield which[start : start + _BLOCK]
