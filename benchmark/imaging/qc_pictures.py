"""Slices of a prepared brain, with outlines, as PNG.

Nothing outside the brain mask is drawn, and nothing farther than a centimetre from the template's
brain whatever the mask holds, so that no picture can show a face.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, zoom

from benchmark.imaging.grid import store_shape
from benchmark.imaging.regions import grid_axes_mm
from benchmark.imaging.steps import QC_SPACING_MM
from benchmark.imaging.template import template_on_grid

__all__ = ["picture"]

_AXIAL_MM: Final = (-34, -14, 6, 26, 50)
_CORONAL_MM: Final = (-60, -18, 20, 44)
_SAGITTAL_MM: Final = (-26, 2, 42)
_ENLARGE: Final = 2
_PER_ROW: Final = 6
_HEIGHT, _WIDTH = 192, 200
_MASK, _TEMPLATE = (255, 150, 40), (70, 200, 255)
_BRIGHTEST: Final = 1.35
_MARGIN_VOXELS: Final = 5
_WHITE_LEVEL: Final = 0.87  # between the template's grey and white matter


@lru_cache(maxsize=1)
def _template() -> tuple[np.ndarray, np.ndarray]:
    """The template at 2 mm, white matter about 1, and where anything may be drawn."""
    image = template_on_grid(QC_SPACING_MM)
    scaled = image / np.quantile(image[image > 0], 0.85)
    return scaled, binary_dilation(scaled > 0.1, iterations=_MARGIN_VOXELS)


def _planes(image: np.ndarray) -> list[np.ndarray]:
    """Slices as seen from above, from the front and from the left; up is up."""
    shape = store_shape(QC_SPACING_MM)
    axes = grid_axes_mm(shape, QC_SPACING_MM)

    def at(axis: int, mm: float) -> int:
        return int(np.argmin(np.abs(axes[axis] - mm)))

    planes = [image[:, :, at(2, mm)] for mm in _AXIAL_MM]
    planes += [image[:, at(1, mm), :] for mm in _CORONAL_MM]
    planes += [image[at(0, mm), :, :] for mm in _SAGITTAL_MM]
    return [np.flipud(zoom(plane.T, _ENLARGE, order=1)) for plane in planes]


def _outline(inside: np.ndarray) -> np.ndarray:
    edge: np.ndarray = inside & ~binary_erosion(inside)
    return edge


def _row(
    planes: list[np.ndarray], edges: list[np.ndarray], colour: tuple[int, int, int]
) -> np.ndarray:
    tiles = []
    for plane, edge in zip(planes, edges, strict=True):
        grey = (np.clip(plane / _BRIGHTEST, 0.0, 1.0) * 255).astype(np.uint8)
        tile = np.repeat(grey[..., None], 3, axis=2)
        tile[edge] = colour
        top, left = _HEIGHT - tile.shape[0], _WIDTH - tile.shape[1]
        padding = ((top // 2, top - top // 2), (left // 2, left - left // 2), (0, 0))
        tiles.append(np.pad(tile, padding))
    return np.concatenate(tiles, axis=1)


def picture(qc_brain: np.ndarray, qc_mask: np.ndarray) -> bytes:
    """Draws twelve slices twice: with the mask's outline, and with the template's outlines.

    Args:
        qc_brain: Brain at 2 mm, (80, 96, 80), zero outside its mask.
        qc_mask: Share of each voxel inside the mask, same shape.

    Returns:
        A PNG of four rows, six slices each, mask and template in turn: axial at z -34, -14, 6, 26,
        50, coronal at y -60; coronal at y -18, 20, 44, sagittal at x -26, 2, 42 mm. The person's
        left is on the left.
    """
    from PIL import Image

    reference, allowed = _template()
    inside = (qc_mask > 0.5) & allowed
    white = np.quantile(qc_brain[qc_brain > 0], 0.85)
    planes = _planes(np.where(inside, qc_brain / white, 0.0))
    mask_edges = [_outline(p > 0.5) for p in _planes(inside.astype(np.float32))]
    template_edges = [_outline(p > 0.3) | _outline(p > _WHITE_LEVEL) for p in _planes(reference)]
    rows = []
    for half in (slice(0, _PER_ROW), slice(_PER_ROW, None)):
        rows.append(_row(planes[half], mask_edges[half], _MASK))
        rows.append(_row(planes[half], template_edges[half], _TEMPLATE))
    image = Image.fromarray(np.concatenate(rows)).quantize(64)
    packed = BytesIO()
    image.save(packed, "PNG", optimize=True)
    return packed.getvalue()
