"""One participant, made alone: bit for bit the one in the cohort."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from scipy.ndimage import map_coordinates
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmark.cohorts.phantom import deformation
from benchmark.cohorts.phantom.anatomy import Anatomy, load_anatomy
from benchmark.cohorts.phantom.config import PhantomConfig
from benchmark.cohorts.phantom.people import sample_people, stream
from benchmark.cohorts.phantom.report import write_report
from benchmark.cohorts.phantom.scanner import scan
from benchmark.cohorts.phantom.sites import SiteTable, make_sites
from benchmark.cohorts.phantom.timeseries import make_series
from benchmark.imaging.regions import GRID_CENTRE_MM, REGION_NAMES, grid_axes_mm

__all__ = ["Participant", "make_one", "report_of"]

_SHAPE_STREAM, _SCANNER_STREAM, _FMRI_STREAM, _REPORT_STREAM = 1, 2, 3, 4
_SHAPE_SD_MM: Final = 0.40  # per mode; about 2.4 mm in all
_SHAPE_HALVINGS: Final = 3
_HIPPOCAMPUS_BOX_MM: Final = ((-48.0, 48.0), (-52.0, 10.0), (-40.0, 12.0))


@dataclass(frozen=True, slots=True)
class Participant:
    """One person as generated.

    Attributes:
        latents: One row of :func:`~benchmark.cohorts.phantom.people.sample_people`.
        volume: float16 (D, H, W), or None where the T1-weighted image is missing.
        segmentation: uint8 (D, H, W): 1 = hippocampus, or None.
        change: float16 (D, H, W) true log volume change due to disease, or None.
        fmri: float16 (T, R), or None.
        report: (text, text with an MMSE sentence), or None.
    """

    latents: pd.Series
    volume: np.ndarray | None
    segmentation: np.ndarray | None
    change: np.ndarray | None
    fmri: np.ndarray | None
    report: tuple[str, str] | None


@lru_cache(maxsize=8)
def _sites(config: PhantomConfig) -> SiteTable:
    return make_sites(config)


def _fine_factor(spacing_mm: float) -> int:
    """Fine voxels per store voxel along each axis: the fine grid is 2 or 2.5 mm."""
    return {10.0: 4, 5.0: 2, 4.0: 2, 2.0: 1}[spacing_mm]


def _block_mean(fine: np.ndarray, factor: int) -> np.ndarray:
    d, h, w = (n // factor for n in fine.shape)
    blocks = fine.reshape(d, factor, h, factor, w, factor)
    mean: np.ndarray = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    return mean


def _template_points(
    anatomy: Anatomy, inverse: np.ndarray, axes: tuple[np.ndarray, ...]
) -> np.ndarray:
    """MNI points phi(x) for a grid of (head-size corrected) points x, (3, ...), float32."""
    moved = deformation.resample_field(inverse, anatomy.axes_mm, axes)
    for a in range(3):
        shape = [1, 1, 1]
        shape[a] = -1
        moved[a] += axes[a].astype(np.float32).reshape(shape)
    return moved


def _unscaled_axes(
    shape: tuple[int, int, int], spacing_mm: float, scale: float
) -> tuple[np.ndarray, ...]:
    """Store coordinates divided by head size about the grid's centre."""
    axes = grid_axes_mm(shape, spacing_mm)
    return tuple((a - c) / scale + c for a, c in zip(axes, GRID_CENTRE_MM, strict=True))


def _segmentation(
    anatomy: Anatomy, points: np.ndarray, axes: tuple[np.ndarray, ...], factor: int
) -> np.ndarray:
    fine = np.zeros(points.shape[1:], dtype=np.float32)
    box = tuple(
        slice(int(np.searchsorted(a, low)), int(np.searchsorted(a, high)))
        for a, (low, high) in zip(axes, _HIPPOCAMPUS_BOX_MM, strict=True)
    )
    fine[box] = anatomy.template.sample(anatomy.template.hippocampus, points[(slice(None), *box)])
    return (_block_mean(fine, factor) > 0.5).astype(np.uint8)


