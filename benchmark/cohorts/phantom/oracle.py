"""Bayes-optimal predictions of the phantoms, for any set of sources.

The posterior of (severity, age, sex) is computed on a grid. Evidence enters through closed-form
likelihoods of the realised image variables, couplings, scores and statements; what a person lacks
is left out, which is marginalisation. Sites are marginalised given which modalities are present,
unless the site is a source or a volume (which carries its scanner's trace) is seen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from benchmark import vocabulary as names
from benchmark.cohorts.phantom import effects, likelihood
from benchmark.cohorts.phantom.config import GENERATOR_VERSION, PhantomConfig, Role
from benchmark.cohorts.phantom.people import CONVERSION_SPLIT, DROP_OUT, EDUCATION
from benchmark.cohorts.phantom.severity_prior import severity_density
from benchmark.cohorts.phantom.sites import SiteTable, make_sites
from benchmark.errors import CohortError, UnknownNameError

__all__ = ["SOURCES", "predict", "predict_latents"]

SOURCES: Final = frozenset(
    {"demographics", "head_size", "site", "t1w", "fmri", "genetic", "clinical", "report", "mmse"}
)
_PAIRS: Final = {"dx3": (0, 1, 2), "ad_cn": (0, 2), "mci_cn": (0, 1), "ad_mci": (1, 2)}
_V_STEP: Final = 0.1
_V_REACH: Final = 5.0  # either side of the role's mean
_AGE_STEP: Final = 1.0
_BLOCK: Final = 2500  # people times ages at once


@dataclass(frozen=True, slots=True)
class _Seen:
    """Which evidence each person of a block gives, each (N,) bool."""

    age: bool
    sex: bool
    education: np.ndarray
    site: np.ndarray
    volume: np.ndarray
    head: np.ndarray
    fmri: np.ndarray
    genetic: np.ndarray
    family: np.ndarray
    functional: np.ndarray
    report: np.ndarray
    mmse: np.ndarray


def _seen(latents: pd.DataFrame, task: str, sources: frozenset[str]) -> _Seen:
    def have(source: str, column: str) -> np.ndarray:
        flags: np.ndarray = latents[column].to_numpy(dtype=bool)
        return flags & (source in sources)

    volume = have("t1w", "has_t1w")
    demographics = "demographics" in sources
    return _Seen(
        age=demographics and task != "brain_age",
        sex=demographics,
        education=have("demographics", "has_education"),
        site=volume | ("site" in sources),
        volume=volume,
        head=volume | have("head_size", "has_t1w"),
        fmri=have("fmri", "has_fmri"),
        genetic=have("genetic", "has_genetic"),
        family=latents["has_family"].to_numpy(dtype=bool)
        & (("clinical" in sources) | have("report", "has_report")),
        functional=have("clinical", "has_functional"),
        report=have("report", "has_report"),
        mmse=have("mmse", "has_mmse"),
    )


def _age_grid(role: Role) -> np.ndarray:
    count = round((role.age_max_years - role.age_min_years) / _AGE_STEP)
    edges = np.linspace(role.age_min_years, role.age_max_years, count + 1)
    return (edges[1:] + edges[:-1]) / 2


def _severity_grid(role: Role) -> np.ndarray:
    if role.axis == "none":
        return np.zeros(1)
    count = round(2 * _V_REACH / _V_STEP) + 1
    return role.severity_mean + np.linspace(-_V_REACH, _V_REACH, count)


def _site_weights(
    latents: pd.DataFrame, seen: _Seen, sites: SiteTable, sources: frozenset[str]
) -> np.ndarray:
    """Probability of each site given what is present, (N, S)."""
    count = len(sites.sites)
    weights = np.ones((len(latents), count))
    for modality, missing in sites.missing.items():
        if modality in sources:
            has = latents[f"has_{modality}"].to_numpy(dtype=bool)[:, None]
            weights = weights * np.where(has, 1 - missing, missing)
    known = latents["site"].to_numpy()[:, None] == np.arange(count)
    weights = np.where(seen.site[:, None], known, weights)
    normalised: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _prior(
    role: Role, latents: pd.DataFrame, seen: _Seen, weights: np.ndarray, shift: np.ndarray,
    ages: np.ndarray, v: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Density of v given age and the causes that are seen, (N, 1, A, V)."""
    shape = (len(latents), 1, ages.shape[1], len(v))
    if role.axis == "none":
        return np.ones(shape)
    axis = effects.AXES[role.axis]
    education = axis.per_education_year * (latents["education"].to_numpy() - EDUCATION[0])
    offset = np.where(seen.education, education, 0.0)
    offset = offset + np.where(seen.genetic, latents["genetic_offset"].to_numpy(), 0.0)
    mean = role.severity_mean + axis.per_year * (ages - 70.0) + offset[:, None]  # (N, A)
    difference = v - mean[:, :, None]
    density = np.zeros(difference.shape)
    for e, g in ((e, g) for e in (False, True) for g in (False, True)):
        people = np.flatnonzero((seen.education == e) & (seen.genetic == g))
        for s in range(len(shift)):
            rows = people[weights[people, s] > 0]
            if rows.size == 0:
                continue
            values = severity_density(
                role.axis, difference[rows] - shift[s], education_seen=e, genetics_seen=g
            )
            density[rows] += weights[rows, s][:, None, None] * values
    return density[:, None]


