"""Effect sizes of the phantoms, region by region, with their sources.

A region's log volume change relative to head size is Gaussian given severity v, age and sex::

    r = a * (F(v) + eta) + b * (h(age) + zeta) + s * [sex = M] + g * gamma + local noise

``F`` is a sigmoid (Jack 2013) that is about 0 in controls and 1 in typical patients. ``eta``
(expression of the disease pattern unrelated to severity: resilience and co-pathology) and
``zeta`` (being biologically older or younger) are what keeps any prediction from being perfect.

References:
    Hippocampus AD -24 %, MCI -12 %: Shi et al. 2009, Hippocampus, 10.1002/hipo.20573.
    Entorhinal AD -39 %, MCI -13 %: Du et al. 2001, JNNP, 10.1136/jnnp.71.4.441.
    Amygdala AD: Poulin et al. 2011, Psychiatry Research, 10.1016/j.pscychresns.2011.06.014.
    Ventricles: Nestor et al. 2008, Brain, 10.1093/brain/awn146.
    Cortex in AD: Dickerson et al. 2009, Cerebral Cortex, 10.1093/cercor/bhn113.
    Sigmoid course: Jack et al. 2013, Lancet Neurology, 10.1016/S1474-4422(12)70291-0.
    Ageing: Fjell et al. 2009, J Neurosci, 10.1523/JNEUROSCI.3252-09.2009; Raz et al. 2005,
    Cerebral Cortex, 10.1093/cercor/bhi044.
    PD: Laansma et al. 2021, Movement Disorders, 10.1002/mds.28706, for the signs alone. The sizes
    are INFLATED on purpose: the paper has d = -0.14 in the putamen, the phantom about 0.95;
    docs/phantom.md says why. The effect on the substantia nigra is set, not cited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmark.imaging.regions import REGION_NAMES

__all__ = ["AXES", "IMAGE", "Axis", "ImageEffects", "ageing", "expression"]

# region: (AD effect, PD effect, ageing per effective year, male - female, local sd, global loading)
_TABLE: Final = {
    "hippocampus": (-0.27, -0.055, -0.0080, 0.010, 0.070, 0.030),
    "amygdala": (-0.23, -0.085, -0.0060, 0.030, 0.080, 0.030),
    "entorhinal": (-0.28, -0.045, -0.0060, 0.010, 0.095, 0.030),
    "lateral_temporal": (-0.14, -0.042, -0.0050, 0.000, 0.050, 0.035),
    "precuneus": (-0.11, -0.035, -0.0045, -0.010, 0.055, 0.035),
    "inferior_parietal": (-0.12, -0.042, -0.0050, -0.015, 0.055, 0.035),
    "frontal": (-0.07, -0.035, -0.0060, -0.010, 0.050, 0.040),
    "occipital": (-0.03, -0.042, -0.0030, 0.000, 0.055, 0.035),
    "lateral_ventricles": (0.34, 0.070, 0.0150, 0.050, 0.100, -0.060),
    "thalamus": (-0.06, 0.042, -0.0050, 0.000, 0.055, 0.030),
    "putamen": (-0.06, -0.135, -0.0060, 0.015, 0.070, 0.030),
    "caudate": (-0.04, -0.095, -0.0040, -0.010, 0.075, 0.030),
    "substantia_nigra": (0.00, -0.160, -0.0020, 0.000, 0.070, 0.020),
    "cerebellum": (0.00, 0.000, -0.0035, 0.010, 0.060, 0.030),
}
_COLUMNS: Final = np.array([_TABLE[name] for name in REGION_NAMES])
AGEING_SD_YEARS: Final = 4.0  # sd of zeta


@dataclass(frozen=True, slots=True)
class Axis:
    """How a latent severity is read and expressed.

    Attributes:
        classes: Diagnoses in order of severity.
        cuts: Thresholds between them on the noisy reading v + N(0, reading_sd^2).
        reading_sd: Noise of the diagnosis.
        severity_sd: sd of v given age, sex, education, genetics and site.
        per_year, per_education_year: Slopes of v's mean on age - 70 and education - 15.
        midpoint, width, top: Sigmoid F(v) = top / (1 + exp(-(v - midpoint) / width)).
        pattern_sd: sd of eta.
        coupling: Slopes of the latent couplings (default mode, motor) on v.
        family: Intercept and slope of the log odds of a family history.
        functional: Intercept, slope and sd of the functional scale's latent score.
        mmse: Intercept, slope and sd of the MMSE's latent score.
        conversion: Intercept and slope on v of the log odds of AD within 36 months.
        symptom_slope: Slope on v of the log odds of each symptom in the report.
    """

    classes: tuple[str, ...]
    cuts: tuple[float, ...]
    reading_sd: float
    severity_sd: float
    per_year: float
    per_education_year: float
    midpoint: float
    width: float
    top: float
    pattern_sd: float
    coupling: tuple[float, float]
    family: tuple[float, float]
    functional: tuple[float, float, float]
    mmse: tuple[float, float, float]
    conversion: tuple[float, float]
    symptom_slope: float


AXES: Final = {
    "ad": Axis(
        classes=("CN", "MCI", "AD"),
        cuts=(0.35, 1.62),
        reading_sd=0.50,
        severity_sd=0.95,
        per_year=0.02,
        per_education_year=-0.04,
        midpoint=1.2,
        width=0.6,
        top=1.45,
        pattern_sd=0.14,
        coupling=(-0.30, 0.0),
        family=(-1.0, 0.35),
        functional=(4.0, 4.0, 6.5),
        mmse=(28.8, -2.4, 1.9),
        conversion=(-0.9, 4.5),
        symptom_slope=0.5,
    ),
    "pd": Axis(
        classes=("HC", "PD"),
        cuts=(0.9,),
        reading_sd=0.25,
        severity_sd=1.15,
        per_year=0.01,
        per_education_year=0.0,
        midpoint=0.9,
        width=0.45,
        top=1.25,
        pattern_sd=0.40,
        coupling=(-0.05, -0.35),
        family=(-1.7, 0.35),
        functional=(1.5, 1.6, 4.0),
        mmse=(28.9, -0.25, 1.3),
        conversion=(0.0, 0.0),
        symptom_slope=0.6,
    ),
    "none": Axis(
        classes=("CN",),
        cuts=(),
        reading_sd=0.30,
        severity_sd=0.0,
        per_year=0.0,
        per_education_year=0.0,
        midpoint=0.0,
        width=1.0,
        top=0.0,
        pattern_sd=0.0,
        coupling=(0.0, 0.0),
        family=(-1.0, 0.0),
        functional=(1.0, 0.0, 2.0),
        mmse=(28.8, 0.0, 1.2),
        conversion=(0.0, 0.0),
        symptom_slope=0.0,
    ),
}
# Latent couplings (default mode, motor): intercept, slope on age - 70, sd. The within-network
# correlation is 0.9 / (1 + exp(-z)). Default mode in AD: Greicius et al. 2004, PNAS,
# 10.1073/pnas.0308627101; with age: Damoiseaux et al. 2008, 10.1093/cercor/bhm207.
COUPLING_INTERCEPT: Final = (0.3, 0.3)
COUPLING_PER_YEAR: Final = (-0.018, -0.010)
COUPLING_SD: Final = (0.60, 0.60)


@dataclass(frozen=True, slots=True)
class ImageEffects:
    """Gaussian model of regional log volume change on one axis; arrays over regions (R,).

    Attributes:
        disease: a, per unit of F.
        age: b, per effective year.
        male: s.
        pattern_sd, ageing_sd: sd of eta and zeta.
        common: g, loadings of the global factor.
        local_sd: sd of the independent noise.
    """

    disease: np.ndarray
    age: np.ndarray
    male: np.ndarray
    pattern_sd: float
    ageing_sd: float
    common: np.ndarray
    local_sd: np.ndarray

    def covariance(self) -> np.ndarray:
        """Covariance of r given v, age and sex, (R, R)."""
        return (
            np.diag(self.local_sd**2)
            + np.outer(self.common, self.common)
            + np.outer(self.disease, self.disease) * self.pattern_sd**2
            + np.outer(self.age, self.age) * self.ageing_sd**2
        )


def _effects(axis: str) -> ImageEffects:
    column = {"ad": 0, "pd": 1}.get(axis)
    disease = np.zeros(len(_COLUMNS)) if column is None else _COLUMNS[:, column]
    return ImageEffects(
        disease=disease,
        age=_COLUMNS[:, 2],
        male=_COLUMNS[:, 3],
        pattern_sd=AXES[axis].pattern_sd,
        ageing_sd=AGEING_SD_YEARS,
        common=_COLUMNS[:, 5],
        local_sd=_COLUMNS[:, 4],
    )


IMAGE: Final = {axis: _effects(axis) for axis in AXES}


def ageing(age_years: np.ndarray) -> np.ndarray:
    """Effective years since 70: the rate grows from 0.4 at 45 to 1.4 at 85 (Fjell 2009)."""
    x = age_years - 70.0
    return x + 0.012 * x**2


def expression(axis: Axis, v: np.ndarray) -> np.ndarray:
    """Expression F(v) of the disease pattern, from 0 to ``axis.top``."""
    return axis.top / (1.0 + np.exp(-(v - axis.midpoint) / axis.width))
