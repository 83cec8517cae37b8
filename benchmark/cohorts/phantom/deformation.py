"""One person's deformation: amplitudes, inverse, Jacobian.

``psi(y) = y + w(y)`` takes the template to the person's shape; the volume of a region changes by
the mean of ``log det D psi`` over it. ``w`` is linear in the amplitudes; Newton steps with a
constant matrix make the realised means equal the targets. Resampling needs the inverse
``phi = psi^-1``, found by Newton steps (fixed-point iteration diverges where a ventricle doubles
in width).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.ndimage import map_coordinates

from benchmark.cohorts.phantom.anatomy import FIELD_SPACING_MM, Anatomy, gradient
from benchmark.errors import CohortError

__all__ = [
    "FoldError",
    "displacement",
    "interpolation_matrix",
    "inverse_displacement",
    "jacobian_determinant",
    "resample_field",
    "solve_amplitudes",
]

_FOLD: Final = 0.05  # volumes shrink to a twentieth at most
_NEWTON_STEPS: Final = 5
_INVERSE_STEPS: Final = 5
_LEAST_JACOBIAN: Final = 0.05  # only steadies the Newton steps


class FoldError(CohortError):
    """A deformation is not safely invertible."""


def _determinant(g: np.ndarray) -> np.ndarray:
    """Determinant of I + g for gradients (3, 3, ...)."""
    a, b, c = 1 + g[0, 0], g[0, 1], g[0, 2]
    d, e, f = g[1, 0], 1 + g[1, 1], g[1, 2]
    h, i, j = g[2, 0], g[2, 1], 1 + g[2, 2]
    determinant: np.ndarray = a * (e * j - f * i) - b * (d * j - f * h) + c * (d * i - e * h)
    return determinant


def jacobian_determinant(field: np.ndarray) -> np.ndarray:
    """Determinant of D(y + field) on the field grid; field (3, X, Y, Z) in mm -> (X, Y, Z)."""
    return _determinant(gradient(field))


def _combine(amplitudes: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Sum of basis fields; one matrix-vector product of fixed shape."""
    flat = amplitudes.astype(np.float32) @ basis.reshape(len(basis), -1)
    combined: np.ndarray = flat.reshape(basis.shape[1:])
    return combined


def solve_amplitudes(
    anatomy: Anatomy, targets: np.ndarray, shape_amplitudes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes of the region basis that realise target log volume changes.

    Args:
        anatomy: Shared geometry.
        targets: Mean log Jacobian wanted in each region, (R,).
        shape_amplitudes: Amplitudes of the shape modes in mm, (M,); None for none.

    Returns:
        (amplitudes (R,), realised means (R,)).

    Raises:
        FoldError: The map nearly folds in a region: a Jacobian determinant is below 0.05.
    """
    fixed: np.ndarray = np.zeros(1, dtype=np.float32)
    if shape_amplitudes is not None:
        fixed = _combine(shape_amplitudes, anatomy.shape_gradient)
    amplitudes = np.linalg.solve(anatomy.coupling, targets)
    realised = np.zeros_like(targets)
    for step in range(_NEWTON_STEPS + 1):
        jacobian = _determinant(_combine(amplitudes, anatomy.region_gradient) + fixed)
        if float(jacobian.min()) <= _FOLD:
            raise FoldError(
                f"a deformation folds: least Jacobian {float(jacobian.min()):.3f}, expected more "
                f"than {_FOLD}; the effect sizes or shape amplitudes are too large"
            )
        realised = anatomy.density.astype(np.float64) @ np.log(jacobian)
        if step < _NEWTON_STEPS:
            amplitudes = amplitudes + np.linalg.solve(anatomy.coupling, targets - realised)
    return amplitudes, realised


def displacement(
    anatomy: Anatomy, amplitudes: np.ndarray, shape_amplitudes: np.ndarray | None
) -> np.ndarray:
    """Displacement w on the field grid, (3, X, Y, Z), mm."""
    field = _combine(amplitudes, anatomy.region_basis)
    if shape_amplitudes is not None:
        field = field + _combine(shape_amplitudes, anatomy.shape_basis)
    return field


def _inverse_gradient(field: np.ndarray) -> np.ndarray:
    """(I + grad w)^-1 on the field grid by Cramer's rule, (3, 3, X*Y*Z)."""
    g = gradient(field).reshape(3, 3, -1)
    m = g + np.eye(3, dtype=np.float32)[:, :, None]
    rows = [np.cross(m[(i + 1) % 3], m[(i + 2) % 3], axis=0) for i in range(3)]
    adjugate = np.stack(rows, axis=1)  # column i is the cross product of the other two rows
    inverted: np.ndarray = adjugate / np.maximum(_determinant(g), _LEAST_JACOBIAN)
    return inverted


def inverse_displacement(field: np.ndarray, near_brain: np.ndarray) -> np.ndarray:
    """Inverse displacement u, x + u(x) = psi^-1(x), on the field grid, by Newton steps.

    Args:
        field: w, (3, X, Y, Z), mm.
        near_brain: Flat indices of the voxels that matter; elsewhere u = -w.

    Returns:
        u, (3, X, Y, Z), mm.
    """
    shape = field.shape[1:]
    start = np.stack(np.unravel_index(near_brain, shape)).astype(np.float32)
    slopes = _inverse_gradient(field)
    last = np.array(shape, dtype=np.float32)[:, None] - 1
    inverse = -0.7 * field.reshape(3, -1)[:, near_brain]
    for _ in range(_INVERSE_STEPS):
        points = np.clip(start + inverse / np.float32(FIELD_SPACING_MM), 0, last)
        moved = np.stack([map_coordinates(c, points, order=1, mode="nearest") for c in field])
        nearest = np.ravel_multi_index(tuple(np.rint(points).astype(np.intp)), shape)
        residual = inverse + moved
        slope = slopes[:, :, nearest]
        inverse = inverse - (slope * residual[None]).sum(axis=1)
    result = -field.reshape(3, -1)
    result[:, near_brain] = inverse
    return result.reshape(field.shape)


def interpolation_matrix(axis_mm: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Cubic convolution weights from a regular axis to points, (P, A), float32.

    References:
        Keys 1981, IEEE TASSP, 10.1109/TASSP.1981.1163711, eq. 15.
    """
    step = axis_mm[1] - axis_mm[0]
    inside = np.clip(points_mm, axis_mm[0], axis_mm[-1])
    distance = np.abs((inside[:, None] - axis_mm[None, :]) / step)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    normalised: np.ndarray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def resample_field(
    field: np.ndarray, axes_mm: tuple[np.ndarray, ...], to_mm: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Cubic interpolation of fields (C, X, Y, Z) to another axis-aligned grid."""
    mx, my, mz = (interpolation_matrix(a, t) for a, t in zip(axes_mm, to_mm, strict=True))
    out = np.stack([(mx @ c.reshape(c.shape[0], -1)).reshape(-1, *c.shape[1:]) for c in field])
    out = np.matmul(my, out)
    result: np.ndarray = np.matmul(out, mz.T)
    return result
