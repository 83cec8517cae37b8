"""The max-T test, tie groups and rank intervals."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.stats import (
    Candidate,
    SetScore,
    draw_resamples,
    max_t,
    more_to_separate,
    paired_gain,
    rank_methods,
)
from benchmark.stats.candidate import replicates_with_seed_noise
from benchmark.stats.maxt import max_t_of_pairs
from benchmark.stats.pairs import Moments, pair_candidates

RNG = np.random.default_rng(8)
SHARED = RNG.normal(size=2000) * 0.03


def _candidate(key, score, sd=0.01, n=200, **extra):
    own = np.random.default_rng(list(key.encode())).normal(size=2000) * sd
    return Candidate(key, "s0", {"s0": SetScore(score, score + SHARED + own, n, n // 2)}, **extra)


def _rows(candidates, **options):
    options = {"higher_is_better": True, **options}
    return {row.key: row for row in rank_methods(candidates, **options).rows}


def test_one_comparison_is_the_normal_test():
    replicates = 0.1 + 0.05 * RNG.normal(size=(1, 20_000))
    test = max_t(np.array([0.1]), replicates)
    assert test.critical == pytest.approx(1.96, abs=0.03)
    assert test.p_adjusted[0] == pytest.approx(2 * stats.norm.sf(2.0), abs=0.004)
    assert test.low[0] == pytest.approx(0.1 - 1.96 * 0.05, abs=0.003)


def test_independent_comparisons_cost_what_sidak_says():
    replicates = RNG.normal(size=(10, 20_000))
    test = max_t(np.zeros(10), replicates)
    assert test.critical == pytest.approx(stats.norm.isf((1 - 0.95**0.1) / 2), abs=0.05)
    assert not test.separated.any()


def test_identical_comparisons_cost_nothing():
    replicates = np.repeat(RNG.normal(size=(1, 20_000)), 10, axis=0)
    assert max_t(np.zeros(10), replicates).critical == pytest.approx(1.96, abs=0.04)


def test_step_down_separates_more_than_single_step():
    t = np.array([6.0, 2.1])
    test = max_t(t, t[:, None] + RNG.normal(size=(2, 20_000)))
    assert test.critical > 2.15  # for two comparisons
    assert test.separated.tolist() == [True, True]  # the second faces one comparison only


def test_max_t_equals_romano_and_wolf_one_hypothesis_at_a_time():
    """Algorithm 4.1 written as it reads: drop what is rejected, take the maximum over the rest."""
    rng = np.random.default_rng(31)
    scale = np.array([0.02, 0.05, 0.03, 0.04, 0.02])
    truth = np.array([0.12, 0.11, 0.0, 0.07, 0.05])
    shared = rng.normal(size=(1, 3000))
    replicates = truth[:, None] + scale[:, None] * (0.6 * shared + 0.8 * rng.normal(size=(5, 3000)))
    test = max_t(truth, replicates)
    error = replicates.std(axis=1, ddof=1)
    left, separated = set(range(5)), set()
    for i in sorted(range(5), key=lambda i: -abs(truth[i] / error[i])):
        largest = [
            max(abs(replicates[j, b] - truth[j]) / error[j] for j in left) for b in range(3000)
        ]
        critical = max(float(np.quantile(largest, 0.95)), 1.959964)
        if not abs(truth[i] / error[i]) > critical:
            break
        separated.add(i)
        left.remove(i)
    assert set(np.flatnonzero(test.separated)) == separated == {0, 4}


def test_p_is_below_alpha_exactly_where_separated_and_has_no_floor():
    t = np.linspace(0, 8, 12)
    test = max_t(t, t[:, None] + RNG.normal(size=(12, 1000)))
    np.testing.assert_array_equal(test.p_adjusted < 0.05, test.separated)
    assert test.p_adjusted.min() < 1e-9  # far below 1 / 1000
    assert (np.diff(test.p_adjusted) <= 1e-15).all()


def test_a_difference_without_spread_is_held_to_the_floor():
    constant = np.full((1, 500), 0.5)
    assert not max_t(np.array([0.5]), constant, floor=1 / 3).separated[0]  # three people
    assert max_t(np.array([0.5]), constant, floor=1 / 100).separated[0]
    assert not max_t(np.array([0.0]), np.zeros((1, 500))).separated[0]
    assert max_t(np.array([0.5]), constant).separated[0]


def test_family_wise_error_under_the_null():
    """Five equally good methods of 60 people in three folds: few data sets may show a winner."""
    y, folds = np.tile([0, 1], 30), np.repeat([0, 1, 2], 20)
    ids = np.array([f"{i:02d}" for i in range(60)])
    weights = draw_resamples(ids, folds * 2 + y, n_resamples=300)
    rng = np.random.default_rng(1)
    false_alarms = 0
    n_sets = 120
    for _ in range(n_sets):
        shared = rng.normal(size=60) + 1.2 * y
        candidates = []
        for name in "abcde":
            p = 1 / (1 + np.exp(-(shared + rng.normal(size=60))))
            p2 = np.stack([1 - p, p], axis=1)
            score = float(METRICS["roc_auc"].compute(y, p2, folds))
            replicates = METRICS["roc_auc"].compute(y, p2, folds, weights)
            candidates.append(Candidate(name, "s0", {"s0": SetScore(score, replicates, 60, 30)}))
        found = rank_methods(candidates, higher_is_better=True)
        false_alarms += any(c.separated for c in found.comparisons)
    assert false_alarms / n_sets <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / n_sets)


def test_tie_groups_are_peeled_from_the_best():
    # a, b close; c is separated from both; d lies close to c
    rows = _rows([_candidate(k, s) for k, s in zip("abcd", [0.90, 0.89, 0.70, 0.69], strict=True)])
    assert [rows[k].tie_group for k in "abcd"] == [1, 1, 2, 2]
    assert [(rows[k].rank_low, rows[k].rank_high) for k in "abcd"] == [
        (1, 2),
        (1, 2),
        (3, 4),
        (3, 4),
    ]
    assert [rows[k].position for k in "abcd"] == [1, 2, 3, 4]
    assert rows["a"].first_place_share + rows["b"].first_place_share == pytest.approx(1.0)
    assert rows["c"].n_more_to_separate == 0.0
    assert rows["b"].n_more_to_separate == rows["a"].n_more_to_separate > 0


def test_a_bridge_belongs_to_the_best_and_not_to_the_next_group():
    rows = _rows([_candidate(k, s) for k, s in zip("abc", [0.90, 0.875, 0.85], strict=True)])
    assert [rows[k].tie_group for k in "abc"] == [1, 1, 2]
    assert (rows["b"].rank_low, rows["b"].rank_high) == (1, 3)


def test_direction_is_respected():
    rows = _rows([_candidate("a", 5.0), _candidate("b", 4.0)], higher_is_better=False, rates=False)
    assert rows["b"].position == 1
    assert rows["b"].first_place_share == 1.0


def test_another_choice_of_methods_changes_the_family():
    few = [_candidate("a", 0.90, 0.01), _candidate("b", 0.868, 0.01)]
    many = few + [_candidate(f"m{i}", 0.7, 0.02) for i in range(14)]
    assert (
        rank_methods(many, higher_is_better=True).critical
        > rank_methods(few, higher_is_better=True).critical
    )


def test_one_method_and_none():
    row = _rows([_candidate("a", 0.9)])["a"]
    assert (row.rank_low, row.rank_high, row.tie_group, row.first_place_share) == (1, 1, 1, 1.0)
    assert math.isnan(row.n_more_to_separate)
    assert rank_methods([], higher_is_better=True).rows == ()


def test_methods_are_compared_on_the_people_both_predicted():
    # b looks better on its own easier people, but is worse on those both predicted
    common_a, common_b = (
        SetScore(0.85, 0.85 + SHARED, 100, 50),
        SetScore(0.80, 0.80 + SHARED, 100, 50),
    )
    a = Candidate("a", "s0", {"s0": SetScore(0.75, 0.75 + SHARED, 200, 100), "s1": common_a})
    b = Candidate("b", "s1", {"s1": common_b, "s0": common_b})
    ranking = rank_methods([a, b], higher_is_better=True)
    assert ranking.comparisons[0].difference == pytest.approx(0.05)
    assert ranking.comparisons[0].n_common == 100
    assert [row.key for row in ranking.rows] == ["a", "b"]
    assert paired_gain(b, a, higher_is_better=True)[0] == pytest.approx(-0.05)


def test_methods_without_people_in_common_are_not_separated():
    nothing = SetScore(math.nan, np.full(2000, math.nan), 0, 0)
    a = Candidate("a", "s0", {"s0": SetScore(0.9, 0.9 + SHARED, 50, 25), "s1": nothing})
    b = Candidate("b", "s1", {"s1": SetScore(0.2, 0.2 + SHARED, 50, 25), "s0": nothing})
    ranking = rank_methods([a, b], higher_is_better=True)
    assert not ranking.comparisons[0].separated
    assert math.isnan(ranking.comparisons[0].p_adjusted)
    assert [row.tie_group for row in ranking.rows] == [1, 1]


def test_a_pair_without_people_in_common_does_not_touch_the_others():
    """One undefined replicate used to set every standard error of the family to its floor."""
    nothing = SetScore(math.nan, np.full(2000, math.nan), 0, 0)

    def lone(key, score, own, other):
        scores = _candidate(key, score, 0.02).scores["s0"]
        return Candidate(key, own, {own: scores, other: nothing})

    three = [lone("a", 0.90, "s0", "s1"), lone("b", 0.89, "s0", "s1"), lone("c", 0.5, "s1", "s0")]
    for rates in (True, False):
        both = rank_methods(three, higher_is_better=True, rates=rates).comparisons[0]
        alone = rank_methods(three[:2], higher_is_better=True, rates=rates).comparisons[0]
        assert (both.t, both.low) == (pytest.approx(alone.t), pytest.approx(alone.low))
        assert not both.separated


def _different_people(n_methods):
    """Methods of three sets of people; every set of pairs has replicates of its own."""
    rng = np.random.default_rng(n_methods)
    names = ("s0", "s1", "s2")

    def scores(level):
        values = (level + 0.03 * rng.normal(size=(3, 2000))).round(3)
        return {
            name: SetScore(float(row.mean()), row, 60 - 10 * i, 20 - i)
            for i, (name, row) in enumerate(zip(names, values, strict=True))
        }

    return [
        Candidate(
            f"m{i}", names[i % 3], scores(0.7 + 0.01 * i), seeds=1 + 2 * (i % 2), seed_sd=0.01
        )
        for i in range(n_methods)
    ]


def test_ranking_many_equals_pair_by_pair_reference():
    """Enough methods for several blocks, on different people, against loops over pairs."""
    candidates = _different_people(15)
    ranking = rank_methods(candidates, higher_is_better=True)
    pairs = list(combinations(candidates, 2))
    differences = np.array([a.against(b).score - b.against(a).score for a, b in pairs])
    replicates = np.array(
        [
            replicates_with_seed_noise(a, a.against(b))
            - replicates_with_seed_noise(b, b.against(a))
            for a, b in pairs
        ]
    )
    floor = np.array([1 / a.against(b).n_smallest_class for a, b in pairs])
    test = max_t(differences, replicates, floor=floor)
    assert ranking.critical == test.critical
    # sd 0.01 between three seeds: variance 1e-4 / 3 with two degrees of freedom, of either or both
    error = np.maximum(replicates.std(axis=1, ddof=1), floor)
    seeds = np.array([(a.seeds == 3) + (b.seeds == 3) for a, b in pairs])
    with np.errstate(divide="ignore"):
        df = error**4 / (seeds * (1e-4 / 3) ** 2 / 2)
    wider = np.where(seeds > 0, stats.t.ppf(0.975, df) / stats.norm.ppf(0.975), 1.0)
    error *= wider
    wide = max_t_of_pairs(
        differences, lambda which: replicates[which], floor=floor, widened=lambda se: se * wider
    )
    for i, found in enumerate(ranking.comparisons):
        assert (found.key_a, found.key_b) == (pairs[i][0].key, pairs[i][1].key)
        assert found.n_common == pairs[i][0].against(pairs[i][1]).n
        assert found.t == pytest.approx(differences[i] / error[i])
        assert found.separated == wide.separated[i]
    losses = np.zeros((15, 2000))
    for (a, b), values in zip(combinations(range(15), 2), replicates, strict=True):
        losses[a] += values < -1e-7
        losses[b] += values > 1e-7
    first = losses == losses.min(axis=0)
    shares = {c.key: s for c, s in zip(candidates, (first / first.sum(0)).mean(1), strict=True)}
    for row in ranking.rows:
        assert row.first_place_share == pytest.approx(shares[row.key])


def test_spread_from_covariances_equals_that_of_the_differences():
    candidates = [
        _candidate(k, 0.7, sd) for k, sd in zip("abcd", [0.01, 0.03, 0.0, 0.0], strict=True)
    ]
    pairs = pair_candidates(candidates)
    moments = pairs.moments()
    replicates = pairs.replicates(np.arange(6))
    np.testing.assert_allclose(moments.spread, replicates.std(axis=1, ddof=1), atol=2e-9)
    assert moments.largest == pytest.approx(np.abs(replicates).max())
    for rates in (True, False):  # c and d are the same in every resample
        last = rank_methods(candidates, higher_is_better=True, rates=rates).comparisons[-1]
        assert (last.t, last.separated) == (0.0, False)
    apart = [_candidate("a", 0.8, 0.0), _candidate("b", 0.7, 0.0), _candidate("c", 0.6)]
    first = rank_methods(apart, higher_is_better=True, rates=False).comparisons[0]
    assert (first.t, first.separated) == (math.inf, True)  # as where the spread is exactly 0
    assert pair_candidates(_different_people(3)).moments() is None


@pytest.mark.parametrize(("n", "decimals"), [(300, 12), (301, 1), (7, 12), (1, 12)])
def test_critical_values_by_block_equal_those_by_row(n, decimals):
    """Each row's by numpy, over that difference and all that follow; with and without ties."""
    rng = np.random.default_rng(5)
    t = (rng.normal(size=200) * 2).round(decimals)
    noise = (rng.normal(size=(200, n)) + rng.normal(size=(1, n))).round(decimals)
    replicates = t[:, None] + noise
    spread = replicates.std(axis=1, ddof=1) if n > 1 else np.ones(200)
    moments = Moments(np.ones(200), spread, float(np.abs(replicates).max()))
    for alpha in (0.05, 0.4, 1 / 3):
        test = max_t_of_pairs(t, lambda which: replicates[which], moments=moments, alpha=alpha)
        ratio = np.abs(replicates - t[:, None]) / spread[:, None]
        order = np.argsort(-np.abs(test.t), kind="stable")
        largest = [np.quantile(ratio[order[i:]].max(0), 1 - alpha) for i in range(200)]
        critical = np.maximum(largest, stats.norm.isf(alpha / 2))
        separated = np.logical_and.accumulate(np.abs(test.t)[order] > critical)
        np.testing.assert_array_equal(test.separated[order], separated)
        assert test.critical == critical[0]
        comparisons = np.log1p(-alpha) / np.log1p(-2 * stats.norm.sf(critical))
        single = np.minimum(2 * stats.norm.sf(np.abs(test.t)[order]), 1 - 1e-16)
        p = np.maximum.accumulate(1 - (1 - single) ** comparisons)
        np.testing.assert_allclose(test.p_adjusted[order], p, atol=1e-12)


