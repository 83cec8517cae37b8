"""A tiny cohort store with every modality, follow-up visits and gaps; a second one lacks some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.runs.job import Workspace
from benchmark.splitting import make_split, write_split
from benchmark.store import Cohort, CohortWriter

TINY = "tiny"
EXTERNAL = "tiny-external"
GRID = (6, 7, 6)
N = 48
N_PRETRAIN = 4
SNPS = [f"rs{i}" for i in range(6)]
_STAGES = ("CN", "MCI", "MCI", "AD")


def write_tiny_workspace(root: Path) -> Workspace:
    """Writes ``data/`` and ``splits/`` of both cohorts."""
    workspace = Workspace(root)
    write_cohort(workspace.data / TINY, visit_table(N, N_PRETRAIN))
    external = visit_table(16, 0, first=500).drop(columns=["education_years", "apoe_e4"])
    write_cohort(workspace.data / EXTERNAL, external.assign(site_id="site-z"), snps=False, seed=2)
    write_split(make_split(Cohort(workspace.data / TINY), "3fold", 0), workspace.splits / TINY)
    return workspace


def visit_table(n: int, pretrain: int, first: int = 0) -> pd.DataFrame:
    """One row per visit: CN, MCI (pMCI, sMCI, censored), AD in turn; no two ages are equal."""
    rows = []
    for i in range(n + pretrain):
        stage = _STAGES[i % 4]
        severity = _STAGES.index(stage)
        base = {
            "participant_id": f"sub-{first + i:04d}",
            "session_id": "ses-M000",
            "visit_months": 0,
            "is_index": True,
            "site_id": f"site-{'ab'[(i // 4) % 2]}",
            "family_id": "",
            "part": "evaluate" if i < n else "pretrain",
            "age_years": 62.0 + severity + ((i + first) * 37 % 101) / 10 + (i + first) * 1e-5,
            "sex": "FM"[(i // 8) % 2],
            "education_years": np.nan if i % 11 == 3 else 8.0 + i % 9,
            "diagnosis": stage,
            "mmse": 29.0 - 2 * severity - i % 2,
            "cdr_global": (0.0, 0.5, 0.5, 1.0)[i % 4],
            "family_history": float(i % 3 == 0),
            "apoe_e4": np.nan if i % 13 == 5 else float((i + severity) % 3),
        }
        rows.append(base)
        later = {**base, "is_index": False, "session_id": "ses-M024", "visit_months": 24}
        last = {**base, "is_index": False, "session_id": "ses-M036", "visit_months": 36}
        if stage == "MCI" and i % 24 != 1:  # the others are censored
            rows += [later, {**last, "diagnosis": "AD" if i % 4 == 1 else "MCI"}]
        elif stage == "MCI":
            rows.append(later)
    return pd.DataFrame(rows)


def write_cohort(
    folder: Path,
    visits: pd.DataFrame,
    *,
    snps: bool = True,
    seed: int = 1,
    inputs_of: pd.DataFrame | None = None,
    marked: pd.Series | None = None,
) -> Cohort:
    """Writes a whole store from a visit table; the images follow the severity, with noise.

    Args:
        folder: Where.
        visits: One row per visit.
        snps: Whether there are SNPs.
        seed: Of the noise.
        inputs_of: The same visits with the diagnoses that inputs follow; by default their own.
        marked: One diagnosis per visit, written into a corner of each volume.
    """
    rng = np.random.default_rng(seed)
    visits = visits.reset_index(drop=True)
    index = visits.loc[visits["is_index"]].reset_index(drop=True)
    n = len(index)
    stages = {"CN": 0.0, "MCI": 1.0, "AD": 2.0}
    source = visits if inputs_of is None else inputs_of.reset_index(drop=True)
    severity = source.loc[source["is_index"], "diagnosis"].map(stages).to_numpy()
    writer = CohortWriter(folder, {"seed": seed, "n": n})

    def rows_of(present: np.ndarray) -> np.ndarray:
        rows = np.full(len(visits), -1)
        rows[np.flatnonzero(visits["is_index"])] = np.where(present, np.cumsum(present) - 1, -1)
        return rows

    every = np.arange(n)
    shape = {"t1w": GRID, "fmri": (8, 5), "snps": (len(SNPS),)}
    present = {"t1w": every % 12 != 7, "fmri": every % 3 != 1, "snps": every % 8 != 2}
    for name in ("t1w", "fmri", *(["snps"] if snps else [])):
        has = present[name]
        visits[f"{name}_row"] = rows_of(has)
        values = rng.normal(size=(n, *shape[name])) - severity.reshape(n, *[1] * len(shape[name]))
        if name == "t1w" and marked is not None:
            mark = marked.reset_index(drop=True)[visits["is_index"]].map(stages).to_numpy()
            values[:, :2, :2, :2] = 5 * mark.reshape(n, 1, 1, 1)
        if name == "snps":
            values = rng.integers(-1, 3, size=(n, *shape[name]))
        kind = "int8" if name == "snps" else "float16"
        array = writer.array(name, (int(has.sum()), *shape[name]), kind)
        array[:] = values[has].astype(kind)
        array.flush()
    has = present["t1w"]
    masks = writer.array("segmentations", (int(has.sum()), *GRID), "uint8")
    masks[:] = rng.random((int(has.sum()), *GRID)) < 0.2
    masks.flush()
    writer.table("participants", visits)
    keys = index[["participant_id", "session_id"]]
    regions = keys.assign(
        hippocampus_mm3=3000 - 300 * severity + rng.normal(0, 150, n),
        head_size_mm3=1.4e6 + 1e4 * rng.normal(size=n),
    )
    writer.table("regions", regions.loc[has])
    proteins = keys.assign(tau=1 + severity + rng.normal(size=n), abeta=3 - severity)
    writer.table("biomarkers", proteins.loc[every % 2 == 0])
    text = [f"Memory complaint grade {int(s)}." for s in severity]
    scored = [f"{t} MMSE {m:.0f}." for t, m in zip(text, index["mmse"], strict=True)]
    reports = keys.assign(text=text, text_mmse=scored)
    writer.table("reports", reports.loc[every % 5 != 4])
    card = dict.fromkeys(("title", "source", "licence", "preparation"), "made up for tests")
    facts = {"name": folder.name, "synthetic": True, "spacing_mm": 20.0}
    writer.finish(card | facts | ({"snp_names": SNPS} if snps else {}))
    return Cohort(folder)
