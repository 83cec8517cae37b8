"""Numbers that tell a bad preparation: size, likeness to the template, distance from the cohort.

The likeness is Pearson's correlation inside the template's brain after both images are smoothed by
a Gaussian of 8 mm FWHM, the scale at which an affine transform can align two people (folds differ
below it). It is also given without smoothing. The distance is the mean over the same voxels, taken
about 4 mm apart, of the absolute difference from the cohort's median; its modified z-score
(Iglewicz & Hoaglin 1993) marks outliers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmark.imaging.steps import QC_SPACING_MM
from benchmark.imaging.template import template_on_grid

__all__ = [
    "BRAIN_ML",
    "BRAIN_ML_IN_MNI",
    "LEAST_CORRELATION",
    "MOST_DISTANCE_Z",
    "MOST_OUTSIDE",
    "distances",
    "flags",
    "likeness",
    "sparse_brain",
]

BRAIN_ML: Final = (1000.0, 1900.0)
BRAIN_ML_IN_MNI: Final = (1500.0, 2400.0)  # the template holds 1,890
LEAST_CORRELATION: Final = 0.80
MOST_OUTSIDE: Final = 0.005  # share of the brain that the grid does not hold
MOST_DISTANCE_Z: Final = 3.5
_LEAST_COHORT: Final = 5
_SMOOTH_FWHM_MM: Final = 8.0
_STRIDE: Final = 2


@lru_cache(maxsize=1)
def _reference() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image = template_on_grid(QC_SPACING_MM)
    brain = image > 0.1 * np.quantile(image[image > 0], 0.85)
    return image[brain], _smooth(image)[brain], brain


def _smooth(image: np.ndarray) -> np.ndarray:
    smoothed: np.ndarray = gaussian_filter(image, _SMOOTH_FWHM_MM / QC_SPACING_MM / 2.3548)
    return smoothed


def likeness(qc_brain: np.ndarray) -> tuple[float, float]:
    """Correlation with the template within the brain, smoothed by 8 mm and as it is.

    Args:
        qc_brain: Brain at 2 mm, (80, 96, 80).
    """
    sharp, smooth, brain = _reference()
    return (
        float(np.corrcoef(_smooth(qc_brain)[brain], smooth)[0, 1]),
        float(np.corrcoef(qc_brain[brain], sharp)[0, 1]),
    )


def sparse_brain(qc_brain: np.ndarray) -> np.ndarray:
    """Voxels of the template's brain about 4 mm apart, white matter about 1, float32 (V,)."""
    scale = np.quantile(qc_brain[qc_brain > 0], 0.85)
    thin = (slice(None, None, _STRIDE),) * 3
    values: np.ndarray = (qc_brain / scale)[thin][_reference()[2][thin]].astype(np.float32)
    return values


def distances(brains: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each scan from the cohort's median image.

    Args:
        brains: Output of :func:`sparse_brain`, one per scan.

    Returns:
        Mean absolute differences (N,) and their modified z-scores (N,), NaN below five scans.
    """
    stack = np.stack(brains)
    distance = np.abs(stack - np.median(stack, axis=0)).mean(axis=1)
    if len(stack) < _LEAST_COHORT:
        return distance, np.full(len(stack), np.nan)
    middle = np.median(distance)
    spread = np.median(np.abs(distance - middle))
    return distance, 0.6745 * (distance - middle) / max(float(spread), 1e-6)


def flags(
    brain_ml: float, correlation: float, outside: float, distance_z: float, in_mni: bool
) -> str:
    """What to look at, "; " between findings, "" where nothing stands out.

    Args:
        brain_ml: Volume of the mask.
        correlation: The smoothed one of :func:`likeness`.
        outside: Share of the brain that the grid does not hold.
        distance_z: From :func:`distances`; NaN never stands out.
        in_mni: Whether the scan came in MNI space, where all brains have about the template's size.
    """
    low, high = BRAIN_ML_IN_MNI if in_mni else BRAIN_ML
    found = []
    if not low <= brain_ml <= high:
        found.append(f"brain of {brain_ml:.0f} ml, expected {low:.0f} to {high:.0f}")
    if not correlation >= LEAST_CORRELATION:
        found.append(f"correlation {correlation:.3f}, expected {LEAST_CORRELATION:.2f} or more")
    if outside > MOST_OUTSIDE:
        found.append(f"{100 * outside:.1f} % of the brain lies outside the grid")
    if distance_z > MOST_DISTANCE_Z:
        found.append(f"far from the cohort's median (z {distance_z:.1f})")
    return "; ".join(found)