def test_variance_between_seeds_can_undo_a_separation():
    calm = [_candidate("a", 0.90), _candidate("b", 0.85)]
    moved = [_candidate("a", 0.90, seeds=3, seed_sd=0.06), _candidate("b", 0.85)]
    assert _rows(calm)["b"].tie_group == 2
    assert _rows(moved)["b"].tie_group == 1


def test_a_gain_between_two_methods_of_three_seeds_covers():
    rng = np.random.default_rng(2)
    covered = 0
    for values in rng.normal(size=(1000, 2, 3)):
        pair = [
            _candidate(name, own.mean(), 1e-9, seeds=3, seed_sd=own.std(ddof=1))
            for name, own in zip("ab", values, strict=True)
        ]
        _, low, high = paired_gain(*pair, higher_is_better=True)
        covered += low <= 0.0 <= high
    assert 0.935 <= covered / 1000 <= 0.98


def test_gain_over_a_floor_is_positive_when_better():
    gain, low, high = paired_gain(
        _candidate("mine", 3.0, 0.1), _candidate("floor", 5.0, 0.1), higher_is_better=False
    )
    assert gain == pytest.approx(2.0)
    assert low < 2.0 < high
    assert high - low == pytest.approx(2 * 1.96 * math.hypot(0.1, 0.1), rel=0.06)


def test_more_to_separate_follows_the_root_of_n():
    assert more_to_separate(1.0, 2.0, 100) == 300
    assert more_to_separate(-1.0, 2.0, 100) == 300
    assert more_to_separate(3.0, 2.0, 100) == 0
    assert math.isnan(more_to_separate(0.0, 2.0, 100))
    assert math.isnan(more_to_separate(0.01, 2.0, 100))


def test_ranking_refuses_a_repeated_or_scoreless_method():
    with pytest.raises(ResultError, match="got twice: a"):
        rank_methods([_candidate("a", 0.9), _candidate("a", 0.8)], higher_is_better=True)
    with pytest.raises(ResultError, match="no score"):
        rank_methods([_candidate("a", math.nan)], higher_is_better=True)
