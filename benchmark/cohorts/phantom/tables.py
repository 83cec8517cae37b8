"""Visit, report and truth tables of a phantom cohort from its latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.cohorts.phantom import effects
from benchmark.cohorts.phantom.config import PhantomConfig
from benchmark.cohorts.phantom.people import FOLLOW_UP_MONTHS
from benchmark.cohorts.phantom.sites import SiteTable
from benchmark.cohorts.phantom.terms import TEMPLATE_TERMS

__all__ = ["array_rows", "datasheet", "snp_array", "truth_card", "visit_table"]

_MODALITY_ROWS = {"t1w": "has_t1w", "fmri": "has_fmri", "snps": "has_genetic"}


def array_rows(latents: pd.DataFrame) -> dict[str, np.ndarray]:
    """Row of each person in ``t1w``, ``fmri`` and ``snps``; -1 where missing, each (N,)."""
    rows = {}
    for array, column in _MODALITY_ROWS.items():
        has = latents[column].to_numpy(dtype=bool)
        rows[array] = np.where(has, np.cumsum(has) - 1, -1).astype(np.int64)
    return rows


def snp_array(latents: pd.DataFrame) -> np.ndarray:
    """Dosages of those genotyped, int8 (N, S)."""
    columns = [c for c in latents if str(c).startswith("snp_")]
    dosages: np.ndarray = latents.loc[latents["has_genetic"], columns].to_numpy(dtype=np.int8)
    return dosages


def _clinical_dementia_rating(config: PhantomConfig, latents: pd.DataFrame) -> np.ndarray:
    """CDR from the same noisy reading as the diagnosis: 0, 0.5, 1 or 2."""
    if config.parameters.axis != "ad":
        return np.zeros(len(latents))
    cuts = effects.AXES["ad"].cuts
    grade = np.searchsorted(np.array([cuts[0], cuts[1] + 0.4, cuts[1] + 1.6]), latents["reading"])
    return np.array([0.0, 0.5, 1.0, 2.0])[grade]


def _index_visits(
    config: PhantomConfig, latents: pd.DataFrame, sites: SiteTable, head_size_mm3: np.ndarray
) -> pd.DataFrame:
    classes = np.array(effects.AXES[config.parameters.axis].classes)
    site = latents["site"].to_numpy()

    def known(column: str, has: str) -> pd.Series:
        return latents[column].astype("float64").where(latents[has])

    index = pd.DataFrame(
        {
            v.PARTICIPANT_ID: latents[v.PARTICIPANT_ID],
            v.SESSION_ID: "ses-M000",
            v.VISIT_MONTHS: 0,
            v.IS_INDEX: True,
            v.SITE_ID: [sites.sites[s].name for s in site],
            v.FAMILY_ID: "",
            v.PART: np.where(latents["pretrain"], v.PRETRAIN, v.EVALUATE),
            v.AGE_YEARS: latents["age"],
            v.SEX: np.where(latents["male"] == 1, "M", "F"),
            v.EDUCATION_YEARS: known("education", "has_education"),
            v.DIAGNOSIS: classes[latents["grade"]],
            v.MMSE: known("mmse", "has_mmse"),
            v.CDR_GLOBAL: _clinical_dementia_rating(config, latents),
            v.FAMILY_HISTORY: known("family", "has_family"),
            "faq_total": known("functional", "has_functional"),
            v.APOE_E4: known("e4", "has_genetic"),
            v.HEAD_SIZE_MM3: head_size_mm3,
            v.FIELD_STRENGTH_T: [sites.sites[s].field_strength_t for s in site],
        }
    )
    for array, rows in array_rows(latents).items():
        index[f"{array}_row"] = rows
    return index


def _later_visits(index: pd.DataFrame, latents: pd.DataFrame) -> pd.DataFrame:
    """Follow-up rows: age, diagnosis and nothing measured."""
    keep = (v.PARTICIPANT_ID, v.SITE_ID, v.FAMILY_ID, v.PART, v.SEX)
    visits = []
    for months in FOLLOW_UP_MONTHS:
        seen = (latents["last_months"] >= months).to_numpy()
        rows = index.loc[seen, list(keep)].copy()
        rows[v.SESSION_ID] = f"ses-M{months:03d}"
        rows[v.VISIT_MONTHS] = months
        rows[v.IS_INDEX] = False
        rows[v.AGE_YEARS] = index.loc[seen, v.AGE_YEARS] + round(months / 12, 1)
        converted = (latents.loc[seen, "conversion_months"] <= months).to_numpy()
        rows[v.DIAGNOSIS] = np.where(converted, v.AD, index.loc[seen, v.DIAGNOSIS])
        for column in ("t1w_row", "fmri_row", "snps_row"):
            rows[column] = -1
        visits.append(rows)
    return pd.concat(visits)


def visit_table(
    config: PhantomConfig, latents: pd.DataFrame, sites: SiteTable, head_size_mm3: np.ndarray
) -> pd.DataFrame:
    """All visits, index visits first and in order of participant number.

    Args:
        config: The cohort.
        latents: Output of :func:`~benchmark.cohorts.phantom.people.sample_people`.
        sites: The cohort's sites.
        head_size_mm3: Measured head sizes, NaN where there is no volume, (N,).

    Returns:
        One row per visit, columns as named in :mod:`benchmark.vocabulary`.
    """
    index = _index_visits(config, latents, sites, head_size_mm3)
    if config.parameters.axis != "ad":
        return index
    later = _later_visits(index, latents)
    return pd.concat([index, later], ignore_index=True)[list(index.columns)]


def datasheet(config: PhantomConfig, names: Mapping[str, list[str]]) -> dict[str, Any]:
    """Entries of ``cohort.json``."""
    return {
        "name": config.name,
        "title": f"Synthetic cohort: {config.parameters.title}",
        "source": "generated by benchmark.cohorts.phantom from the ICBM152 2009a template",
        "licence": "generated data: as this repository; template: see terms",
        "terms": TEMPLATE_TERMS,
        "synthetic": True,
        "spacing_mm": config.spacing_mm,
        "shape": list(config.shape),
        "preparation": config.recipe(),
        **names,
    }


def truth_card(config: PhantomConfig, sites: SiteTable) -> dict[str, Any]:
    """Entries of ``truth.json``: what the oracle needs besides the latents."""
    role, axis = config.parameters, effects.AXES[config.parameters.axis]
    return {
        "config": config.recipe(),
        "role": asdict(role),
        "axis": asdict(axis),
        "site_severity_shift": [float(x) for x in sites.severity_shift],
        "site_missing": {k: [float(x) for x in m] for k, m in sites.missing.items()},
    }
