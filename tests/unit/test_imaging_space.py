"""Axes, the store's grids, sampling and intensities against closed forms."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from benchmark.cohorts.phantom.config import SHAPES
from benchmark.errors import ConfigError
from benchmark.imaging.grid import block_mean, sample, store_affine, store_shape
from benchmark.imaging.intensity import scale_intensity
from benchmark.imaging.orientation import axis_codes, to_ras
from benchmark.imaging.regions import GRID_CENTRE_MM
from benchmark.imaging.scan import Scan, ScanError

CODES = sorted(
    "".join(sides)
    for order in itertools.permutations(("LR", "PA", "IS"))
    for sides in itertools.product(*order)
)


def test_there_are_48_ways_to_lie() -> None:
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("codes", CODES)
def test_every_way_to_lie_comes_back_to_the_same_place(codes: str) -> None:
    """Each voxel holds its own world coordinates, so that the turned scan can be read off."""
    shape = (5, 6, 7)
    spacing = np.diag([2.0, 3.0, 4.0, 1.0])
    affine = np.linalg.inv(inv_ornt_aff(axcodes2ornt(tuple(codes)), shape)) @ spacing
    assert axis_codes(affine) == codes
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    mixed = world @ np.array([1.0, 100.0, 10000.0])
    turned = to_ras(Scan(mixed, affine, ""))
    assert axis_codes(turned.affine) == "RAS"
    assert turned.data.dtype == np.float32
    index = np.stack(np.meshgrid(*map(np.arange, turned.data.shape), indexing="ij"), axis=-1)
    world = index @ turned.affine[:3, :3].T + turned.affine[:3, 3]
    np.testing.assert_allclose(turned.data, world @ np.array([1.0, 100.0, 10000.0]))


def test_an_oblique_scan_is_not_interpolated() -> None:
    c, s = np.cos(0.3), np.sin(0.3)
    affine = np.array([[0, 2 * c, 2 * s, 1], [2, 0, 0, 2], [0, -2 * s, 2 * c, 3], [0, 0, 0, 1]])
    data = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    turned = to_ras(Scan(data, affine, ""))
    assert turned.data.shape == (5, 4, 6)
    np.testing.assert_array_equal(np.sort(turned.data, axis=None), np.sort(data, axis=None))
    np.testing.assert_allclose(turned.affine[:3, 0], [2 * c, 0, -2 * s])


def test_the_grids_are_those_of_the_phantoms() -> None:
    assert {spacing: store_shape(spacing) for spacing in SHAPES} == dict(SHAPES)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 1.5, 3.0, 7.3])
def test_any_spacing_covers_the_field_about_the_same_point(spacing: float) -> None:
    shape = store_shape(spacing)
    assert all(n % 2 == 0 for n in shape)
    assert np.all(np.array(shape) * spacing >= [160, 192, 160])
    assert np.all(np.array(shape) * spacing < np.array([160, 192, 160]) + 2 * spacing)
    centre = store_affine(shape, spacing) @ [*((np.array(shape) - 1) / 2), 1]
    np.testing.assert_allclose(centre[:3], GRID_CENTRE_MM)


@pytest.mark.parametrize("spacing", [0.0, -2.0, float("nan"), 40.0])
def test_a_spacing_out_of_range_is_refused(spacing: float) -> None:
    with pytest.raises(ConfigError, match=r"expected 0\.5 to 16"):
        store_shape(spacing)


def test_block_means() -> None:
    fine = np.arange(64.0).reshape(4, 4, 4)
    np.testing.assert_allclose(block_mean(fine, 2)[0, 0, 0], np.mean([0, 1, 4, 5, 16, 17, 20, 21]))


@pytest.mark.parametrize("spacing", [2.0, 5.0])
def test_a_linear_image_is_sampled_exactly(spacing: float) -> None:
    """Linear interpolation and means over voxels leave a linear image as it is."""
    affine = store_affine((130, 150, 130), 2.0)
    index = np.stack(np.meshgrid(*map(np.arange, (130, 150, 130)), indexing="ij"), axis=-1)
    slope = np.array([0.2, -0.1, 0.3])
    image = (index @ affine[:3, :3].T + affine[:3, 3]) @ slope + 200.0
    found = sample(image, affine, np.eye(4), spacing)
    shape = store_shape(spacing)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    grid = store_affine(shape, spacing)
    expected = (index @ grid[:3, :3].T + grid[:3, 3]) @ slope + 200.0
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_shift_moves_the_image_and_pads_with_zeros() -> None:
    shape = store_shape(4.0)
    affine = store_affine(shape, 4.0)
    image = np.random.default_rng(0).random(shape).astype(np.float32) + 1
    from_mni = np.eye(4)
    from_mni[0, 3] = 160.0 + 8.0  # the scan's world lies that far to the right
    assert not sample(image, affine, from_mni, 4.0).any()
    from_mni[0, 3] = 80.0
    half = sample(image, affine, from_mni, 4.0)
    assert half[:19].all()
    assert not half[21:].any()


def test_a_larger_scan_is_cropped_to_the_same_voxels() -> None:
    inner = store_shape(2.0)
    large = tuple(n + 20 for n in inner)
    image = np.random.default_rng(0).random(large).astype(np.float32)
    whole = sample(image, store_affine(large, 2.0), np.eye(4), 2.0)
    cut = image[9:-9, 9:-9, 9:-9]
    again = sample(cut, store_affine(cut.shape, 2.0), np.eye(4), 2.0)
    np.testing.assert_allclose(whole, again, atol=1e-6)


def test_the_quantile_of_the_brain_is_one_and_air_is_zero() -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((12, 12, 12))
    image[3:9, 3:9, 3:9] = rng.uniform(300, 900, (6, 6, 6))
    image[0, 0, :5] = 20.0  # below a tenth of white matter: no brain
    scaled = scale_intensity(image)
    assert scaled.dtype == np.float16
    assert np.quantile(scaled[scaled > 0].astype(np.float64), 0.85) == pytest.approx(1, abs=1e-3)
    assert not scaled[0].any()
    np.testing.assert_allclose(
        scaled[3:9], (image / np.quantile(image[image > 100], 0.85))[3:9], rtol=1e-3
    )


@pytest.mark.parametrize("factor", [1e-4, 1.0, 1e4])
def test_units_of_the_scanner_do_not_matter(factor: float) -> None:
    image = np.random.default_rng(1).uniform(0.5, 1.5, (6, 6, 6))
    np.testing.assert_allclose(scale_intensity(factor * image), scale_intensity(image), rtol=2e-3)


def test_phantoms_keep_their_intensities() -> None:
    """The phantoms' own scaling is a fixed point of this one."""
    from benchmark.cohorts.phantom.scanner import scan
    from benchmark.cohorts.phantom.sites import Site

    rng = np.random.default_rng(0)
    clean = np.zeros((16, 20, 16))
    clean[3:13, 3:17, 3:13] = rng.uniform(0.3, 1.0, (10, 14, 10))
    site = Site("a", 3.0, 1.0, (1.0, 1.0), 0.01, np.zeros(9))
    made = scan(clean, site, 10.0, rng)
    np.testing.assert_allclose(scale_intensity(made)[made > 0.11], made[made > 0.11], rtol=5e-3)


def test_an_empty_brain_is_refused() -> None:
    with pytest.raises(ScanError, match="no intensity"):
        scale_intensity(np.zeros((4, 4, 4)))


def test_there_is_no_module_named_data_here() -> None:
    """deepbet installs a top-level package of that name."""
    root = Path(__file__).resolve().parents[2]
    assert not (root / "data" / "__init__.py").exists()
