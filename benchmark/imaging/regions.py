"""Regional volumes measured from a stored volume: fixed MNI windows times tissue intensity.

Each region is a union of ellipsoids in MNI space, given here by approximate centres and half
axes; no atlas file is needed. The measurement normalises intensity within the volume, removes
head size by an isotropic scaling about the grid's centre, and sums a tissue membership in each
window, so the values depend on the stored, noisy volume alone.

References:
    Structure centres after Mai, Majtanik, Paxinos, *Atlas of the Human Brain*, 4th ed. (2015), and
    the ICBM152 2009a average (Fonov et al. 2011, 10.1016/j.neuroimage.2010.07.033).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from scipy.ndimage import map_coordinates

from benchmark.errors import CohortError

__all__ = [
    "CSF_LEVEL",
    "GRID_CENTRE_MM",
    "REFERENCE_HEAD_MM3",
    "REGIONS",
    "REGION_NAMES",
    "Region",
    "grid_axes_mm",
    "measure_regions",
    "region_window",
]

GRID_CENTRE_MM: Final = (0.0, -17.0, 5.0)  # MNI point at the centre of every store grid
REFERENCE_HEAD_MM3: Final = 1.80e6  # what the measurement gives for the undeformed template
CSF_LEVEL: Final = 0.31  # ICBM152 2009a T1 medians over white matter's
_GREY, _WHITE = 0.75, 1.0


@dataclass(frozen=True, slots=True)
class Region:
    """One bilateral region.

    Attributes:
        name: Its column is ``<name>_mm3``.
        tissue: "grey", "csf" or "any": what the structure consists of.
        counted: "grey", "csf" or "any" (grey and white): what its measurement sums. At 5 mm the
            parenchyma in the window follows a structure next to fluid better than its grey matter.
        ellipsoids: (centre x y z, half axes x y z) in mm, MNI; x is mirrored.
    """

    name: str
    tissue: str
    counted: str
    ellipsoids: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]


REGIONS: Final = (
    Region(
        "hippocampus",
        "grey",
        "any",
        (
            ((24, -13, -20), (8, 7, 7)),
            ((28, -22, -15), (7, 8, 7)),
            ((29, -32, -8), (7, 8, 7)),
        ),
    ),
    Region("amygdala", "grey", "grey", (((23, -3, -19), (9, 7, 8)),)),
    Region("entorhinal", "grey", "any", (((24, -8, -33), (9, 11, 7)),)),
    Region("lateral_temporal", "grey", "any", (((57, -22, -16), (13, 32, 15)),)),
    Region("precuneus", "grey", "grey", (((6, -60, 38), (11, 17, 20)),)),
    Region("inferior_parietal", "grey", "grey", (((48, -54, 40), (15, 18, 16)),)),
    Region("frontal", "grey", "any", (((24, 42, 18), (24, 22, 28)),)),
    Region("occipital", "grey", "any", (((14, -86, 4), (18, 16, 20)),)),
    Region(
        "lateral_ventricles",
        "csf",
        "csf",
        (((8, 10, 12), (11, 24, 13)), ((15, -22, 18), (14, 24, 13)), ((26, -42, 8), (11, 16, 13))),
    ),
    Region("thalamus", "grey", "any", (((11, -19, 8), (9, 13, 8)),)),
    Region("putamen", "grey", "grey", (((26, 3, 1), (7, 16, 10)),)),
    Region("caudate", "grey", "any", (((13, 11, 10), (7, 14, 11)),)),
    Region("substantia_nigra", "any", "any", (((9, -18, -13), (6, 7, 6)),)),
    Region("cerebellum", "grey", "any", (((25, -62, -38), (26, 24, 18)),)),
)
REGION_NAMES: Final = tuple(region.name for region in REGIONS)


def grid_axes_mm(shape: tuple[int, int, int], spacing_mm: float) -> tuple[np.ndarray, ...]:
    """MNI coordinates of voxel centres along i, j and k of a store grid, in mm."""
    return tuple(
        (np.arange(n) - (n - 1) / 2) * spacing_mm + centre
        for n, centre in zip(shape, GRID_CENTRE_MM, strict=True)
    )


def region_window(region: Region, axes_mm: tuple[np.ndarray, ...], margin_mm: float) -> np.ndarray:
    """Soft window of a region on a grid, in [0, 1].

    Args:
        region: The region.
        axes_mm: Coordinates along each axis, mm.
        margin_mm: Added to every half axis.

    Returns:
        Array (len(i), len(j), len(k)): 1 inside, falling linearly to 0 over about 4 mm at the rim.
    """
    x, y, z = (
        a.reshape(s) for a, s in zip(axes_mm, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    window = np.zeros(tuple(len(a) for a in axes_mm))
    for (cx, cy, cz), half in region.ellipsoids:
        rx, ry, rz = (h + margin_mm for h in half)
        for side in (-1.0, 1.0):
            radius = np.sqrt(
                ((x - side * cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2
            )
            inside = np.clip(0.5 + (1.0 - radius) * min(rx, ry, rz) / 4.0, 0.0, 1.0)
            np.maximum(window, inside, out=window)
    return window


@lru_cache(maxsize=4)
def _windows(shape: tuple[int, int, int], spacing_mm: float) -> np.ndarray:
    """Windows of all regions, (R, D*H*W), float32."""
    axes = grid_axes_mm(shape, spacing_mm)
    stack = [region_window(region, axes, margin_mm=2.0).ravel() for region in REGIONS]
    return np.stack(stack).astype(np.float32)


def _white_level(volume: np.ndarray) -> float:
    """Median intensity of the brightest quarter of brain voxels: white matter."""
    brain = volume[volume > 0.15 * np.quantile(volume, 0.98)]
    if brain.size == 0:
        return float("nan")
    return float(np.median(brain[brain >= np.quantile(brain, 0.75)]))


def _membership(intensity: np.ndarray) -> dict[str, np.ndarray]:
    """Piecewise-linear tissue fractions of a normalised volume."""
    brain = np.clip(intensity / CSF_LEVEL, 0.0, 1.0)
    csf = np.clip((_GREY - intensity) / (_GREY - CSF_LEVEL), 0.0, 1.0) * brain
    white = np.clip((intensity - _GREY) / (_WHITE - _GREY), 0.0, 1.0)
    return {"csf": csf, "grey": brain - csf - white, "any": brain - csf}


def _to_reference(volume: np.ndarray, scale: float) -> np.ndarray:
    """Resamples a volume about the grid's centre so that the head has the reference size."""
    centre = [(n - 1) / 2 for n in volume.shape]
    axes = [(np.arange(n) - c) * scale + c for n, c in zip(volume.shape, centre, strict=True)]
    points = np.meshgrid(*axes, indexing="ij")
    resampled: np.ndarray = map_coordinates(volume, points, order=1, mode="constant")
    return resampled


