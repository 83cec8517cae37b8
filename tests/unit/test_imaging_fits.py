"""What is fitted finds what was put in: a receive field, an affine transform, a brain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from imaging_files import brain_in_mni, write_nifti
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from benchmark.imaging.bias import correct_bias
from benchmark.imaging.extraction import brain_mask, brain_ml, given_mask
from benchmark.imaging.itk import array_of, image_of, matrix_of
from benchmark.imaging.registration import register
from benchmark.imaging.scan import Scan, ScanError
from benchmark.imaging.template import template

SimpleITK = pytest.importorskip("SimpleITK", reason="the group `imaging` is not installed")
pytest.importorskip("deepbet", reason="the group `imaging` is not installed")


def moved_template(turn: tuple[float, float, float], size: tuple[float, float, float]):
    """The template as a scan of 3 mm voxels elsewhere in space, and the matrix from MNI to it."""
    from_mni = np.eye(4)
    shear = np.array([[1, 0.03, 0], [0, 1, -0.04], [0, 0, 1]])
    turned = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    from_mni[:3, :3] = turned @ np.diag(size) @ shear
    from_mni[:3, 3] = [12, -20, 35]
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (from_mni @ [0, -17, 5, 1])[:3] - [120, 135, 120]
    whole = template()
    to_template = np.linalg.inv(whole.affine) @ np.linalg.inv(from_mni) @ affine
    matrix, offset = to_template[:3, :3], to_template[:3, 3]
    data = affine_transform(whole.data, matrix, offset, output_shape=(80, 90, 80), order=1)
    return data, affine, from_mni


def brain_points() -> np.ndarray:
    whole = template()
    voxels = np.argwhere(whole.data[::10, ::10, ::10] > 20) * 10
    return np.c_[voxels @ whole.affine[:3, :3].T + whole.affine[:3, 3], np.ones(len(voxels))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("turn", "size"),
    [((0, 0, 0), (1.0, 1.0, 1.0)), ((15, 6, -8), (0.93, 1.0, 0.88)), ((-28, -9, 12), (1.1,) * 3)],
    ids=["in place", "turned", "chin down"],
)
def test_a_known_affine_is_recovered(turn, size) -> None:
    data, affine, from_mni = moved_template(turn, size)
    fit = register(data, affine)
    points = brain_points()
    off = np.linalg.norm((points @ (fit.from_mni - from_mni).T)[:, :3], axis=1)
    assert off.max() < 0.5, "mm, anywhere in the brain"
    assert fit.magnification == pytest.approx(1 / np.linalg.det(from_mni[:3, :3]), rel=0.01)
    assert fit.correlation > 0.99


@pytest.mark.slow
def test_the_same_scan_gives_the_same_matrix() -> None:
    data, affine, _ = moved_template((10, 0, 5), (1.0, 0.95, 0.9))
    np.testing.assert_array_equal(register(data, affine).from_mni, register(data, affine).from_mni)


def test_a_matrix_keeps_its_meaning_through_itk() -> None:
    """An ITK transform that maps LPS points is the RAS matrix that maps the same points."""
    rng = np.random.default_rng(0)
    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix((np.eye(3) + rng.normal(0, 0.1, (3, 3))).ravel().tolist())
    transform.SetCenter(rng.normal(0, 20, 3).tolist())
    transform.SetTranslation(rng.normal(0, 20, 3).tolist())
    point = rng.normal(0, 50, 3)
    flip = np.array([-1, -1, 1])
    expected = flip * transform.TransformPoint((flip * point).tolist())
    np.testing.assert_allclose((matrix_of(transform) @ [*point, 1])[:3], expected)


def test_an_image_keeps_its_place_through_itk() -> None:
    affine = np.array([[0, 0, 2.0, 5], [3, 0, 0, -7], [0, 4, 0, 9], [0, 0, 0, 1]])
    data = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    image = image_of(data, affine)
    np.testing.assert_array_equal(array_of(image), data)
    world = np.array(image.TransformIndexToPhysicalPoint((1, 2, 3))) * [-1, -1, 1]
    np.testing.assert_allclose(world, (affine @ [1, 2, 3, 1])[:3])


@pytest.mark.slow
def test_n4_flattens_a_known_field() -> None:
    data, mask, affine = brain_in_mni(4.0)
    axes = [np.linspace(-1, 1, n) for n in data.shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    field = np.exp(0.25 * x - 0.2 * y + 0.2 * z * z + 0.15 * x * y)
    biased = Scan(np.asfortranarray(data * field, dtype=np.float32), affine, "")
    flat, found = correct_bias(biased, mask)
    clean = Scan(np.asfortranarray(data), affine, "")
    own, _ = correct_bias(clean, mask)  # N4 takes some of the anatomy for a field, always the same
    before = np.std(np.log(field[mask]))
    after = np.std(np.log(flat[mask] / own[mask]))
    assert after < 0.25 * before
    assert found[mask].mean() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(flat * found, np.clip(biased.data, 0, None), rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_the_network_finds_the_brain_in_a_head_of_shells() -> None:
    """The template in a skull of two shells: what is found is the brain."""
    from scipy.ndimage import binary_dilation

    data, mask, affine = brain_in_mni(2.0)
    skull = binary_dilation(mask, iterations=4)
    scalp = binary_dilation(skull, iterations=3) & ~skull
    head = np.where(scalp, 210.0, data) + np.random.default_rng(0).normal(0, 2, data.shape)
    scan = Scan(np.asfortranarray(head, dtype=np.float32), affine, "")
    found = brain_mask(scan)
    overlap = 2 * (found & mask).sum() / (found.sum() + mask.sum())
    assert overlap > 0.9
    assert brain_ml(found, scan) == pytest.approx(brain_ml(mask, scan), rel=0.15)


def test_no_brain_is_an_error() -> None:
    data = np.zeros((40, 40, 40), np.float32)
    data[18:22, 18:22, 18:22] = 100.0
    with pytest.raises(ScanError, match="brain"):
        brain_mask(Scan(np.asfortranarray(data), np.diag([4.0, 4, 4, 1]), ""))


def test_a_given_mask_is_turned_with_its_scan(tmp_path: Path) -> None:
    from benchmark.imaging.orientation import to_ras
    from benchmark.imaging.reading import read_scan

    affine = np.array([[0, 0, -6.0, 60], [-6, 0, 0, 60], [0, 6, 0, -60], [0, 0, 0, 1]])
    rng = np.random.default_rng(0)
    data = rng.random((20, 20, 20)).astype(np.float32)
    raw = read_scan(write_nifti(tmp_path / "a.nii", data, affine))
    path = write_nifti(tmp_path / "m.nii", (data > 0.5).astype(np.uint8), affine)
    scan = to_ras(raw)
    mask = given_mask(scan, path, raw)
    np.testing.assert_array_equal(mask, scan.data > 0.5)
    with pytest.raises(ScanError, match="same grid"):
        given_mask(scan, write_nifti(tmp_path / "o.nii", data, np.diag([6.0, 6, 6, 1])), raw)
