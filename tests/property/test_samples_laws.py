"""Laws of subset and concat, for any people in any order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_cohort import EXTERNAL, TINY

from benchmark.runs.job import Workspace
from benchmark.samples import LazyRows, Samples, build_samples
from benchmark.samples.concat import concat_samples
from benchmark.store import Cohort
from benchmark.tasks import get_task
from benchmark.tracks import get_track

positions = st.lists(st.integers(0, 47), min_size=1, max_size=12).map(np.array)
FEW = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def samples(tiny_workspace: Workspace) -> Samples:
    return _all(tiny_workspace, TINY, 48, 0)


@pytest.fixture(scope="module")
def external(tiny_workspace: Workspace) -> Samples:
    return _all(tiny_workspace, EXTERNAL, 16, 1)


def _all(workspace: Workspace, name: str, n: int, code: int) -> Samples:
    cohort = Cohort(workspace.data / name)
    ids = list(cohort.index_visits["participant_id"][:n])
    tasks = [get_task("dx3"), get_task("conversion")]
    return build_samples(cohort, ids, get_track("all"), tasks, with_labels=True, code=code)


def equal(a: Samples, b: Samples) -> None:
    assert a.n == b.n
    pd.testing.assert_frame_equal(a.frame(), b.frame(), check_dtype=False)
    for name in a.arrays:
        np.testing.assert_array_equal(a.array(name), b.array(name))
    for task in ("dx3", "conversion"):
        np.testing.assert_array_equal(a.labels(task), b.labels(task))
    assert list(a.reports()) == list(b.reports())
    np.testing.assert_array_equal(a.cohort, b.cohort)
    for modality in a.available:
        np.testing.assert_array_equal(a.has(modality), b.has(modality))


@FEW
@given(first=positions, data=st.data())
def test_a_subset_of_a_subset_is_one_subset(samples: Samples, first: np.ndarray, data) -> None:
    second = np.array(data.draw(st.lists(st.integers(0, len(first) - 1), min_size=1, max_size=8)))
    equal(samples.subset(first).subset(second), samples.subset(first[second]))


@FEW
@given(mask=st.lists(st.booleans(), min_size=48, max_size=48).filter(any).map(np.array))
def test_a_mask_picks_what_its_positions_pick(samples: Samples, mask: np.ndarray) -> None:
    equal(samples.subset(mask), samples.subset(np.flatnonzero(mask)))


@FEW
@given(cut=st.integers(1, 47))
def test_cutting_and_joining_changes_nothing(samples: Samples, cut: int) -> None:
    parts = [samples.subset(np.arange(cut)), samples.subset(np.arange(cut, 48))]
    equal(concat_samples(parts), samples)


@FEW
@given(here=positions, there=st.lists(st.integers(0, 15), min_size=1, max_size=6).map(np.array))
def test_joining_cohorts_keeps_each_and_marks_what_one_lacks(
    samples: Samples, external: Samples, here: np.ndarray, there: np.ndarray
) -> None:
    a, b = samples.subset(here), external.subset(there)
    joint = concat_samples([a, b])
    equal(joint.subset(np.arange(len(here))), a)
    tail = joint.subset(np.arange(len(here), joint.n))
    np.testing.assert_array_equal(tail.volumes(), b.volumes())
    np.testing.assert_array_equal(tail.labels("dx3"), b.labels("dx3"))
    assert np.isnan(tail.array("snps")).all()
    assert not tail.has("genetic").any()
    assert set(tail.cohort) == {1}
    again = concat_samples([concat_samples([a, b]), a])
    equal(again, concat_samples([a, concat_samples([b, a])]))


@FEW
@given(
    rows=st.lists(st.integers(-1, 4), min_size=1, max_size=9).map(np.array),
    data=st.data(),
)
def test_rows_come_from_where_they_lie_and_missing_ones_are_zero(rows: np.ndarray, data) -> None:
    block = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows))))
    blocks = [np.arange(1.0, 11.0).reshape(5, 2), -np.arange(1.0, 11.0).reshape(5, 2)]
    taken = LazyRows(blocks, block, rows).take(np.arange(len(rows)))
    for k, row in enumerate(rows):
        expected = blocks[block[k]][row] if row >= 0 else [0, 0]
        np.testing.assert_array_equal(taken[k], expected)
