"""Circular inputs and fits on the wrong people."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.errors import LeakageError
from benchmark.leakage import check_fit_ids, check_inputs, check_reports, find_twins
from benchmark.leakage.images import block_means
from benchmark.leakage.inputs import states
from benchmark.splitting import Fold
from benchmark.tasks import TASKS, get_task
from benchmark.tracks import SOURCES, TRACKS

FOLD = Fold(train=("sub-1", "sub-2"), validation=("sub-3",), test=("sub-4", "sub-5"))


def test_no_track_gives_a_forbidden_column_except_age_where_age_is_asked() -> None:
    for task in TASKS.values():
        for track, sources in TRACKS.items():
            columns = {c for source in sources for c in SOURCES[source].columns}
            if task.name == "brain_age":
                columns -= {"age_years", "age_transformed"}
            check_inputs(columns, task, sources - task.forbidden_sources)
            assert not columns & {"cdr_global", "diagnosis", "impaired"}, track


@pytest.mark.parametrize(
    ("task", "column"),
    [("dx3", "cdr_global"), ("brain_age", "age_years"), ("impaired", "diagnosis")],
)
def test_circular_inputs_are_refused(task: str, column: str) -> None:
    with pytest.raises(LeakageError, match=f"task '{task}': circular inputs {column}: they define"):
        check_inputs(["sex", column, "mmse"], get_task(task))


def test_a_source_that_states_the_label_is_refused() -> None:
    with pytest.raises(LeakageError, match="circular inputs report: they define the label"):
        check_inputs(["sex"], get_task("brain_age"), ["t1w", "report"])


def test_reports_that_state_a_label_defining_scale_are_refused() -> None:
    task = get_task("dx3")
    check_reports(["Mother had dementia. MMSE 27.", None, "Word finding is slow."], task)
    with pytest.raises(LeakageError, match="2 of 3 reports state cdr_global"):
        check_reports(["CDR 0.5", "clinical Dementia Rating of 1", "fine", None], task)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("mmse", "MMSE 27."),
        ("mmse", "mmse=27/30"),
        ("mmse", "MMSE27"),
        ("mmse", "MMSE:\n\t27"),
        ("mmse", "MMSE approx. 27"),
        ("mmse", "The MMSE by Dr. Smith was 24."),
        ("mmse", "Mini-mental state examination score today was 24."),
        ("mmse", "minimental: 19"),
        ("mmse", "She scored 27 on the MMSE."),
        ("mmse", "27/30 on MMSE"),
        ("mmse", "27 points of 30 in the mini mental state examination"),
        ("mmse", "MMSE twenty-seven of thirty"),
        ("mmse", "MMSE in 2019"),  # in doubt
        ("cdr_global", "CDR 0.5"),
        ("cdr_global", "CDR: 0,5"),
        ("cdr_global", "clinical dementia rating of 1"),
        ("cdr_global", "Clinical Dementia Rating of one"),
        ("cdr_global", "rated 0.5 by CDR"),
        ("cdr_global", "global CDR, given here for the first time, is 2"),
    ],
)
def test_a_stated_scale_is_found(column: str, text: str) -> None:
    assert states(text, column)
    assert states(f"Lives alone. {text} Forgets names.", column)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("mmse", "MMSE was not done."),
        ("mmse", "Mini-mental state examination declined"),
        ("mmse", "MMSE was not done. Had 3 falls last year."),
        ("mmse", "Aged 72. MMSE declined!"),
        ("mmse", "CDR 0.5. MMSE not done."),
        ("mmse", "A man of 72 years. The mini-mental could not be given? Asked again."),
        ("mmse", "Scored 27 of 30."),
        (
            "mmse",
            "MMSE could not be given since the hearing aid had been left at home, at 72 years.",
        ),
        ("cdr_global", "CDR is pending."),
        ("cdr_global", "MMSE 27. CDR was not rated."),
        ("cdr_global", "No clinical dementia rating today.\nSleeps 8 hours."),
    ],
)
def test_a_scale_that_is_only_named_is_none(column: str, text: str) -> None:
    assert not states(text, column)


def test_a_fit_on_training_people_passes() -> None:
    check_fit_ids(["sub-2"], FOLD)
    check_fit_ids(FOLD.train, FOLD)


def test_a_fit_on_other_people_is_refused_with_their_parts() -> None:
    with pytest.raises(
        LeakageError,
        match=r"scaling was fitted on 3 people .*: sub-3 \(validation\), sub-4 \(test\), "
        r"sub-9 \(in no part\)",
    ):
        check_fit_ids(["sub-1", "sub-9", "sub-4", "sub-3"], FOLD, what="scaling")


def test_long_lists_are_cut_and_counted() -> None:
    fold = Fold(train=(), validation=(), test=tuple(f"sub-{i:02d}" for i in range(30)))
    with pytest.raises(LeakageError, match=r"sub-09 \(test\) and 20 more\."):
        check_fit_ids(fold.test, fold)


def test_block_means_equal_a_plain_loop() -> None:
    volume = np.random.default_rng(0).normal(size=(10, 8, 19))
    edges = [np.linspace(0, n, 9).astype(int) for n in volume.shape]
    expected = [
        volume[
            edges[0][i] : edges[0][i + 1],
            edges[1][j] : edges[1][j + 1],
            edges[2][k] : edges[2][k + 1],
        ].mean()
        for i in range(8)
        for j in range(8)
        for k in range(8)
    ]
    np.testing.assert_allclose(block_means(volume), expected)


def test_strangers_who_differ_little_from_a_common_brain_are_no_twins() -> None:
    rng = np.random.default_rng(0)
    brain = rng.normal(size=(16, 16, 16))
    people = brain + rng.normal(0, 0.02, (60, 16, 16, 16))
    assert np.corrcoef(people.reshape(60, -1)).min() > 0.99  # the pictures themselves
    assert find_twins(people, range(60), [f"sub-{i:02d}" for i in range(60)]) == []


def test_two_large_heads_are_no_twins_but_one_head_twice_is() -> None:
    """Head size outweighs everything else by which people differ, as in real volumes."""
    rng = np.random.default_rng(0)
    larger = np.add.outer(np.add.outer(*2 * [np.linspace(-1, 1, 16)]), np.linspace(-1, 1, 16))
    sizes = rng.normal(0, 0.2, 60)
    sizes[[4, 9]] = 1.5
    volumes = 5 + sizes[:, None, None, None] * larger + rng.normal(0, 0.3, (60, 16, 16, 16))
    names = [f"sub-{i:02d}" for i in range(60)]
    raw = np.array([block_means(volume) for volume in volumes]) - 5
    assert np.corrcoef(raw[4], raw[9])[0, 1] > 0.95  # alike at first sight
    assert find_twins(volumes, range(60), names) == []
    volumes[20] = 1.1 * volumes[4]
    assert [(t.first, t.second) for t in find_twins(volumes, range(60), names)] == [
        ("sub-04", "sub-20")
    ]


def test_twins_are_found_beyond_one_chunk() -> None:
    volumes = np.random.default_rng(0).normal(size=(700, 8, 8, 8)).astype(np.float32)
    volumes[600] = volumes[3] * 2.0
    volumes[650] = volumes[640]
    found = find_twins(volumes, range(700), [f"sub-{i:03d}" for i in range(700)])
    assert [(t.first, t.second, t.exact) for t in found] == [
        ("sub-003", "sub-600", False),
        ("sub-640", "sub-650", True),
    ]


def test_no_images_no_twins() -> None:
    assert find_twins(np.zeros((0, 8, 8, 8)), [], []) == []
