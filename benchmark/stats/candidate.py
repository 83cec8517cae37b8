"""What ranking needs to know of one method: its score and replicates on each set of people.

Methods of one cell (cohort, task, protocol) need not have predicted the same people: a method that
needs a modality says nothing about those who lack it. Distinct sets of people are named ``s0``,
``s1``, ... by falling size. For every pair of sets the methods are scored on the intersection, with
the same resamples, so any two are compared on exactly the people both predicted. Where sets
coincide, nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.resamples import seeded_generator

__all__ = ["Candidate", "SetScore", "replicates_with_seed_noise"]

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


def replicates_with_seed_noise(candidate: Candidate, score: SetScore) -> Array:
    """Replicates plus an independent normal draw for the training seed, where 3 or more are known.

    The draw has standard deviation ``seed_sd / sqrt(seeds)``, and depends on the key alone.
    """
    if candidate.seeds < 3 or not candidate.seed_sd > 0.0:
        return score.replicates
    generator = seeded_generator("seed noise", candidate.key, len(score.replicates))
    noise = generator.standard_normal(len(score.replicates))
    noisy: Array = score.replicates + noise * candidate.seed_sd / np.sqrt(candidate.seeds)
    return noisy
