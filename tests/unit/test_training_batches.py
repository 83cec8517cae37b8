"""Order, batches and the learning rate."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from benchmark.samples import LazyRows
from benchmark.training.batches import BatchSource, epoch_batches, even_batches
from benchmark.training.schedule import lr_factor


def _order(seed: int, epoch: int, n: int = 23) -> list[int]:
    return np.concatenate(list(epoch_batches(n, 5, seed, epoch))).tolist()


def test_everybody_comes_once_an_epoch() -> None:
    assert sorted(_order(0, 3)) == list(range(23))


def test_order_differs_between_epochs_and_seeds_and_repeats_itself() -> None:
    orders = [_order(seed, epoch) for seed in range(3) for epoch in range(4)]
    assert len({tuple(o) for o in orders}) == 12
    assert _order(2, 1) == _order(2, 1)


@pytest.mark.parametrize(("n", "size"), [(1, 4), (4, 4), (17, 16), (33, 16), (100, 7)])
def test_batches_are_even(n: int, size: int) -> None:
    sizes = [len(rows) for rows in even_batches(np.arange(n), size)]
    assert sum(sizes) == n
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("rows", [np.array([2, 3]), np.array([False, False, True, True])])
def test_a_subset_reads_the_same_people(rows: np.ndarray) -> None:
    volumes = np.arange(3 * 8, dtype=np.float16).reshape(3, 2, 2, 2)
    lazy = LazyRows([volumes], np.zeros(4, dtype=int), np.array([2, 0, -1, 1]))
    whole = BatchSource(
        {"t1w": lazy, "age": np.array([1.0, 2.0, 3.0, 4.0])},
        labels={"dx3": np.array([0.0, 1.0, np.nan, 2.0])},
        classification=frozenset({"dx3"}),
        targets={"mask": lazy},
        strata=np.array([0, 1, 2, 3]),
    )
    part = whole.subset(rows)
    assert len(part) == 2
    assert isinstance(part.inputs["t1w"], LazyRows)
    assert part.strata.tolist() == [2, 3]
    one, two = part.read(np.array([1, 0])), whole.read(np.array([3, 2]))
    for group in ("inputs", "labels", "masks", "targets"):
        ours, theirs = getattr(one, group), getattr(two, group)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_batch_reads_rows_masks_and_missing_volumes() -> None:
    volumes = np.arange(3 * 8, dtype=np.float16).reshape(3, 2, 2, 2)
    lazy = LazyRows([volumes], np.zeros(4, dtype=int), np.array([2, 0, -1, 1]))
    source = BatchSource(
        {"t1w": lazy, "age": np.array([1.0, 2.0, 3.0, 4.0])},
        {"dx3": np.array([0.0, np.nan, 2.0, 1.0]), "brain_age": np.array([np.nan, 0.5, 1, 2])},
        frozenset({"dx3"}),
    )
    batch = source.read(np.array([2, 0, 1]))
    assert batch.inputs["t1w"].shape == (3, 1, 2, 2, 2)
    assert batch.inputs["t1w"].dtype == torch.float32
    np.testing.assert_array_equal(batch.inputs["t1w"][:, 0, 0, 0, 0], [0, 16, 0])
    assert batch.inputs["t1w_available"].tolist() == [False, True, True]
    assert batch.inputs["age"].tolist() == [3, 1, 2]
    assert batch.labels["dx3"].tolist() == [2, 0, 0]
    assert batch.masks["dx3"].tolist() == [1, 1, 0]
    assert batch.masks["brain_age"].tolist() == [1, 0, 1]


def test_one_cycle_rises_to_its_peak_and_falls() -> None:
    rates = [lr_factor("one-cycle", s, 100, 0.3) for s in range(100)]
    assert rates[0] == pytest.approx(0.04)
    assert int(np.argmax(rates)) == 30
    assert rates[30] == pytest.approx(1.0)
    assert rates[-1] < 0.002
    assert all(a < b for a, b in pairwise(rates[:31]))
    assert all(a > b for a, b in pairwise(rates[30:]))


def test_cosine_matches_torch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20)
    for step in range(20):
        assert lr_factor("cosine", step, 20, 0.0) == pytest.approx(reference.get_last_lr()[0])
        optimiser.step()
        reference.step()


def test_constant_warms_up_linearly() -> None:
    assert [lr_factor("constant", s, 10, 0.4) for s in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def _even(seed: int, epoch: int) -> list[int]:
    strata = np.arange(23) % 3
    return np.concatenate(list(epoch_batches(23, 5, seed, epoch, strata))).tolist()


def test_the_order_with_strata_differs_between_epochs_and_seeds_and_repeats_itself() -> None:
    orders = [_even(seed, epoch) for seed in range(3) for epoch in range(4)]
    assert len({tuple(order) for order in orders}) == 12
    assert _even(2, 1) == _even(2, 1)
    assert all(sorted(order) == list(range(23)) for order in orders)


def test_the_odd_one_of_a_stratum_falls_to_each_batch_in_turn() -> None:
    strata = (np.arange(40) < 1).astype(int)  # one person, and 39 others
    with_them = [
        next(k for k, rows in enumerate(epoch_batches(40, 10, 0, epoch, strata)) if 0 in rows)
        for epoch in range(200)
    ]
    assert np.bincount(with_them, minlength=4).min() > 30


def test_who_shares_a_batch_changes() -> None:
    strata = np.arange(12) % 2
    pairs = {
        frozenset(rows.tolist())
        for epoch in range(20)
        for rows in epoch_batches(12, 2, 0, epoch, strata)
    }
    assert len(pairs) > 30  # of the 36 that hold one of each
