"""Log likelihood of each kind of evidence on a grid of severity, age and sex.

Every function returns an array that broadcasts to (N, 2, A, V): people, sex (F, M), ages and
severities. ``ages`` is (N or 1, A), ``v`` is (V,). Additive constants are dropped.
"""

from __future__ import annotations

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
    edges = np.concatenate([[-np.inf], np.arange(30) + 0.5, [np.inf]])[:, None]
    chance = np.diff(ndtr((edges - intercept - slope * v) / sd), axis=0)  # (31, V)
    table = np.log(np.maximum(chance, _TINY))
    log_likelihood: np.ndarray = table[observed.astype(np.intp)][:, None, None, :]
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
    log_odds = intercept + slope * v
    table = np.stack([log_expit(-log_odds), log_expit(log_odds)])
    log_likelihood: np.ndarray = table[latents["family"].to_numpy(dtype=np.intp)][:, None, None]
    return log_likelihood


def items(axis: str, latents: pd.DataFrame, v: np.ndarray) -> np.ndarray:
    """Report items that are mentioned: Bernoulli with log odds linear in v."""
    slope = effects.AXES[axis].symptom_slope
    panel = items_of(axis)
    log_odds = np.array([item.intercept for item in panel])[:, None] + slope * v  # (items, V)
    state = latents[[f"item_{k}" for k in range(len(panel))]].to_numpy()
    given = (state == 1).astype(np.float64) @ log_expit(log_odds)
    denied = (state == 0).astype(np.float64) @ log_expit(-log_odds)
    total: np.ndarray = (given + denied)[:, None, None, :]
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
    grade = latents["mta"].to_numpy(dtype=np.intp)
    if len(ages) == 1:  # ages unknown: one table for everybody
        below = ndtr((edges[:, None, None, None] - shrinkage) / sd)
        chance = np.diff(below, axis=0)[grade]
    else:
        upper, lower = (_people(edges[grade + k]) for k in (1, 0))
        chance = ndtr((upper - shrinkage) / sd) - ndtr((lower - shrinkage) / sd)
    log_likelihood: np.ndarray = np.log(np.maximum(chance, _TINY))
    return log_likelihood
