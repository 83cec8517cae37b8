"""Log likelihood of each kind of evidence on a grid of severity, age and sex.

Every function returns an array that broadcasts to (N, 2, A, V): people, sex (F, M), ages and
severities. ``ages`` is (N or 1, A), ``v`` is (V,). Additive constants are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import log_expit, ndtr

from benchmark.cohorts.phantom import effects
from benchmark.cohorts.phantom.people import HEAD_LOG_MEAN, HEAD_LOG_SD
from benchmark.cohorts.phantom.report_items import MTA_CUTS, MTA_NOISE_SD, items_of
from benchmark.imaging.regions import REGION_NAMES

__all__ = ["family", "functional", "head", "image", "items", "medial_temporal", "mmse", "series"]

_TINY = 1e-300


def _people(values: np.ndarray | pd.Series) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)[:, None, None, None]


def _moments(axis: str, ages: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """Regressors of regional change, broadcastable to (N, 2, A, V): F(v), h(age), male."""
    expressed = effects.expression(effects.AXES[axis], v)[None, None, None, :]
    older = effects.ageing(ages)[:, None, :, None]
    male = np.array([0.0, 1.0])[None, :, None, None]
    return expressed, older, male


def image(axis: str, latents: pd.DataFrame, ages: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Realised regional changes: Gaussian with mean linear in F(v), h(age) and sex."""
    model = effects.IMAGE[axis]
    design = np.stack([model.disease, model.age, model.male])
    weighted = design @ np.linalg.inv(model.covariance())
    scores = latents[[f"r_{r}" for r in REGION_NAMES]].to_numpy() @ weighted.T  # (N, 3)
    information = weighted @ design.T  # (3, 3)
    terms = _moments(axis, ages, v)
    total = np.zeros(1)
    for i, term in enumerate(terms):
        total = total + term * _people(scores[:, i]) - 0.5 * information[i, i] * term**2
        for j in range(i):
            total = total - information[i, j] * term * terms[j]
    return total


def head(latents: pd.DataFrame) -> np.ndarray:
    """Head size: log-normal given sex."""
    mean = np.array(HEAD_LOG_MEAN)[None, :, None, None]
    log_likelihood: np.ndarray = -0.5 * ((_people(latents["head_log"]) - mean) / HEAD_LOG_SD) ** 2
    return log_likelihood


def series(axis: str, latents: pd.DataFrame, ages: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Realised couplings: two Gaussians with mean linear in v and age."""
    total = np.zeros(1)
    for k, name in enumerate(("coupling_dmn", "coupling_motor")):
        mean = (
            effects.COUPLING_INTERCEPT[k]
            + effects.AXES[axis].coupling[k] * v[None, None, None, :]
            + effects.COUPLING_PER_YEAR[k] * (ages[:, None, :, None] - 70.0)
        )
        total = total - 0.5 * ((_people(latents[name]) - mean) / effects.COUPLING_SD[k]) ** 2
    return total


def _rounded(
    observed: np.ndarray, parameters: tuple[float, float, float], v: np.ndarray
) -> np.ndarray:
    """Log probability of a rounded score clipped to 0..30 whose latent is Gaussian in v."""
    intercept, slope, sd = parameters
    score = _people(observed)
    upper = np.where(score >= 30, np.inf, score + 0.5)
    lower = np.where(score <= 0, -np.inf, score - 0.5)
    mean = intercept + slope * v
    chance = ndtr((upper - mean) / sd) - ndtr((lower - mean) / sd)
    log_likelihood: np.ndarray = np.log(np.maximum(chance, _TINY))
    return log_likelihood


def functional(axis: str, latents: pd.DataFrame, v: np.ndarray) -> np.ndarray:
    """The functional scale."""
    return _rounded(latents["functional"].to_numpy(), effects.AXES[axis].functional, v)


def mmse(axis: str, latents: pd.DataFrame, v: np.ndarray) -> np.ndarray:
    """The Mini-Mental State Examination."""
    return _rounded(latents["mmse"].to_numpy(), effects.AXES[axis].mmse, v)


def family(axis: str, latents: pd.DataFrame, v: np.ndarray) -> np.ndarray:
    """Family history: Bernoulli with log odds linear in v."""
    intercept, slope = effects.AXES[axis].family
    sign = 2 * _people(latents["family"]) - 1
    log_likelihood: np.ndarray = log_expit(sign * (intercept + slope * v))
    return log_likelihood


def items(axis: str, latents: pd.DataFrame, v: np.ndarray) -> np.ndarray:
    """Report items that are mentioned: Bernoulli with log odds linear in v."""
    slope = effects.AXES[axis].symptom_slope
    total = np.zeros(1)
    for k, item in enumerate(items_of(axis)):
        state = _people(latents[f"item_{k}"])
        sign = np.where(state == 1, 1.0, -1.0)
        total = total + np.where(state >= 0, log_expit(sign * (item.intercept + slope * v)), 0.0)
    return total


def medial_temporal(
    axis: str, latents: pd.DataFrame, ages: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """The visual read, where the volume itself is not seen: ordinal in a Gaussian."""
    model, k = effects.IMAGE[axis], REGION_NAMES.index("hippocampus")
    expressed, older, male = _moments(axis, ages, v)
    shrinkage = -(model.disease[k] * expressed + model.age[k] * older + model.male[k] * male)
    sd = float(np.sqrt(model.covariance()[k, k] + MTA_NOISE_SD**2))
    edges = np.array([-np.inf, *MTA_CUTS, np.inf])
    by_grade: Mapping[int, np.ndarray] = {
        g: ndtr((edges[g + 1] - shrinkage) / sd) - ndtr((edges[g] - shrinkage) / sd)
        for g in range(len(edges) - 1)
    }
    grade = _people(latents["mta"])
    total = sum(np.where(grade == g, chance, 0.0) for g, chance in by_grade.items())
    return np.log(np.maximum(total, _TINY))
