"""Agreement with the true change, and its controls."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from benchmark.saliency.agreement import (
    auprc,
    change_mask,
    mean_with_interval,
    person_scores,
    pointing,
    summarise,
)
from benchmark.saliency.controls import CONTROLS, GroupMaps, control_maps
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import get_task


def test_the_mask_is_the_fewest_voxels_that_hold_half_the_change() -> None:
    change = np.array([[-4.0, 3.0], [2.0, 1.0]])
    assert change_mask(change).tolist() == [[True, True], [False, False]]
    assert change_mask(change, 0.4).tolist() == [[True, False], [False, False]]
    assert change_mask(change, 1.0).all()


def test_ties_with_the_last_voxel_are_in_the_mask() -> None:
    assert change_mask(np.ones(4)).tolist() == [True] * 4
    assert not change_mask(np.zeros((2, 2))).any()


def test_auprc_is_that_of_absolute_saliency() -> None:
    rng = np.random.default_rng(0)
    saliency, mask = rng.normal(size=(5, 6, 4)), rng.random((5, 6, 4)) < 0.2
    expected = average_precision_score(mask.ravel(), np.abs(saliency).ravel())
    assert auprc(saliency, mask) == pytest.approx(expected)
    precision, recall, _ = precision_recall_curve(mask.ravel(), np.abs(saliency).ravel())
    assert auprc(saliency, mask) == pytest.approx(auc(recall, precision), abs=0.03)


def test_auprc_by_hand() -> None:
    """Order 4, -3, 2, 1 with hits at ranks 1 and 3: (1 + 2/3) / 2."""
    assert auprc(np.array([4, -3, 2, 1]), np.array([1, 0, 1, 0], bool)) == pytest.approx(5 / 6)


def test_a_constant_map_scores_the_share_of_true_voxels() -> None:
    mask = np.arange(10) < 3
    assert auprc(np.zeros(10), mask) == pytest.approx(0.3)
    assert pointing(np.zeros(10), mask) == pytest.approx(0.3)


def test_scores_within_a_region_forget_the_rest() -> None:
    mask, within = np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1], bool)
    assert auprc(np.array([1, 9, 3, 2]), mask, within) == 1.0
    assert pointing(np.array([1, 9, 3, 2]), mask, within) == 1.0
    assert pointing(np.array([1, 9, 3, 2]), mask) == 0.0
    assert np.isnan(auprc(np.ones(4), mask, ~mask))
    assert np.isnan(pointing(np.ones(4), np.zeros(4, bool)))


def test_pointing_takes_the_sign_away_and_shares_ties() -> None:
    mask = np.array([True, False, False])
    assert pointing(np.array([-3.0, 2.0, 1.0]), mask) == 1.0
    assert pointing(np.array([3.0, 3.0, 1.0]), mask) == 0.5


def test_the_interval_is_that_of_a_mean_over_people() -> None:
    values = np.arange(40.0)
    who = [f"sub-{i}" for i in range(40)]
    n, mean, low, high = mean_with_interval(np.append(values, np.nan), [*who, "sub-x"])
    assert (n, mean) == (40, 19.5)
    half = 1.96 * values.std(ddof=1) / np.sqrt(40)
    assert (low, high) == pytest.approx((19.5 - half, 19.5 + half), abs=0.4)
    n, mean, low, _ = mean_with_interval(np.array([2.0]), ["a"])
    assert (n, mean, np.isnan(low)) == (1, 2.0, True)


def test_a_summary_pairs_each_map_with_each_control() -> None:
    rows = []
    for i in range(12):
        change = np.zeros((3, 3, 3))
        change[1, 1, 1] = 1.0
        maps = {"own": change + 0.1, "random": np.ones((3, 3, 3))}
        who = {"participant_id": f"sub-{i}", "group": "AD" if i % 2 else "CN"}
        rows += [who | row for row in person_scores(maps, change, {"grid": None})]
    table = summarise(pd.DataFrame(rows), ["random"], n_resamples=200)
    assert set(table["group"]) == {"everybody", "AD", "CN"}
    lines = table[(table["group"] == "everybody") & (table["score"] == "auprc")]
    found = {(r["kind"], r["against"]): r["mean"] for r in lines.to_dict("records")}
    expected = {
        ("own", ""): 1.0,
        ("random", ""): 1 / 27,
        ("own", "random"): 26 / 27,
    }
    assert found == pytest.approx(expected)
    assert (table[table["group"] == "AD"]["n"] == 6).all()


def training_people(y: np.ndarray, volumes: np.ndarray, task: str) -> Samples:
    n = len(y)
    return Samples(
        n=n,
        arrays={"t1w": LazyRows([volumes], np.zeros(n, int), np.arange(n))},
        available={"t1w": np.ones(n, bool)},
        _labels={task: (y, ~np.isnan(y))},
        _targets={},
    )


def test_group_maps_are_means_and_t_statistics_of_training_people() -> None:
    from scipy.stats import pearsonr, ttest_ind

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90).astype(float)
    y[5] = np.nan
    x = rng.normal(size=(90, 2, 3, 2)).astype(np.float32)
    groups = GroupMaps.learn(training_people(y, x, "dx3"), get_task("dx3"))
    assert groups.reference == pytest.approx(x[y == 0].mean(axis=0), abs=1e-5)
    assert groups.mean == pytest.approx(x[~np.isnan(y)].mean(axis=0), abs=1e-5)
    expected = ttest_ind(x[y == 2], x[y == 0], equal_var=False).statistic
    assert groups.t == pytest.approx(expected, abs=1e-4)

    age = rng.normal(70, 8, 90)
    groups = GroupMaps.learn(training_people(age, x, "brain_age"), get_task("brain_age"))
    r = pearsonr(x[:, 1, 2, 0], age).statistic
    assert groups.t[1, 2, 0] == pytest.approx(r * np.sqrt(88 / (1 - r**2)), abs=1e-4)
    assert np.array_equal(groups.reference, groups.mean)


def test_controls_are_the_same_for_a_person_each_time() -> None:
    volume = np.zeros((2, 2, 2), dtype=np.float32)
    volume[0] = 1.0
    groups = GroupMaps(volume, volume * 2, volume * 3)
    found = control_maps(volume, "sub-1", groups)
    assert tuple(found) == CONTROLS
    assert np.array_equal(found["random"], control_maps(volume, "sub-1", groups)["random"])
    assert not np.array_equal(found["random"], control_maps(volume, "sub-2", groups)["random"])
    assert found["tissue"].tolist() == volume.tolist()