def _add(total: np.ndarray, rows: np.ndarray, term: np.ndarray) -> None:
    """Adds a term to the people who give that evidence."""
    keep = rows[:, None, None, None]
    np.add(total, np.where(keep, term, 0.0), out=total)


def _log_likelihood(
    axis: str, latents: pd.DataFrame, seen: _Seen, ages: np.ndarray, v: np.ndarray
) -> np.ndarray:
    total = np.zeros((len(latents), 2, ages.shape[1], len(v)))
    if seen.sex:
        known = latents["male"].to_numpy()[:, None] == np.arange(2)
        total += np.where(known, 0.0, -np.inf)[:, :, None, None]
    _add(total, seen.head, likelihood.head(latents))
    if seen.volume.any():
        _add(total, seen.volume, likelihood.image(axis, latents, ages, v))
    if seen.fmri.any():
        _add(total, seen.fmri, likelihood.series(axis, latents, ages, v))
    if seen.report.any():
        _add(total, seen.report, likelihood.items(axis, latents, v))
        read = seen.report & ~seen.volume
        if read.any():
            _add(total, read, likelihood.medial_temporal(axis, latents, ages, v))
    if seen.family.any():
        _add(total, seen.family, likelihood.family(axis, latents, v))
    if seen.functional.any():
        _add(total, seen.functional, likelihood.functional(axis, latents, v))
    if seen.mmse.any():
        _add(total, seen.mmse, likelihood.mmse(axis, latents, v))
    return total


