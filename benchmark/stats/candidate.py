"""What ranking needs to know of one method: its score and replicates on each set of people.

Methods of one cell (cohort, task, protocol) need not have predicted the same people: a method that
needs a modality says nothing about those who lack it. Distinct sets of people are named ``s0``,
``s1``, ... by falling size. For every pair of sets the methods are scored on the intersection, with
the same resamples, so any two are compared on exactly the people both predicted. Where sets
coincide, nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.interval import few_seeds_factor
from benchmark.stats.resamples import seeded_generator

__all__ = [
    "Candidate",
    "SetScore",
    "difference_with_seed_noise",
    "replicates_with_seed_noise",
    "widened_by_seeds",
]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class SetScore:
    """A method's primary metric on one set of people.

    Attributes:
        score: The metric on the data, mean over seeds (or over fold models, external).
        replicates: The same on B shared resamples, shape (B,).
        n: Number of people.
        n_smallest_class: People of the smallest class (regression: n).
    """

    score: float
    replicates: Array
    n: int
    n_smallest_class: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One row that can be ranked.

    Attributes:
        key: Unique name within the cell.
        own_set: Name of the set of people it predicted.
        scores: SetScore on the intersection of its own set with each other set, by the *other*
            set's name; ``scores[own_set]`` is its score on its own people.
        seeds: Number of training seeds.
        seed_sd: Standard deviation of the score between seeds; 0 where unknown.
    """

    key: str
    own_set: str
    scores: Mapping[str, SetScore]
    seeds: int = 1
    seed_sd: float = 0.0

    @property
    def own(self) -> SetScore:
        """The score on its own people."""
        return self.scores[self.own_set]

    def against(self, other: Candidate) -> SetScore:
        """The score on the people that both predicted."""
        return self.scores[other.own_set]

    @property
    def seed_part(self) -> tuple[float, int]:
        """Variance of the score by its seeds, and its degrees of freedom; 0 below three seeds."""
        if self.seeds < 3 or not self.seed_sd > 0.0:
            return 0.0, 0
        return self.seed_sd**2 / self.seeds, self.seeds - 1


def replicates_with_seed_noise(candidate: Candidate, score: SetScore) -> Array:
    """Replicates plus an independent normal draw for the training seed, where 3 or more are known.

    The draw has standard deviation ``seed_sd / sqrt(seeds)``, and depends on the key alone.
    """
    variance, _ = candidate.seed_part
    if not variance:
        return score.replicates
    generator = seeded_generator("seed noise", candidate.key, len(score.replicates))
    noise = generator.standard_normal(len(score.replicates))
    noisy: Array = score.replicates + noise * np.sqrt(variance)
    return noisy


def difference_with_seed_noise(first: Candidate, second: Candidate) -> Array:
    """Replicates (B,) of the first's score minus the second's, as :func:`widened_by_seeds`."""
    plain = first.against(second).replicates - second.against(first).replicates
    return widened_by_seeds(plain, [first.seed_part, second.seed_part], first.key, second.key)


def widened_by_seeds(replicates: Array, seeds: Sequence[tuple[float, int]], *names: str) -> Array:
    """Replicates plus a normal draw, so wide that their 95 % quantiles hold with few seeds.

    Args:
        replicates: Of a score or a difference given the fitted models, (B,).
        seeds: Parts of its variance by seeds, each with its degrees of freedom.
        names: The draw depends on these alone.

    Returns:
        The replicates themselves where no part has a variance.
    """
    variance = sum(part for part, _ in seeds)
    if not variance:
        return replicates
    finite = replicates[np.isfinite(replicates)]
    people = float(finite.var(ddof=1)) if len(finite) > 1 else 0.0
    (factor,) = few_seeds_factor(people, seeds)
    sd = np.sqrt(factor**2 * (people + variance) - people)
    draws = seeded_generator("seed noise", *names, len(replicates))
    noisy: Array = replicates + sd * draws.standard_normal(len(replicates))
    return noisy
