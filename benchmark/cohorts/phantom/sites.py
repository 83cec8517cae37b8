"""Sites of a cohort: severity shift, missingness and scanner, drawn from the cohort's seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.cohorts.phantom.config import PhantomConfig

__all__ = ["Site", "SiteTable", "make_sites"]

_SITE_STREAM = 10**9  # beyond any participant number
_SHIFT_SD = 0.20
_MISSING = {"t1w": 0.03, "genetic": 0.15, "report": 0.10}
_FMRI_SITE_MISSING = (0.10, 0.25, 0.70)  # a third of the sites scan fMRI rarely: 35 % on average


@dataclass(frozen=True, slots=True)
class Site:
    """One site's scanner.

    Attributes:
        name: e.g. ``site-01``.
        field_strength_t: 1.5 or 3.
        gamma: Exponent of the contrast curve.
        blur_mm: sd of the point spread, in plane and through plane.
        noise_sd: sd of the noise at the store grid, white matter = 1.
        bias: Coefficients of the receive-field polynomial (9,).
    """

    name: str
    field_strength_t: float
    gamma: float
    blur_mm: tuple[float, float]
    noise_sd: float
    bias: np.ndarray


@dataclass(frozen=True, slots=True)
class SiteTable:
    """All sites of a cohort.

    Attributes:
        sites: The scanners.
        severity_shift: Added to the mean of the severity, (S,).
        missing: Probability that a modality is missing, by modality, each (S,).
    """

    sites: tuple[Site, ...]
    severity_shift: np.ndarray
    missing: dict[str, np.ndarray]


def _make_site(config: PhantomConfig, number: int) -> Site:
    seeds = np.random.SeedSequence([config.seed, _SITE_STREAM, number])
    rng = np.random.Generator(np.random.PCG64(seeds))
    other = config.parameters.scanner_set == 1
    prefix = "ext" if other else config.role[:3]
    blur = rng.uniform(1.8, 2.6) if other else rng.uniform(1.0, 1.8)
    return Site(
        name=f"{prefix}-{number + 1:02d}",
        field_strength_t=1.5 if (number % 2 == 1 or other) else 3.0,
        gamma=float(rng.uniform(1.10, 1.30) if other else rng.uniform(0.85, 1.10)),
        blur_mm=(float(blur), float(blur * rng.uniform(1.0, 1.6))),
        noise_sd=float(rng.uniform(0.025, 0.05)),
        bias=rng.normal(0.0, 0.04, size=9),
    )


def make_sites(config: PhantomConfig) -> SiteTable:
    """The sites of a cohort; the same for every participant of the same config."""
    role = config.parameters
    count = role.n_sites
    seeds = np.random.SeedSequence([config.seed, _SITE_STREAM])
    rng = np.random.Generator(np.random.PCG64(seeds))
    shift = rng.normal(0.0, _SHIFT_SD, size=count)
    missing = {name: np.full(count, rate) for name, rate in _MISSING.items()}
    missing["fmri"] = np.resize(_FMRI_SITE_MISSING, count)
    if not role.has_genetics:
        missing["genetic"] = np.ones(count)
    if not role.has_report:
        missing["report"] = np.ones(count)
    shift = np.zeros(count) if role.axis == "none" else shift - shift.mean()
    return SiteTable(tuple(_make_site(config, s) for s in range(count)), shift, missing)
