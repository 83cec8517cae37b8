"""Ranks with honest uncertainty: one max-T test gives tie groups and rank intervals alike.

- Rank interval: 1 + the number of methods separated above, to M - the number separated below.
  All intervals together cover the true ranks with 95 % confidence; percentiles of bootstrap ranks
  do not where methods are close, which is where it matters.
- Tie groups by peeling: the best method and all not separated from it; remove them; repeat.
- Share of first places: over the same resamples, ties shared equally.

Changing the set of methods changes the family of comparisons: call ``rank_methods`` again.

References:
    Mogstad, Romano, Shaikh and Wilhelm 2024, 10.1093/restud/rdad006 (intervals for ranks).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.stats.candidate import Candidate, difference_with_seed_noise
from benchmark.stats.maxt import ALPHA, MaxT, max_t_of_pairs
from benchmark.stats.pairs import Pairs, blocks, pair_candidates
from benchmark.stats.power import more_to_separate

__all__ = ["Comparison", "RankRow", "Ranking", "paired_gain", "rank_methods"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class RankRow:
    """One method's place among those ranked together.

    Attributes:
        key: The candidate's key.
        position: 1 for the best; equal scores keep distinct positions, by key.
        rank_low: Best rank not excluded.
        rank_high: Worst rank not excluded.
        tie_group: 1 for the best method and all not separated from it.
        first_place_share: Share of resamples in which it is first.
        n_more_to_separate: Participants to add, at the same effect, for the separation from the
            best method (for the best: from the second); 0 where separated, NaN where no number
            would do or nobody is there to compare.
    """

    key: str
    position: int
    rank_low: int
    rank_high: int
    tie_group: int
    first_place_share: float
    n_more_to_separate: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired difference ``score_a - score_b`` on the people both predicted."""

    key_a: str
    key_b: str
    difference: float
    low: float
    high: float
    t: float
    p_adjusted: float
    separated: bool
    n_common: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranks of one family.

    Attributes:
        rows: In order of position.
        critical: The single-step critical value.
        keys: Keys of the candidates, in the order that ``pairs`` numbers them.
        pairs: All pairs; None for no candidate.
        test: Their test, in the same order.
    """

    rows: tuple[RankRow, ...]
    critical: float
    keys: tuple[str, ...] = ()
    pairs: Pairs | None = None
    test: MaxT | None = None

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All pairs as records, made anew at each call; for many methods read the arrays."""
        columns = self.comparison_columns()
        keys_a, keys_b = columns.pop("key_a"), columns.pop("key_b")
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        return tuple(
            Comparison(a, b, *rest) for a, b, rest in zip(keys_a, keys_b, values, strict=True)
        )

    def comparison_columns(self) -> dict[str, Array]:
        """Fields of ``Comparison`` as columns, one entry per pair."""
        keys = np.array(self.keys, dtype=object)
        if self.pairs is None or self.test is None:
            return {name: np.empty(0) for name in Comparison.__dataclass_fields__}
        return {
            "key_a": keys[self.pairs.first],
            "key_b": keys[self.pairs.second],
            "difference": self.pairs.differences,
            "low": self.test.low,
            "high": self.test.high,
            "t": self.test.t,
            "p_adjusted": self.test.p_adjusted,
            "separated": self.test.separated,
            "n_common": self.pairs.n_common,
        }


def rank_methods(
    candidates: Sequence[Candidate],
    *,
    higher_is_better: bool,
    rates: bool = True,
    alpha: float = ALPHA,
) -> Ranking:
    """Ranks methods of one cell.

    Args:
        candidates: Those shown together; their replicates come from shared resamples.
        higher_is_better: Direction of the metric.
        rates: The metric is a rate of people, so a difference is never known better than to one
            person of the smallest class (floor of the standard error). False for regression.
        alpha: Family-wise error rate.

    Returns:
        Ranks, tie groups and comparisons. Empty for no candidate.

    Raises:
        ResultError: Two candidates share a key, or one has no score.
    """
    _check(candidates)
    if not candidates:
        return Ranking((), math.nan)
    pairs = pair_candidates(candidates)
    floor = 1.0 / np.maximum(1, pairs.n_smallest_class) if rates else 0.0
    test = max_t_of_pairs(
        pairs.differences,
        pairs.replicates,
        moments=pairs.moments(),
        floor=floor,
        widened=pairs.widened,
        alpha=alpha,
    )
    sign = 1.0 if higher_is_better else -1.0
    gains = pairs.square(sign * pairs.differences)
    separated = pairs.square(test.separated * np.sign(sign * pairs.differences))
    order = _order(candidates, gains, sign)
    rows = _rows(candidates, order, separated, _first_shares(pairs, sign))
    needed = _needed(order, pairs, test)
    rows = [(*row, more) for row, more in zip(rows, needed, strict=True)]
    keys = tuple(c.key for c in candidates)
    return Ranking(tuple(RankRow(*row) for row in rows), test.critical, keys, pairs, test)


