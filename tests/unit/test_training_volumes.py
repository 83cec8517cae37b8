"""Volumes on one scale: against resampling voxel by voxel, and the measured head size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from benchmark.imaging.regions import REFERENCE_HEAD_MM3, measure_regions
from benchmark.training.volumes import NormaliseVolumes, head_scale, rescaled, white_level

SPACING = 5.0


def brain(radius_mm: float, gain: float = 1.0, shape: tuple[int, int, int] = (32, 40, 32)):
    """A ball of white matter under a rim of grey, (1, 1, D, H, W)."""
    axes = [(np.arange(n) - (n - 1) / 2) * SPACING for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2)
    white = np.clip((radius_mm - 10 - distance) / SPACING + 0.5, 0, 1)
    whole = np.clip((radius_mm - distance) / SPACING + 0.5, 0, 1)
    return torch.from_numpy(gain * (0.75 * whole + 0.25 * white)).float()[None, None]


@pytest.mark.parametrize("scale", [0.85, 1.0, 1.13])
def test_rescaling_is_resampling_about_the_centre(scale: float) -> None:
    x = torch.rand(2, 1, 6, 9, 7, generator=torch.Generator().manual_seed(0))
    ours = rescaled(x, torch.tensor([scale, 1.0]))
    axes = [(np.arange(n) - (n - 1) / 2) * scale + (n - 1) / 2 for n in (6, 9, 7)]
    points = np.meshgrid(*axes, indexing="ij")
    wanted = map_coordinates(x[0, 0].numpy(), points, order=1, mode="grid-constant", cval=0.0)
    np.testing.assert_allclose(ours[0, 0].numpy(), wanted, atol=1e-5)
    torch.testing.assert_close(ours[1], x[1])


def test_head_size_is_the_one_that_is_measured() -> None:
    x = brain(70.0)
    measured = measure_regions(x[0, 0].numpy(), SPACING)["head_size_mm3"]
    wanted = (measured / REFERENCE_HEAD_MM3) ** (1 / 3)
    assert float(head_scale(x, SPACING)[0]) == pytest.approx(wanted, rel=0.01)


def test_heads_of_two_sizes_look_alike_afterwards() -> None:
    def difference(normalise: NormaliseVolumes) -> float:
        return float((normalise(brain(66.0)) - normalise(brain(74.0))).abs().mean())

    assert difference(NormaliseVolumes(SPACING)) < 0.5 * difference(NormaliseVolumes(0.0))


@pytest.mark.parametrize("gain", [0.01, 0.8, 250.0])
def test_gain_does_not_matter(gain: float) -> None:
    normalise = NormaliseVolumes(SPACING)
    torch.testing.assert_close(normalise(brain(70.0, gain)), normalise(brain(70.0)))
    assert float(white_level(brain(70.0, gain))[0]) == pytest.approx(gain, rel=0.05)


def test_an_empty_volume_stays_empty_and_a_person_depends_on_nobody_else() -> None:
    x = torch.cat([torch.zeros(1, 1, 32, 40, 32), brain(70.0), brain(66.0)])
    together = NormaliseVolumes(SPACING)(x)
    assert not together[0].any()
    assert torch.isfinite(together).all()
    torch.testing.assert_close(NormaliseVolumes(SPACING)(x[1:2]), together[1:2])
