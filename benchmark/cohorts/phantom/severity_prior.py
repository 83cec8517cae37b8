"""Prior density of the latent severity given what is seen of its causes.

Severity is a Gaussian about a mean that is linear in age, education, genetics and site. Causes that
are not seen are discrete and independent, so the density is an exact finite mixture, tabulated
once as a function of v minus the mean of the seen part.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from scipy.special import ndtr

from benchmark.cohorts.phantom import effects, genetics
from benchmark.cohorts.phantom.people import EDUCATION

__all__ = ["severity_density"]

_STEP: Final = 0.01
_REACH: Final = 9.0


def _education_pmf() -> tuple[np.ndarray, np.ndarray]:
    """Years of education and their probabilities: a rounded, clipped normal."""
    mean, sd, least, most = EDUCATION
    years = np.arange(least, most + 1)
    edges = np.concatenate([[-np.inf], years[:-1] + 0.5, [np.inf]])
    return years, np.diff(ndtr((edges - mean) / sd))


def _genotype_pmf(frequency: float) -> np.ndarray:
    return np.array([(1 - frequency) ** 2, 2 * frequency * (1 - frequency), frequency**2])


_Cause = tuple[np.ndarray, np.ndarray]


def _unseen_causes(axis: str, education: bool, genetic: bool) -> list[_Cause]:
    """(offsets, probabilities) of each cause that is not seen."""
    causes: list[_Cause] = []
    if not education:
        years, chance = _education_pmf()
        slope = effects.AXES[axis].per_education_year
        causes.append((slope * (years - EDUCATION[0]), chance))
    if genetic:
        return causes
    count = np.arange(3)
    for locus, effect in zip(genetics.PANEL, genetics.log_odds(axis), strict=True):
        offset = genetics.SEVERITY_PER_LOG_OR * effect * (count - 2 * locus.frequency)
        causes.append((offset, _genotype_pmf(locus.frequency)))
    if axis == "ad":
        frequency = genetics.APOE_FREQUENCY
        effect = genetics.SEVERITY_PER_LOG_OR * genetics.APOE_LOG_OR
        causes.append((effect * (count - 2 * frequency), _genotype_pmf(frequency)))
    return [(offset, chance) for offset, chance in causes if np.ptp(offset) > 0]


@lru_cache(maxsize=16)
def _table(axis: str, education: bool, genetic: bool) -> tuple[np.ndarray, np.ndarray]:
    sd = effects.AXES[axis].severity_sd
    x = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    density = np.exp(-0.5 * (x / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    for offsets, chances in _unseen_causes(axis, education, genetic):
        parts = [
            p * np.interp(x - o, x, density, left=0.0, right=0.0)
            for o, p in zip(offsets, chances, strict=True)
        ]
        density = np.sum(parts, axis=0)
    return x, density


def severity_density(
    axis: str, difference: np.ndarray, *, education_seen: bool, genetics_seen: bool
) -> np.ndarray:
    """Density of v at ``difference`` = v minus the mean given the causes that are seen.

    Args:
        axis: "ad" or "pd".
        difference: Any shape.
        education_seen: Whether education is in the mean already.
        genetics_seen: Whether the genotypes are in the mean already.

    Returns:
        Density, same shape as ``difference``.
    """
    x, density = _table(axis, education_seen, genetics_seen)
    values: np.ndarray = np.interp(difference, x, density, left=0.0, right=0.0)
    return values
