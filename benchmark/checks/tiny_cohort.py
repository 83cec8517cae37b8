"""A made-up cohort of 120 people that holds every source and a label of every task.

What it holds follows one latent severity, so that a method can learn; people lack sources in
turn, as in real cohorts. It is a plain cohort store, so checks go the way of real runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.store import Cohort, CohortWriter

__all__ = ["TINY", "write_tiny_cohort"]

TINY: Final = "tiny"
N_PEOPLE: Final = 120
GRID: Final = (16, 20, 16)  # that of profile smoke
SPACING_MM: Final = 10.0
_FMRI: Final = (24, 8)  # time points, regions
_N_SNPS: Final = 6
_N_PROTEINS: Final = 5
# One block of ten people; severity lies between 0 and 1.
_DIAGNOSES: Final = (v.CN, v.MCI, v.AD, v.CN, v.MCI, v.AD, v.PD, v.HC, v.PD, v.HC)
_SEVERITY: Final = {v.CN: 0.0, v.HC: 0.0, v.MCI: 0.5, v.PD: 0.7, v.AD: 1.0}
_KEYS: Final = [v.PARTICIPANT_ID, v.SESSION_ID]


def write_tiny_cohort(
    folder: Path, seed: int = 0, grid: tuple[int, int, int] = GRID, name: str = TINY
) -> Cohort:
    """Writes the cohort as ``folder/<name>`` and opens it.

    Args:
        folder: A ``data`` folder.
        seed: Another seed gives other people.
        grid: Shape of a volume in voxels.
        name: The cohort's name.
    """
    rng = np.random.default_rng(seed)
    people = _people(rng)
    severity = people[v.DIAGNOSIS].map(_SEVERITY).to_numpy() + rng.normal(0, 0.15, N_PEOPLE)
    writer = CohortWriter(folder / name, {"seed": seed, "grid": list(grid)})
    writer.table("participants", pd.concat([people, _follow_up(people)], ignore_index=True))
    keys = people[_KEYS]
    writer.table("regions", _regions(keys, severity, rng))
    writer.table("biomarkers", _biomarkers(keys, severity, rng))
    writer.table("reports", _reports(keys, severity))
    for part, array in _arrays(people, severity, grid, rng).items():
        stored = writer.array(part, array.shape, str(array.dtype))
        stored[:] = array
        stored.flush()
    writer.finish(_card(name))
    return Cohort(folder / name)


def _card(name: str) -> dict[str, Any]:
    texts = dict.fromkeys(("title", "source", "licence", "preparation"), "made up for checks")
    snps = [f"rs{k + 1}" for k in range(_N_SNPS)]
    return {**texts, "name": name, "synthetic": True, "spacing_mm": SPACING_MM, "snp_names": snps}


def _people(rng: np.random.Generator) -> pd.DataFrame:
    number = np.arange(N_PEOPLE)
    diagnosis = np.array(_DIAGNOSES)[number % len(_DIAGNOSES)]
    severity = pd.Series(diagnosis).map(_SEVERITY).to_numpy()
    age = np.round(rng.uniform(55, 90, N_PEOPLE), 2)
    return pd.DataFrame(
        {
            v.PARTICIPANT_ID: [f"sub-{i:04d}" for i in number],
            v.SESSION_ID: "ses-M000",
            v.VISIT_MONTHS: 0,
            v.IS_INDEX: True,
            v.SITE_ID: np.array(["site-a", "site-b"])[number // 5 % 2],
            v.PART: v.EVALUATE,
            v.AGE_YEARS: age,
            "age_transformed": np.round((age - 70) / 10, 4),
            v.SEX: np.array(["F", "M"])[rng.integers(0, 2, N_PEOPLE)],
            v.EDUCATION_YEARS: _with_gaps(rng.integers(8, 20, N_PEOPLE), 9),
            v.DIAGNOSIS: diagnosis,
            v.IMPAIRED: (severity > 0).astype(np.float64),
            v.CDR_GLOBAL: np.where(severity > 0.9, 1.0, np.where(severity > 0.4, 0.5, 0.0)),
            v.MMSE: np.round(29 - 6 * severity + rng.normal(0, 1, N_PEOPLE)).clip(0, 30),
            v.FAMILY_HISTORY: _with_gaps(rng.integers(0, 2, N_PEOPLE), 11),
            "faq_total": _with_gaps(
                np.round(10 * severity + rng.normal(2, 2, N_PEOPLE)).clip(0, 30), 13
            ),
            v.APOE_E4: _with_gaps(rng.binomial(2, 0.15 + 0.3 * severity), 7),
            "t1w_row": _rows(8),
            "fmri_row": _rows(5),
            "snps_row": _rows(7),
        }
    )


def _follow_up(people: pd.DataFrame) -> pd.DataFrame:
    """A visit at 36 months of everybody with MCI; every second one has converted by then."""
    later = people.loc[people[v.DIAGNOSIS] == v.MCI].copy()
    later[v.SESSION_ID], later[v.VISIT_MONTHS], later[v.IS_INDEX] = "ses-M036", 36, False
    later[["t1w_row", "fmri_row", "snps_row"]] = -1
    later[v.DIAGNOSIS] = np.where(np.arange(len(later)) % 2, v.AD, v.MCI)
    return later


def _with_gaps(values: np.ndarray, every: int) -> np.ndarray:
    gaps = np.arange(len(values)) % every == every - 1
    return np.where(gaps, np.nan, values.astype(np.float64))


def _rows(missing_every: int) -> np.ndarray:
    number = np.arange(N_PEOPLE)
    return np.where(number % missing_every == missing_every - 1, -1, number)


def _regions(keys: pd.DataFrame, severity: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    noise = rng.normal(1, 0.05, (N_PEOPLE, 3))
    values = {
        "hippocampus_mm3": 7000 * (1 - 0.25 * severity) * noise[:, 0],
        "lateral_ventricles_mm3": 30000 * (1 + 0.5 * severity) * noise[:, 1],
        v.HEAD_SIZE_MM3: 1.5e6 * noise[:, 2],
    }
    return keys.assign(**values).loc[_rows(8) >= 0]


def _biomarkers(keys: pd.DataFrame, severity: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    values = severity[:, None] * np.linspace(-1, 1, _N_PROTEINS)
    values = values + rng.normal(0, 0.5, (N_PEOPLE, _N_PROTEINS))
    columns = {f"protein_{k}": _with_gaps(values[:, k], 12 + k) for k in range(_N_PROTEINS)}
    return keys.assign(**columns).loc[_rows(10) >= 0]


def _reports(keys: pd.DataFrame, severity: np.ndarray) -> pd.DataFrame:
    words = np.where(severity > 0.75, "marked", np.where(severity > 0.25, "mild", "no"))
    texts = [f"The family reports {word} memory trouble. Atrophy: {word}." for word in words]
    table = keys.assign(text=texts, text_mmse=texts)
    return table.loc[_rows(6) >= 0]


def _arrays(
    people: pd.DataFrame, severity: np.ndarray, grid: tuple[int, int, int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    age = (people[v.AGE_YEARS].to_numpy() - 70) / 20
    lines = [np.linspace(-1, 1, size) for size in grid]
    axes = np.stack(np.meshgrid(*lines, indexing="ij"))  # 3 i j k
    brain, lesion, core = _ball(axes, 0.0, 0.8), _ball(axes, 0.3, 0.15), _ball(axes, -0.2, 0.15)
    change = np.multiply.outer(severity, lesion) + np.multiply.outer(age, core)
    volumes = brain * (1 - 0.3 * change) + rng.normal(0, 0.05, (N_PEOPLE, *grid))
    series = rng.normal(0, 1, (N_PEOPLE, *_FMRI))
    series[:, :, 1] += (1 - severity)[:, None] * series[:, :, 0]  # one coupling falls
    dosage = rng.binomial(2, (0.2 + 0.3 * severity.clip(0, 1))[:, None], (N_PEOPLE, _N_SNPS))
    dosage[::17, 0] = -1  # uncalled
    return {
        "t1w": volumes.clip(0).astype(np.float16),
        "segmentations": np.broadcast_to(lesion, volumes.shape).astype(np.uint8),
        "fmri": series.astype(np.float16),
        "snps": dosage.astype(np.int8),
    }


def _ball(axes: np.ndarray, centre: float, radius_squared: float) -> np.ndarray:
    distance_squared: np.ndarray = ((axes - centre) ** 2).sum(axis=0)
    return (distance_squared < radius_squared).astype(np.float64)
