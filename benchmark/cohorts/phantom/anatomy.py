"""Template, region masks and displacement basis: built once per process, from shipped maps.

The displacement that changes one region's volume is the gradient of the solution of Poisson's
equation for the region's smoothed window, so that its divergence is the window and is zero
elsewhere. A region's volume is measured over the tissue inside the window.
Random shape comes from smooth modes whose mean divergence in every region is projected out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter, grey_dilation, map_coordinates

from benchmark.errors import CohortError
from benchmark.imaging.regions import REGIONS, grid_axes_mm, region_window

__all__ = ["FIELD_SHAPE", "FIELD_SPACING_MM", "Anatomy", "Template", "gradient", "load_anatomy"]

FIELD_SPACING_MM: Final = 4.0
FIELD_SHAPE: Final = (42, 52, 42)  # 168 x 208 x 168 mm: covers the field of view
_PADDED: Final = (64, 72, 64)  # periodic images of a region stay far away
_SOURCE_SMOOTHING_MM: Final = 3.0
_MODE_SEED: Final = 20_09  # the modes are part of the model, the same in every cohort
_MODE_SCALES_MM: Final = ((28.0, 16), (14.0, 24))  # smoothness, number of modes
_TEMPLATE_SPACING_MM: Final = 2.0
_AXES: Final = (-3, -2, -1)
_LEAST_DENSITY: Final = 0.05


@dataclass(frozen=True, slots=True)
class Template:
    """ICBM152 2009a at 2 mm, white matter = 1 (float32 arrays of one shape).

    Attributes:
        t1: Intensity; zero outside the brain.
        hippocampus: Soft mask of the hippocampi.
        origin_mm: MNI coordinates of voxel (0, 0, 0).
        spacing_mm: Voxel size.
    """

    t1: np.ndarray
    hippocampus: np.ndarray
    origin_mm: np.ndarray
    spacing_mm: float

    def sample(self, image: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
        """Linear interpolation of an image at MNI points (3, ...)."""
        origin = self.origin_mm.reshape(3, *(1,) * (points_mm.ndim - 1))
        index = (points_mm - origin.astype(np.float32)) * np.float32(1 / self.spacing_mm)
        values: np.ndarray = map_coordinates(image, index, order=1, mode="constant")
        return values


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Everything about space that all participants share.

    Attributes:
        template: The template.
        axes_mm: MNI coordinates of the 4 mm field grid along each axis.
        region_basis: Unit displacement of each region, (R, 3, X, Y, Z), mm.
        shape_basis: Random shape modes, rms 1 mm in the brain, (M, 3, X, Y, Z).
        density: Soft region masks divided by their sums at ``voxels``, (R, V).
        voxels: Flat indices of field voxels in any region, (V,).
        near_brain: Flat indices of field voxels within 8 mm of the brain.
        region_gradient: Gradients of the region basis at ``voxels``, (R, 3, 3, V).
        shape_gradient: The same for the shape modes, (M, 3, 3, V).
        coupling: Mean divergence in region i of region basis j, (R, R).
    """

    template: Template
    axes_mm: tuple[np.ndarray, ...]
    region_basis: np.ndarray
    shape_basis: np.ndarray
    density: np.ndarray
    voxels: np.ndarray
    near_brain: np.ndarray
    region_gradient: np.ndarray
    shape_gradient: np.ndarray
    coupling: np.ndarray


def gradient(field: np.ndarray) -> np.ndarray:
    """Central differences of displacement fields (..., 3, X, Y, Z) in mm on the field grid.

    Returns:
        d u_i / d x_j, shape (..., 3, 3, X, Y, Z); one-sided at the border.
    """
    parts = np.gradient(field, FIELD_SPACING_MM, axis=(-3, -2, -1))
    stacked: np.ndarray = np.stack(parts, axis=-4).astype(np.float32)
    return stacked


def _read(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """One shipped map (T1, grey or white matter) as float32 and its affine."""
    import nibabel
    import nilearn

    name = f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
    path = Path(nilearn.__file__).parent / "datasets" / "data" / name
    if not path.is_file():
        raise CohortError(
            f"{path}: the ICBM152 template that nilearn ships is not there; reinstall the locked "
            "requirements with `make setup`"
        )
    image = nibabel.load(path)
    return np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine)


def _half(image: np.ndarray) -> np.ndarray:
    """From 1 mm to 2 mm: light smoothing, then every second voxel."""
    halved: np.ndarray = gaussian_filter(image, 0.7)[::2, ::2, ::2]
    return halved


def _load_template() -> tuple[Template, np.ndarray, np.ndarray]:
    """The template, region masks (R, ...) and T1, all at 2 mm."""
    t1, affine = _read("t1")
    grey, white = _read("gm")[0] / 255.0, _read("wm")[0] / 255.0
    t1 = _half(t1 / np.median(t1[white > 0.9]))
    grey, white = _half(grey), _half(white)
    origin = affine[:3, 3]
    axes = tuple(origin[a] + _TEMPLATE_SPACING_MM * np.arange(t1.shape[a]) for a in range(3))
    window = region_window(REGIONS[0], axes, margin_mm=0.0)
    hippocampus = (window * (grey > 0.3)).astype(np.float32)
    tissue = {"grey": grey, "csf": np.clip((0.75 - t1) / 0.44, 0, 1) * (t1 > 0.05)}
    template = Template(t1, hippocampus, origin, _TEMPLATE_SPACING_MM)
    masks = []
    for region in REGIONS:
        soft = region_window(region, axes, margin_mm=0.0)
        masks.append(soft * tissue.get(region.tissue, t1 > 0.3))
    return template, np.stack(masks).astype(np.float32), t1


