"""The control that sees the brain's outline sees nothing within."""

from __future__ import annotations

import numpy as np

from baselines.voxel_svm.model import outlines


def ball(radius: float, inside: float) -> np.ndarray:
    """A shell of brightness 1 around a core, in 20 x 20 x 20 voxels."""
    grid = np.linalg.norm(np.indices((20, 20, 20)) - 9.5, axis=0)
    return np.where(grid < radius, np.where(grid < radius - 3, inside, 1.0), 0.0)


def test_a_hole_and_what_is_inside_change_nothing() -> None:
    seen = outlines(np.stack([ball(8, 0.0), ball(8, 0.5), ball(8, 1.0)]))
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2])
    assert np.array_equal(seen[0], (ball(8, 1.0) > 0).astype(np.float32))


def test_size_and_shape_are_seen_and_brightness_is_not() -> None:
    small, large, bright = outlines(np.stack([ball(6, 1.0), ball(8, 1.0), 300 * ball(8, 1.0)]))
    assert small.sum() < large.sum()
    assert np.array_equal(large, bright)
