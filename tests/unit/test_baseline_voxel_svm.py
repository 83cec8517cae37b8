"""The linear machine on voxels where a class has few training people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC
from training_toy import context, toy_people

from baselines.voxel_svm.info import Config
from baselines.voxel_svm.model import VoxelSvm, platt_folds
from benchmark.errors import MethodError
from benchmark.samples import Samples
from benchmark.tasks import get_task

DX3 = get_task("dx3")


def people(*counts: int) -> Samples:
    """So many people of each class."""
    everybody = toy_people(120, 0)
    y, known = everybody.labels("dx3")
    rows = [np.flatnonzero(known & (y == k))[:n] for k, n in enumerate(counts)]
    assert [len(r) for r in rows] == list(counts)
    return everybody.subset(np.sort(np.concatenate(rows)))


def fitted(folder: Path, train: Samples) -> VoxelSvm:
    method = VoxelSvm(Config(penalties=[1e-3]))
    method.fit(train, toy_people(20, 1), [DX3], context(folder))
    return method


@pytest.mark.parametrize(("least", "folds"), [(2, 2), (3, 3), (5, 5), (9, 5)])
def test_a_small_class_has_fewer_folds(tmp_path: Path, least: int, folds: int) -> None:
    train, new = people(8, least, 9), toy_people(7, 2).without_labels()
    assert platt_folds(train, DX3) == folds
    method = fitted(tmp_path, train)
    got = method.predict(new, [DX3])["dx3"].probabilities
    machine = SVC(kernel="linear", C=1e-3, class_weight="balanced")
    reference = CalibratedClassifierCV(machine, cv=folds, ensemble=False)
    reference.fit(method.features(train), train.labels("dx3")[0].astype(int))
    np.testing.assert_array_equal(got, reference.predict_proba(method.features(new)))


def test_a_class_with_one_person_is_named(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"class MCI of dx3 has 1 training person.* needs 2"):
        fitted(tmp_path, people(8, 1, 9))


def test_a_class_with_nobody_is_answered_with_zero(tmp_path: Path) -> None:
    method = fitted(tmp_path, people(8, 0, 9))
    got = method.predict(toy_people(7, 2).without_labels(), [DX3])["dx3"].probabilities
    assert not got[:, 1].any()


def test_training_volumes_have_a_root_mean_square_norm_of_100(tmp_path: Path) -> None:
    train = people(8, 9, 9)
    norms = np.square(fitted(tmp_path, train).features(train)).sum(axis=1)
    assert norms.sum() / (train.n - 1) == pytest.approx(100.0**2, rel=1e-4)