def _field_grid(
    template: Template, images: np.ndarray
) -> tuple[tuple[np.ndarray, ...], list[np.ndarray]]:
    """Axes of the field grid and each image on it."""
    axes = grid_axes_mm(FIELD_SHAPE, FIELD_SPACING_MM)
    points = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    smoothed = [gaussian_filter(image, 1.0) for image in images]
    return axes, [template.sample(image, points) for image in smoothed]


def _wave_numbers(shape: tuple[int, int, int]) -> np.ndarray:
    """Angular wave numbers of the half spectrum of a field grid, (3, X, Y, Z // 2 + 1), 1/mm."""
    steps = [2 * np.pi * np.fft.fftfreq(n, FIELD_SPACING_MM) for n in shape[:2]]
    steps.append(2 * np.pi * np.fft.rfftfreq(shape[2], FIELD_SPACING_MM))
    return np.stack(np.meshgrid(*steps, indexing="ij"))


def _poisson_displacement(mask: np.ndarray) -> np.ndarray:
    """Displacement with divergence ``mask`` (less its mean), (3, X, Y, Z), by FFT."""
    pad = [(0, p - n) for p, n in zip(_PADDED, mask.shape, strict=True)]
    spectrum = np.fft.rfftn(np.pad(mask, pad))
    k = _wave_numbers(_PADDED)
    # Eigenvalues of the central difference, so that the discrete divergence is the mask.
    derivative = np.sin(k * FIELD_SPACING_MM) / FIELD_SPACING_MM
    square = (derivative**2).sum(axis=0)
    small = square < 1e-9
    square[small] = 1.0
    smooth = np.exp(-0.5 * (k**2).sum(axis=0) * _SOURCE_SMOOTHING_MM**2)
    potential = np.where(small, 0.0, -spectrum * smooth / square)
    field = np.stack([np.fft.irfftn(1j * d * potential, s=_PADDED, axes=_AXES) for d in derivative])
    x, y, z = mask.shape
    return field[:, :x, :y, :z].astype(np.float32)


def _shape_modes(brain: np.ndarray) -> np.ndarray:
    """Smooth random displacements, rms 1 mm over the brain, (M, 3, X, Y, Z)."""
    rng = np.random.Generator(np.random.PCG64(_MODE_SEED))
    modes = []
    square = (_wave_numbers(FIELD_SHAPE) ** 2).sum(axis=0)
    for scale_mm, count in _MODE_SCALES_MM:
        smooth = np.exp(-0.5 * square * scale_mm**2)
        for _ in range(count):
            noise = np.fft.rfftn(rng.standard_normal((3, *FIELD_SHAPE)), axes=_AXES)
            field = np.fft.irfftn(noise * smooth, s=FIELD_SHAPE, axes=_AXES)
            field -= field[:, brain].mean(axis=1)[:, None, None, None]  # no shift of the head
            modes.append(field / np.sqrt((field[:, brain] ** 2).sum(axis=0).mean()))
    return np.stack(modes).astype(np.float32)


@lru_cache(maxsize=1)
def load_anatomy() -> Anatomy:
    """Builds the shared geometry (about two seconds; kept for the process).

    Raises:
        CohortError: The template files are missing from the nilearn installation.
    """
    template, masks, t1 = _load_template()
    axes, on_grid = _field_grid(template, np.concatenate([masks, t1[None]]))
    densities = np.stack(on_grid[:-1])
    densities = np.where(densities > _LEAST_DENSITY, densities, 0.0).astype(np.float32)
    sources = [
        # Ventricles are thin: the tissue around them takes part, so that the field stays gentle.
        grey_dilation(density, 5)
        if region.tissue == "csf"
        else region_window(region, axes, margin_mm=3.0)
        for region, density in zip(REGIONS, densities, strict=True)
    ]
    brain = on_grid[-1] > 0.2
    regions = np.stack([_poisson_displacement(s) for s in sources])
    modes = _shape_modes(brain)
    voxels = np.flatnonzero(densities.any(axis=0))
    density = densities.reshape(len(densities), -1)[:, voxels]
    density = density / density.sum(axis=1, keepdims=True)
    region_gradient, shape_gradient = (
        np.stack([gradient(field).reshape(3, 3, -1)[..., voxels] for field in basis])
        for basis in (regions, modes)
    )
    coupling, leak = (
        (np.trace(g, axis1=1, axis2=2) @ density.T).T for g in (region_gradient, shape_gradient)
    )
    correction = np.linalg.solve(coupling, leak).T.astype(np.float32)  # (M, R)
    modes = modes - np.tensordot(correction, regions, axes=1)
    shape_gradient = shape_gradient - np.tensordot(correction, region_gradient, axes=1)
    return Anatomy(
        template=template,
        axes_mm=axes,
        region_basis=regions,
        shape_basis=modes,
        density=density,
        voxels=voxels,
        near_brain=np.flatnonzero(grey_dilation(brain.astype(np.uint8), 5)),
        region_gradient=region_gradient,
        shape_gradient=shape_gradient,
        coupling=coupling,
    )