def _change_map(
    config: PhantomConfig, anatomy: Anatomy, disease: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """Log Jacobian of the disease part, carried to the person's space."""
    if not disease.any():
        return np.zeros(config.shape, dtype=np.float16)
    amplitudes, _ = deformation.solve_amplitudes(anatomy, disease, None)
    field = deformation.displacement(anatomy, amplitudes, None)
    change = np.log(deformation.jacobian_determinant(field))
    origin = np.array([a[0] for a in anatomy.axes_mm], dtype=np.float32).reshape(3, 1, 1, 1)
    step = np.float32(anatomy.axes_mm[0][1] - anatomy.axes_mm[0][0])
    carried = map_coordinates(change, (points - origin) / step, order=1)
    stored: np.ndarray = carried.astype(np.float16)
    return stored


def _amplitudes(
    anatomy: Anatomy, targets: np.ndarray, modes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Region amplitudes, and shape amplitudes halved until nothing folds.

    Shape carries no regional change, so halving it (about one person in a thousand) changes
    nothing that the oracle knows.
    """
    for _ in range(_SHAPE_HALVINGS):
        try:
            return deformation.solve_amplitudes(anatomy, targets, modes)[0], modes
        except deformation.FoldError:
            modes = modes / 2
    return deformation.solve_amplitudes(anatomy, targets, modes)[0], modes


def _images(config: PhantomConfig, latents: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    anatomy = load_anatomy()
    number = int(latents["number"])
    targets = latents[[f"r_{r}" for r in REGION_NAMES]].to_numpy(dtype=np.float64)
    disease = latents[[f"disease_{r}" for r in REGION_NAMES]].to_numpy(dtype=np.float64)
    modes = stream(config, number, _SHAPE_STREAM).standard_normal(len(anatomy.shape_basis))
    modes = modes * _SHAPE_SD_MM
    amplitudes, modes = _amplitudes(anatomy, targets, modes)
    inverse = deformation.inverse_displacement(
        deformation.displacement(anatomy, amplitudes, modes), anatomy.near_brain
    )
    factor = _fine_factor(config.spacing_mm)
    d, h, w = (n * factor for n in config.shape)
    scale = float(np.exp(latents["head_log"]))
    axes = _unscaled_axes((d, h, w), config.spacing_mm / factor, scale)
    points = _template_points(anatomy, inverse, axes)
    clean = _block_mean(anatomy.template.sample(anatomy.template.t1, points), factor)
    segmentation = _segmentation(anatomy, points, axes, factor)
    store_points = _template_points(
        anatomy, inverse, _unscaled_axes(config.shape, config.spacing_mm, scale)
    )
    change = _change_map(config, anatomy, disease, store_points)
    site = _sites(config).sites[int(latents["site"])]
    rng = stream(config, number, _SCANNER_STREAM)
    return scan(clean, site, config.spacing_mm, rng), segmentation, change


def report_of(config: PhantomConfig, latents: pd.Series) -> tuple[str, str]:
    """The person's report without and with the MMSE sentence."""
    rng = stream(config, int(latents["number"]), _REPORT_STREAM)
    return write_report(config.parameters.axis, latents, rng)


def make_one(config: PhantomConfig, number: int) -> Participant:
    """Makes one participant.

    Args:
        config: The cohort.
        number: Participant number, from 1.

    Returns:
        The person, equal bit for bit to the one that :func:`prepare` stores.

    Raises:
        CohortError: A deformation would fold.
    """
    latents = sample_people(config, [number]).iloc[0]
    volume = segmentation = change = fmri = report = None
    with threadpool_limits(1):  # a fixed order of summation
        if latents["has_t1w"]:
            volume, segmentation, change = _images(config, latents)
        if latents["has_fmri"]:
            coupling = latents[["coupling_dmn", "coupling_motor"]].to_numpy(dtype=np.float64)
            fmri = make_series(coupling, stream(config, number, _FMRI_STREAM))
    if latents["has_report"]:
        report = report_of(config, latents)
    return Participant(latents, volume, segmentation, change, fmri, report)
