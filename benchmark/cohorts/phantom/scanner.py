"""Scanner effects of a site: contrast, receive field, point spread and noise."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmark.cohorts.phantom.sites import Site

__all__ = ["scan"]

_PERSONAL_BIAS_SD: Final = 0.02
_PERSONAL_GAMMA_SD: Final = 0.03
_BRAIN: Final = 0.10  # outside it the brain extraction leaves zero


def _receive_field(shape: tuple[int, ...], coefficients: np.ndarray) -> np.ndarray:
    """Exponential of a second-order polynomial in coordinates from -1 to 1."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    terms = (x, y, z, x * x, y * y, z * z, x * y, x * z, y * z)
    total = np.zeros(shape)
    for weight, term in zip(coefficients, terms, strict=True):
        total = total + weight * term
    return np.exp(total)


def scan(clean: np.ndarray, site: Site, spacing_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Turns a clean brain into what the site's scanner and brain extraction would give.

    Args:
        clean: Intensities with white matter 1, zero outside the brain, (D, H, W).
        site: The scanner.
        spacing_mm: Voxel size.
        rng: The person's scanner stream.

    Returns:
        float16 volume, non-negative, the brightest quarter of the brain about 1.
    """
    gamma = site.gamma + _PERSONAL_GAMMA_SD * rng.standard_normal()
    bias = site.bias + _PERSONAL_BIAS_SD * rng.standard_normal(len(site.bias))
    image = np.clip(clean, 0.0, None) ** gamma * _receive_field(clean.shape, bias)
    in_plane, through = (sd / spacing_mm for sd in site.blur_mm)
    image = gaussian_filter(image, (in_plane, in_plane, through))
    noise = site.noise_sd * rng.standard_normal(clean.shape)
    image = np.where(image > _BRAIN, np.abs(image + noise), 0.0)
    white = np.quantile(image[image > 0], 0.85)
    scanned: np.ndarray = (image / white).astype(np.float16)
    return scanned
