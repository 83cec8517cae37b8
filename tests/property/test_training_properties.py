"""Laws of the training loop: projected gradients, and batches that hold their share."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.training.balance import project_conflicts
from benchmark.training.batches import epoch_batches, even_batches, label_strata

NUMBERS = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3))


@given(arrays(np.float64, (2, 5), elements=NUMBERS))
def test_two_projected_gradients_never_work_against_either(pair: np.ndarray) -> None:
    both = torch.from_numpy(pair)
    joint = project_conflicts(both, [[0, 1], [1, 0]])
    for gradient in both:
        assert float(joint @ gradient) >= -1e-9 * float(both.square().sum())


@given(arrays(np.float64, (3, 4), elements=NUMBERS), st.permutations(range(3)))
def test_gradients_that_do_not_conflict_are_only_summed(three: np.ndarray, order: list) -> None:
    positive = torch.from_numpy(np.abs(three))
    joint = project_conflicts(positive, [order] * 3)
    torch.testing.assert_close(joint, positive.sum(dim=0))


@st.composite
def strata(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    sizes = draw(st.lists(st.integers(1, 60), min_size=1, max_size=7))
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    shuffled = np.random.default_rng(draw(st.integers(0, 99))).permutation(numbers)
    return shuffled, draw(st.integers(1, 33))


@given(strata(), st.integers(0, 5), st.integers(0, 5))
def test_every_batch_holds_its_share_of_every_stratum(
    drawn: tuple[np.ndarray, int], seed: int, epoch: int
) -> None:
    numbers, size = drawn
    batches = list(epoch_batches(len(numbers), size, seed, epoch, numbers))
    plain = even_batches(np.arange(len(numbers)), size)
    assert sorted(map(len, batches)) == sorted(map(len, plain))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(numbers)))
    for stratum in np.unique(numbers):
        counts = [int((numbers[rows] == stratum).sum()) for rows in batches]
        assert max(counts) - min(counts) <= 1


@given(
    arrays(np.float64, 12, elements=st.sampled_from([0.0, 1.0, 2.0, np.nan])),
    arrays(np.float64, 12, elements=st.sampled_from([-0.5, 0.7, 1.3, np.nan])),
)
def test_strata_are_the_combinations_of_labels(classes: np.ndarray, values: np.ndarray) -> None:
    numbers = label_strata({"dx3": classes, "brain_age": values}, frozenset({"dx3"}))
    assert numbers.shape == (12,)
    kinds = [
        (None if np.isnan(c) else c, np.isnan(v)) for c, v in zip(classes, values, strict=True)
    ]
    for i in range(12):
        for j in range(12):
            assert (numbers[i] == numbers[j]) == (kinds[i] == kinds[j])
