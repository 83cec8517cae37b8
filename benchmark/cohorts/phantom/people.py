"""Latent variables and everything scalar about a person: fast, without images.

Each person owns two fixed-length vectors, standard normals and uniforms, from the person's own
stream. The structural model is elementwise in them, so a person does not depend on who else is
in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri

from benchmark import vocabulary as v
from benchmark.cohorts.phantom import effects, genetics
from benchmark.cohorts.phantom.config import PhantomConfig
from benchmark.cohorts.phantom.report_items import (
    MOST_ITEMS,
    MTA_CUTS,
    MTA_NOISE_SD,
    items_of,
)
from benchmark.cohorts.phantom.sites import SiteTable, make_sites
from benchmark.imaging.regions import REGION_NAMES

__all__ = [
    "FOLLOW_UP_MONTHS",
    "LATENT_STREAM",
    "NEVER",
    "participant_id",
    "sample_people",
    "stream",
]

LATENT_STREAM: Final = 0
FOLLOW_UP_MONTHS: Final = (12, 24, 36, 48)
DROP_OUT: Final = 0.10  # per visit, independent of severity
CONVERSION_SPLIT: Final = (0.30, 0.35, 0.35)  # of those within 36 months: by 12, 24, 36
NEVER: Final = 999
EDUCATION: Final = (15.0, 2.8, 6, 22)  # mean, sd, least, most
HEAD_LOG_MEAN: Final = (-0.075, -0.040)  # log linear scale against ICBM152: F, M
HEAD_LOG_SD: Final = 0.025  # Barnes 2010, 10.1016/j.neuroimage.2010.06.025: ICV CV about 8 %
SCALE_MISSING: Final = 0.04

_NORMALS: Final = 32
_UNIFORMS: Final = 96
_R: Final = len(REGION_NAMES)
_S: Final = len(genetics.PANEL)
# Slots of the uniforms; items of the report follow from _ITEM on.
_AGE, _SEX, _SITE, _APOE, _FAMILY, _CONVERT, _WHEN, _PART = range(8)
_DROP: Final = 8  # 4 visits
_GONE: Final = {"t1w": 12, "fmri": 13, "genetic": 14, "report": 15}
_GONE_SCALE: Final = {"education": 16, "family": 17, "functional": 18, "mmse": 19}
_SNP: Final = 20
_ITEM: Final = _SNP + _S  # two per item: present, mentioned


def stream(config: PhantomConfig, number: int, component: int) -> np.random.Generator:
    """The random stream of one component of one person."""
    seeds = np.random.SeedSequence([config.seed, number, component])
    return np.random.Generator(np.random.PCG64(seeds))


def participant_id(number: int) -> str:
    """BIDS participant id of a number."""
    return f"sub-{number:04d}"


def _draws(config: PhantomConfig, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    normals = np.empty((len(numbers), _NORMALS))
    uniforms = np.empty((len(numbers), _UNIFORMS))
    for row, number in enumerate(numbers):
        rng = stream(config, int(number), LATENT_STREAM)
        normals[row] = rng.standard_normal(_NORMALS)
        uniforms[row] = rng.random(_UNIFORMS)
    return normals, uniforms


def _demographics(config: PhantomConfig, z: np.ndarray, u: np.ndarray) -> dict[str, np.ndarray]:
    role = config.parameters
    low, high = (
        ndtr((edge - role.age_mean_years) / role.age_sd_years)
        for edge in (role.age_min_years, role.age_max_years)
    )
    age = role.age_mean_years + role.age_sd_years * ndtri(low + u[:, _AGE] * (high - low))
    mean, sd, least, most = EDUCATION
    male = (u[:, _SEX] < 0.5).astype(np.int64)
    head = np.array(HEAD_LOG_MEAN)[male] + HEAD_LOG_SD * z[:, 1]
    return {
        "age": np.round(age, 1),
        "male": male,
        "education": np.clip(np.round(mean + sd * z[:, 0]), least, most),
        "head_log": head,
        "site": np.minimum((u[:, _SITE] * role.n_sites).astype(np.int64), role.n_sites - 1),
        "pretrain": np.zeros(len(age), dtype=bool),
    }


def _severity(
    config: PhantomConfig,
    sites: SiteTable,
    people: dict[str, np.ndarray],
    z: np.ndarray,
    u: np.ndarray,
) -> dict[str, np.ndarray]:
    role, axis = config.parameters, effects.AXES[config.parameters.axis]
    e4 = genetics.dosage(u[:, _APOE], np.array(genetics.APOE_FREQUENCY))
    frequency = np.array([s.frequency for s in genetics.PANEL])
    snps = genetics.dosage(u[:, _SNP : _SNP + _S], frequency)
    score = ((snps - 2 * frequency) * genetics.log_odds(role.axis)).sum(axis=1)
    e4_score = (e4 - 2 * genetics.APOE_FREQUENCY) * genetics.APOE_LOG_OR
    if role.axis == "ad":
        score = score + e4_score
    mean = (
        role.severity_mean
        + axis.per_year * (people["age"] - 70.0)
        + axis.per_education_year * (people["education"] - EDUCATION[0])
        + genetics.SEVERITY_PER_LOG_OR * score
        + sites.severity_shift[people["site"]]
    )
    severity = mean + axis.severity_sd * z[:, 2]
    reading = severity + axis.reading_sd * z[:, 3]
    return {
        "e4": e4,
        "snps": snps,
        "genetic_offset": genetics.SEVERITY_PER_LOG_OR * score,
        "v": severity,
        "reading": reading,
        "grade": np.searchsorted(np.array(axis.cuts), reading) if axis.cuts else 0 * e4,
    }


def _image(
    config: PhantomConfig, people: dict[str, np.ndarray], z: np.ndarray
) -> dict[str, np.ndarray]:
    axis = effects.AXES[config.parameters.axis]
    image = effects.IMAGE[config.parameters.axis]
    expressed = effects.expression(axis, people["v"])
    eta, zeta, gamma = image.pattern_sd * z[:, 4], image.ageing_sd * z[:, 5], z[:, 6]
    regions = (
        image.disease * (expressed + eta)[:, None]
        + image.age * (effects.ageing(people["age"]) + zeta)[:, None]
        + image.male * people["male"][:, None]
        + image.common * gamma[:, None]
        + image.local_sd * z[:, 8 : 8 + _R]
    )
    years = (people["age"] - 70.0)[:, None]
    coupling = (
        np.array(effects.COUPLING_INTERCEPT)
        + np.array(axis.coupling) * people["v"][:, None]
        + np.array(effects.COUPLING_PER_YEAR) * years
        + np.array(effects.COUPLING_SD) * z[:, 24:26]
    )
    return {"regions": regions, "disease_part": image.disease * expressed[:, None],
            "coupling": coupling}  # fmt: skip


def _scales(
    config: PhantomConfig, people: dict[str, np.ndarray], z: np.ndarray, u: np.ndarray
) -> dict[str, np.ndarray]:
    axis, severity = effects.AXES[config.parameters.axis], people["v"]
    functional = axis.functional[0] + axis.functional[1] * severity + axis.functional[2] * z[:, 26]
    mmse = axis.mmse[0] + axis.mmse[1] * severity + axis.mmse[2] * z[:, 27]
    family = u[:, _FAMILY] < expit(axis.family[0] + axis.family[1] * severity)
    hippocampus = people["regions"][:, REGION_NAMES.index("hippocampus")]
    items = items_of(config.parameters.axis)
    chance = expit(np.array([i.intercept for i in items]) + axis.symptom_slope * severity[:, None])
    draws = u[:, _ITEM : _ITEM + 2 * MOST_ITEMS].reshape(len(u), MOST_ITEMS, 2)[:, : len(items)]
    present = (draws[:, :, 0] < chance).astype(np.int64)
    mentioned = draws[:, :, 1] < np.array([i.mention for i in items])
    return {
        "functional": np.clip(np.round(functional), 0, 30),
        "mmse": np.clip(np.round(mmse), 0, 30),
        "family": family.astype(np.float64),
        "mta": np.searchsorted(np.array(MTA_CUTS), -(hippocampus + MTA_NOISE_SD * z[:, 28])),
        "items": np.where(mentioned, present, -1),
    }


def _follow_up(
    config: PhantomConfig, people: dict[str, np.ndarray], u: np.ndarray
) -> dict[str, np.ndarray]:
    axis = effects.AXES[config.parameters.axis]
    chance = expit(axis.conversion[0] + axis.conversion[1] * (people["v"] - 1.0))
    mci = (people["grade"] == 1) & (len(axis.classes) == 3)
    converts = mci & (u[:, _CONVERT] < chance)
    visit = np.searchsorted(np.cumsum(CONVERSION_SPLIT)[:-1], u[:, _WHEN])
    stays = np.cumprod(u[:, _DROP : _DROP + 4] >= DROP_OUT, axis=1).sum(axis=1)
    months = np.array((0, *FOLLOW_UP_MONTHS))
    return {
        "conversion_months": np.where(converts, months[1:][visit], NEVER),
        "last_months": months[stays],
    }


def _availability(
    sites: SiteTable, people: dict[str, np.ndarray], u: np.ndarray
) -> dict[str, np.ndarray]:
    site = people["site"]
    found = {f"has_{name}": u[:, slot] >= sites.missing[name][site] for name, slot in _GONE.items()}
    kept = {f"has_{name}": u[:, slot] >= SCALE_MISSING for name, slot in _GONE_SCALE.items()}
    return {**found, **kept}


def sample_people(config: PhantomConfig, numbers: Sequence[int]) -> pd.DataFrame:
    """Draws everything about people except volumes, time series and the wording of reports.

    Args:
        config: The cohort.
        numbers: Participant numbers, 1 or more; need not be within ``config.n``.

    Returns:
        One row per number: ``participant_id number age male education head_log site v reading
        grade r_<region> disease_<region> coupling_dmn coupling_motor e4 snp_<k> genetic_offset
        functional mmse family mta item_<k> conversion_months last_months has_<modality>
        pretrain``.
    """
    z, u = _draws(config, numbers)
    sites = make_sites(config)
    people = _demographics(config, z, u)
    people |= _severity(config, sites, people, z, u)
    people |= _image(config, people, z)
    people |= _scales(config, people, z, u)
    people |= _follow_up(config, people, u) | _availability(sites, people, u)
    if config.parameters.splits_pretraining:
        people["pretrain"] = np.array(numbers) % 2 == 1
    return _frame(numbers, people)


def _frame(numbers: Sequence[int], people: dict[str, np.ndarray]) -> pd.DataFrame:
    columns: dict[str, object] = {
        v.PARTICIPANT_ID: [participant_id(int(n)) for n in numbers],
        "number": np.asarray(numbers, dtype=np.int64),
    }
    for name, values in people.items():
        if values.ndim == 1:
            columns[name] = values
            continue
        suffixes = {
            "regions": [f"r_{r}" for r in REGION_NAMES],
            "disease_part": [f"disease_{r}" for r in REGION_NAMES],
            "coupling": ["coupling_dmn", "coupling_motor"],
            "snps": [f"snp_{k}" for k in range(values.shape[1])],
            "items": [f"item_{k}" for k in range(values.shape[1])],
        }[name]
        columns |= {suffix: values[:, k] for k, suffix in enumerate(suffixes)}
    return pd.DataFrame(columns)
