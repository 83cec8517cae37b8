"""Memory of batches is used again, and never while somebody holds it."""

import copy
import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from benchmark.samples import LazyRows
from benchmark.training.batches import BatchSource
from benchmark.training.reading import RowReader

SHAPE = (2, 3, 4)


@pytest.fixture
def lazy(tmp_path) -> LazyRows:
    """Five rows of which one is missing, in two files of float16."""
    rng = np.random.default_rng(0)
    for name, n in (("a", 3), ("b", 2)):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(n, *SHAPE)).astype(np.float16))
    blocks = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("a", "b")]
    return LazyRows(blocks, np.array([0, 1, 0, 0, 1]), np.array([2, 0, -1, 0, 1]))


def picks(n: int = 12) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(1)
    return (rng.integers(0, 5, size=rng.integers(1, 6)) for _ in range(n))


def test_rows_are_those_of_the_arrays_to_the_last_bit(lazy: LazyRows) -> None:
    reader = RowReader()
    for rows in picks():
        expected = lazy.take(rows, "float32")
        ours = reader.read(lazy, rows)
        assert ours.dtype == torch.float32
        assert ours.is_contiguous()
        np.testing.assert_array_equal(ours.numpy(), expected)


@pytest.mark.parametrize("mask", [[1, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0] * 5])
def test_a_mask_reads_whom_it_marks(lazy: LazyRows, mask: list[int]) -> None:
    rows = np.array(mask, dtype=bool)
    np.testing.assert_array_equal(RowReader().read(lazy, rows).numpy(), lazy.take(rows, "float32"))


def test_a_copy_of_a_reader_knows_nothing_of_the_first(lazy: LazyRows) -> None:
    reader = RowReader()
    reader.read(lazy, np.array([0, 1]))
    for other in (copy.deepcopy(reader), pickle.loads(pickle.dumps(reader))):
        assert not vars(other)["_memory"]
        assert not vars(other)["_blocks"]


@pytest.mark.parametrize("kind", [">f2", ">f4", ">i2", "<f2"])
def test_byte_order_and_direction_of_a_block_do_not_matter(kind: str) -> None:
    values = np.arange(12).reshape(3, 4)[::-1, ::-1].astype(kind)
    for block in (values, values[::-1], values[:, ::-1], values[:, ::2]):
        lazy = LazyRows([block, block.astype("f4")], np.array([0, 1, 0]), np.array([2, 1, 0]))
        read = RowReader().read(lazy, np.arange(3))
        np.testing.assert_array_equal(read.numpy(), lazy.take(np.arange(3), "float32"))


@pytest.mark.parametrize("kind", ["uint8", "int8", "bool", "float32", "float64"])
def test_any_stored_type_becomes_float32(kind: str) -> None:
    values = np.array([[0, 1], [1, 1]]).astype(kind)
    read = RowReader().read(LazyRows([values], np.zeros(2, int), np.array([1, 0])), np.array([1]))
    assert read.dtype == torch.float32
    assert read.tolist() == [[0.0, 1.0]]


def test_memory_of_a_batch_that_nobody_holds_is_used_again(lazy: LazyRows) -> None:
    reader = RowReader()
    place = reader.read(lazy, np.array([0, 1])).data_ptr()
    assert reader.read(lazy, np.array([3])).data_ptr() == place
    places = {reader.read(lazy, rows).data_ptr() for rows in picks()}
    assert len(places) <= 3, "it grows to the largest batch and stays"


@pytest.mark.parametrize(
    "held",
    [
        lambda t: t,
        lambda t: t.unsqueeze(1),
        lambda t: t[1:, 0],
        lambda t: t.numpy(),
        lambda t: t.detach(),
        lambda t: (t * torch.ones((), requires_grad=True)).grad_fn,
    ],
    ids=["tensor", "view", "slice", "numpy", "detached", "autograd"],
)
def test_what_somebody_holds_is_never_written_over(lazy: LazyRows, held) -> None:
    reader = RowReader()
    first = reader.read(lazy, np.array([0, 1]))
    place = first.data_ptr()
    kept = held(first)
    del first
    others = [reader.read(lazy, np.array([3, 4])).data_ptr() for _ in range(3)]
    assert place not in others
    del kept
    assert place in [reader.read(lazy, np.array([3, 4])).data_ptr() for _ in range(3)]


def test_gradients_do_not_see_later_batches(lazy: LazyRows) -> None:
    source = BatchSource({"t1w": lazy})
    weight = torch.ones((), requires_grad=True)
    x = source.read(np.array([0, 1])).inputs["t1w"]
    loss = (weight * x).square().sum()
    expected = 2 * float(x.square().sum())
    del x
    for rows in picks():
        source.read(rows)
    loss.backward()
    assert float(weight.grad) == pytest.approx(expected, rel=1e-6)


def test_batches_that_are_all_kept_are_all_right(lazy: LazyRows) -> None:
    source = BatchSource({"t1w": lazy}, targets={"mask": lazy}).subset(np.arange(5))
    rows = list(picks())
    for batch, wanted in zip([source.read(r) for r in rows], rows, strict=True):
        for tensor in (batch.inputs["t1w"], batch.targets["mask"]):
            np.testing.assert_array_equal(tensor[:, 0].numpy(), lazy.take(wanted, "float32"))