def measure_regions(volume: np.ndarray, spacing_mm: float) -> dict[str, float]:
    """Measures head size and regional volumes in one stored volume.

    Args:
        volume: T1-weighted brain on a store grid, axes i j k in RAS+, shape (D, H, W).
        spacing_mm: Voxel size.

    Returns:
        ``<region>_mm3`` for each of :data:`REGION_NAMES`, in the person's own size, and
        ``head_size_mm3``. All are NaN for an empty volume.

    Raises:
        CohortError: The array is not three-dimensional.
    """
    if volume.ndim != 3:
        raise CohortError(f"expected one volume of shape (D, H, W), got shape {volume.shape}")
    shape: tuple[int, int, int] = volume.shape
    image = volume.astype(np.float32)
    level = _white_level(image)
    voxel_mm3 = spacing_mm**3
    names = [f"{name}_mm3" for name in REGION_NAMES]
    if not level > 0:
        return {**dict.fromkeys(names, float("nan")), "head_size_mm3": float("nan")}
    brain = np.clip(image / (level * CSF_LEVEL), 0.0, 1.0)
    head = float(brain.sum(dtype=np.float64)) * voxel_mm3
    scale = (head / REFERENCE_HEAD_MM3) ** (1 / 3)
    tissue = _membership(_to_reference(image / level, scale))
    windows = _windows(shape, spacing_mm)
    factor = voxel_mm3 * scale**3
    values = {
        name: float(windows[row] @ tissue[region.counted].ravel()) * factor
        for row, (name, region) in enumerate(zip(names, REGIONS, strict=True))
    }
    return {**values, "head_size_mm3": head}
