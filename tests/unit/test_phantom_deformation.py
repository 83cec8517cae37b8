"""Deformations are invertible, and change volumes by what they were asked to."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.cohorts.phantom import PhantomConfig, deformation
from benchmark.cohorts.phantom.anatomy import FIELD_SPACING_MM, Anatomy, load_anatomy
from benchmark.cohorts.phantom.participant import _SHAPE_SD_MM
from benchmark.cohorts.phantom.people import sample_people
from benchmark.errors import CohortError
from benchmark.imaging.regions import REGION_NAMES

COLUMNS = [f"r_{name}" for name in REGION_NAMES]


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return load_anatomy()


def _field(anatomy: Anatomy, targets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    modes = _SHAPE_SD_MM * np.random.default_rng(seed).standard_normal(len(anatomy.shape_basis))
    amplitudes, realised = deformation.solve_amplitudes(anatomy, targets, modes)
    return deformation.displacement(anatomy, amplitudes, modes), realised


def test_the_most_changed_of_many_people_still_unfold(anatomy: Anatomy) -> None:
    people = sample_people(PhantomConfig("x", "memory", 3000, 8), range(1, 3001))
    extremes = {people[name].abs().idxmax() for name in COLUMNS[:9]}
    for row in sorted(extremes):
        targets = people.loc[row, COLUMNS].to_numpy(dtype=np.float64)
        field, realised = _field(anatomy, targets, int(row))
        assert deformation.jacobian_determinant(field).min() > 0
        inverse = deformation.inverse_displacement(field, anatomy.near_brain)
        inside = deformation.jacobian_determinant(inverse).ravel()[anatomy.near_brain]
        assert np.quantile(inside, 0.0005) > 0
        np.testing.assert_allclose(realised, targets, atol=0.02)


def test_realised_change_is_the_volume_change_of_a_mask(anatomy: Anatomy) -> None:
    """Independent check: count the mask's volume after resampling by the inverse map."""
    targets = np.zeros(len(REGION_NAMES))
    k = REGION_NAMES.index("cerebellum")
    targets[k], targets[REGION_NAMES.index("hippocampus")] = -0.25, -0.3
    field, _ = _field(anatomy, targets, 1)
    inverse = deformation.inverse_displacement(field, anatomy.near_brain)
    mask = np.zeros(field.shape[1:], dtype=np.float32)
    mask.ravel()[anatomy.voxels] = anatomy.density[k]
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in mask.shape), indexing="ij"))
    moved = deformation.map_coordinates(mask, grid + inverse / FIELD_SPACING_MM, order=1)
    assert np.log(moved.sum() / mask.sum()) == pytest.approx(-0.25, abs=0.03)


def test_the_inverse_undoes_the_map(anatomy: Anatomy) -> None:
    targets = np.zeros(len(REGION_NAMES))
    targets[REGION_NAMES.index("lateral_ventricles")] = 0.9
    field, _ = _field(anatomy, targets, 2)
    inverse = deformation.inverse_displacement(field, anatomy.near_brain)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in field.shape[1:]), indexing="ij"))
    points = grid + inverse / FIELD_SPACING_MM
    back = np.stack(
        [deformation.map_coordinates(c, points, order=1, mode="nearest") for c in field]
    )
    residual = np.abs(inverse + back).reshape(3, -1)[:, anatomy.near_brain]
    assert np.quantile(residual, 0.999) < 0.05  # mm


def test_shape_modes_carry_no_regional_volume_change(anatomy: Anatomy) -> None:
    divergence = np.trace(anatomy.shape_gradient, axis1=1, axis2=2)  # (M, V)
    means = divergence @ anatomy.density.T
    assert np.abs(means).max() < 1e-4 * np.abs(divergence).max()


def test_a_folding_request_is_refused(anatomy: Anatomy) -> None:
    targets = np.zeros(len(REGION_NAMES))
    targets[0] = -6.0
    with pytest.raises(CohortError, match="folds"):
        deformation.solve_amplitudes(anatomy, targets, None)