def _posterior(
    role: Role, sites: SiteTable, latents: pd.DataFrame, task: str, sources: frozenset[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior weights (N, A, V) with the age (A,) and severity (V,) grids."""
    seen = _seen(latents, task, sources)
    v = _severity_grid(role)
    grid = _age_grid(role)
    ages = latents["age"].to_numpy()[:, None] if seen.age else grid[None, :]
    log_density = _log_likelihood(role.axis, latents, seen, ages, v)
    if not seen.age:
        z = (grid - role.age_mean_years) / role.age_sd_years
        log_density += (-0.5 * z**2)[:, None]
    log_density -= log_density.max(axis=(1, 2, 3), keepdims=True)
    weights = _site_weights(latents, seen, sites, sources)
    prior = _prior(role, latents, seen, weights, sites.severity_shift, ages, v)
    density = (np.exp(log_density) * prior).sum(axis=1)
    posterior: np.ndarray = density / density.sum(axis=(1, 2), keepdims=True)
    return posterior, grid, v


def _grades(axis: str, v: np.ndarray) -> np.ndarray:
    """P(diagnosis | v), (V, classes)."""
    model = effects.AXES[axis]
    edges = np.array([-np.inf, *model.cuts, np.inf])
    below = ndtr((edges[None, :] - v[:, None]) / model.reading_sd)
    chances: np.ndarray = np.diff(below, axis=1)
    return chances


def _outcome(task: str, axis: str, v: np.ndarray) -> np.ndarray:
    """P(eligible and class | v), (V, K)."""
    grades = _grades(axis, v)
    if task == "pd_hc" and axis == "pd":
        return grades
    if task in _PAIRS and axis == "ad":
        return np.take(grades, _PAIRS[task], axis=1)
    if task == "conversion" and axis == "ad":
        intercept, slope = effects.AXES[axis].conversion
        converts = expit(intercept + slope * (v - 1.0))
        stays = (1 - DROP_OUT) ** np.arange(1, 4)
        observed = float(np.dot(CONVERSION_SPLIT, stays))
        pair = np.stack([(1 - converts) * stays[2], converts * observed], axis=1)
        outcome: np.ndarray = grades[:, 1:2] * pair
        return outcome
    raise CohortError(
        f"the oracle has no task {task!r} for a phantom of axis {axis!r}; dx3, ad_cn, mci_cn, "
        "ad_mci and conversion need a memory phantom, pd_hc a movement phantom"
    )


def _age_summary(posterior: np.ndarray, ages: np.ndarray, healthy: np.ndarray) -> np.ndarray:
    """Median and sd of age among the healthy, (N, 2)."""
    chance = posterior @ healthy  # (N, A)
    chance = chance / chance.sum(axis=1, keepdims=True)
    step = ages[1] - ages[0]
    cumulative = np.cumsum(chance, axis=1)
    median = [float(np.interp(0.5, c, ages + step / 2)) for c in cumulative]
    mean = chance @ ages
    sd = np.sqrt(np.maximum(chance @ ages**2 - mean**2, 0.0))
    return np.stack([np.array(median), sd], axis=1)


def predict_latents(
    config: PhantomConfig, latents: pd.DataFrame, task: str, sources: frozenset[str]
) -> np.ndarray:
    """Oracle predictions from latents; see :func:`predict`.

    Args:
        config: The cohort that the latents were drawn from.
        latents: Rows of :func:`~benchmark.cohorts.phantom.people.sample_people`.
        task: Task name.
        sources: What the prediction may use.

    Returns:
        (N, K) class probabilities in class order, or (N, 2) median and sd for ``brain_age``.

    Raises:
        UnknownNameError: A source is not known.
        CohortError: The task does not exist on this cohort's axis.
    """
    unknown = sorted(sources - SOURCES)
    if unknown:
        raise UnknownNameError("oracle source", unknown[0], SOURCES)
    role = config.parameters
    v = _severity_grid(role)
    outcome = None if task == "brain_age" else _outcome(task, role.axis, v)
    sites = make_sites(config)
    blocks = []
    age_known = "demographics" in sources and task != "brain_age"
    size = _BLOCK if age_known else _BLOCK // len(_age_grid(role))
    for start in range(0, len(latents), size):
        block = latents.iloc[start : start + size]
        posterior, ages, _ = _posterior(role, sites, block, task, sources)
        if outcome is None:
            blocks.append(_age_summary(posterior, ages, _grades(role.axis, v)[:, 0]))
            continue
        joint = posterior.sum(axis=1) @ outcome
        blocks.append(joint / joint.sum(axis=1, keepdims=True))
    return np.concatenate(blocks) if blocks else np.zeros((0, 2))


def _read_truth(truth_folder: Path) -> tuple[PhantomConfig, pd.DataFrame]:
    path = truth_folder / "truth.json"
    if not path.is_file():
        raise CohortError(
            f"{truth_folder}: no truth.json; run `neurodx prepare {truth_folder.name}`"
        )
    recipe: dict[str, Any] = json.loads(path.read_text())["config"]
    version = recipe.pop("generator_version")
    if version != GENERATOR_VERSION:
        raise CohortError(
            f"{truth_folder}: made by generator version {version}, this is {GENERATOR_VERSION}; "
            f"run `neurodx prepare {truth_folder.name}` again"
        )
    return PhantomConfig(**recipe), pd.read_parquet(truth_folder / "latents.parquet")


def predict(
    truth_folder: Path, task: str, sources: frozenset[str], participant_ids: Sequence[str]
) -> np.ndarray:
    """Bayes-optimal prediction for some participants of a prepared phantom.

    Args:
        truth_folder: ``truth/<cohort>``.
        task: Task name.
        sources: Subset of :data:`SOURCES`. Age itself is no source for ``brain_age``.
        participant_ids: Whom to predict; rows follow this order.

    Returns:
        (N, K) class probabilities in the task's class order, conditioned on eligibility and on
        the cohort's own prior; (N, 2) predictive median and sd in years for ``brain_age``.

    Raises:
        CohortError: No truth there, another generator's truth, an unknown participant, or a task
            that this cohort does not have.
        UnknownNameError: A source is not known.
    """
    config, latents = _read_truth(truth_folder)
    latents = latents.set_index(names.PARTICIPANT_ID, drop=False)
    missing = [p for p in participant_ids if p not in latents.index]
    if missing:
        raise CohortError(
            f"{truth_folder}: no participant {missing[0]} (and {len(missing) - 1} more)"
        )
    return predict_latents(config, latents.loc[list(participant_ids)], task, sources)