def paired_gain(
    candidate: Candidate, reference: Candidate, *, higher_is_better: bool, level: float = 0.95
) -> tuple[float, float, float]:
    """Gain over one reference on the people both predicted: (gain, low, high), positive = better.

    The interval is the percentile interval of the paired replicates, for this one comparison.
    """
    sign = 1.0 if higher_is_better else -1.0
    ours, theirs = candidate.against(reference), reference.against(candidate)
    difference = sign * difference_with_seed_noise(candidate, reference)
    difference = difference[np.isfinite(difference)]
    if len(difference) < 0.95 * len(ours.replicates):
        return sign * (ours.score - theirs.score), math.nan, math.nan
    low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
    return sign * (ours.score - theirs.score), float(low), float(high)


def _check(candidates: Sequence[Candidate]) -> None:
    keys = [c.key for c in candidates]
    if len(set(keys)) != len(keys):
        twice = sorted({k for k in keys if keys.count(k) > 1})
        raise ResultError(f"each method may be ranked once, got twice: {', '.join(twice)}")
    for c in candidates:
        if not math.isfinite(c.own.score):
            raise ResultError(f"{c.key} has no score ({c.own.score}) and cannot be ranked")


def _order(candidates: Sequence[Candidate], gains: Array, sign: float) -> list[int]:
    """Best first: by number of pairwise losses, then the score, then the key."""
    losses = (gains < -1e-12).sum(axis=1)
    return sorted(
        range(len(candidates)),
        key=lambda i: (losses[i], -sign * candidates[i].own.score, candidates[i].key),
    )


def _first_shares(pairs: Pairs, sign: float) -> Array:
    """Share of resamples in which each has the fewest pairwise losses, ties shared.

    Where all predicted the same people, those with the fewest losses are those at the top.
    """
    if pairs.one_set:
        values = sign * pairs.rows
        first = values >= values.max(axis=0) - 1e-7
    else:
        losses = np.zeros((pairs.n_candidates, pairs.rows.shape[1]), dtype=np.int32)
        for which in blocks(np.arange(len(pairs.first))):
            gains = sign * pairs.replicates(which)
            np.add.at(losses, pairs.first[which], gains < -1e-7)
            np.add.at(losses, pairs.second[which], gains > 1e-7)
        first = losses == losses.min(axis=0)
    shares: Array = (first / first.sum(axis=0)).mean(axis=1)
    return shares


def _rows(
    candidates: Sequence[Candidate], order: Sequence[int], separated: Array, shares: Array
) -> list[tuple[Any, ...]]:
    groups = _peel(order, separated)
    total = len(candidates)
    return [
        (
            candidates[i].key,
            position,
            1 + int((separated[i] < 0).sum()),
            total - int((separated[i] > 0).sum()),
            groups[i],
            float(shares[i]),
        )
        for position, i in enumerate(order, start=1)
    ]


def _peel(order: Sequence[int], separated: Array) -> dict[int, int]:
    groups: dict[int, int] = {}
    left = list(order)
    group = 0
    while left:
        group += 1
        best = left[0]
        tied = [i for i in left if i == best or separated[best, i] == 0]
        groups.update(dict.fromkeys(tied, group))
        left = [i for i in left if i not in groups]
    return groups


def _needed(order: Sequence[int], pairs: Pairs, test: MaxT) -> list[float]:
    if len(order) < 2:
        return [math.nan]
    needed = []
    for i in order:
        index = pairs.index(i, order[1] if i == order[0] else order[0])
        more = more_to_separate(float(test.t[index]), test.critical, int(pairs.n_common[index]))
        needed.append(0.0 if test.separated[index] else more)
    return needed
