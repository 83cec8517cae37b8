"""Small made-up cohorts for the tests of splits and leakage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.splitting import Split, read_split, write_split
from benchmark.store import Cohort, CohortWriter

CARD = {
    "name": "toy",
    "title": "Toy",
    "source": "test",
    "licence": "none",
    "synthetic": True,
    "preparation": "none",
}


def visit_table(n: int = 72, families: int = 0, pretrain: int = 0) -> pd.DataFrame:
    """A visit table of ``n`` people: CN, MCI (pMCI, sMCI, censored) and AD in turn, 3 sites.

    The first ``2 * families`` people are siblings in pairs, the last ``pretrain`` are held back.
    """
    rows = []
    for i in range(n):
        diagnosis = ("CN", "MCI", "AD", "CN", "MCI", "MCI")[i % 6]
        base = {
            "participant_id": f"sub-{i:04d}",
            "session_id": "ses-M000",
            "visit_months": 0,
            "is_index": True,
            "site_id": f"site-{(i // 6) % 3}",
            "family_id": f"fam-{i // 2}" if i < 2 * families else "",
            "part": "pretrain" if i >= n - pretrain else "evaluate",
            "age_years": 60.0 + (i * 7) % 31,
            "sex": "FM"[(i // 6) % 2],
            "diagnosis": diagnosis,
        }
        rows.append(base)
        later = {**base, "is_index": False}
        if i % 6 == 1:  # converts at month 24
            rows.append({**later, "session_id": "ses-M024", "visit_months": 24, "diagnosis": "AD"})
        if i % 6 == 4:  # stable at month 36
            rows.append({**later, "session_id": "ses-M036", "visit_months": 36})
    return pd.DataFrame(rows)


def with_images(visits: pd.DataFrame, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Gives every index visit a volume: a common brain, plus what makes each person differ."""
    rng = np.random.default_rng(seed)
    visits = visits.copy()
    visits["t1w_row"] = np.where(visits["is_index"], visits["is_index"].cumsum() - 1, -1)
    n = int(visits["is_index"].sum())
    brain = np.linspace(0.5, 1.5, 16**3).reshape(16, 16, 16)
    shape = rng.normal(0, 0.1, (n, 8, 8, 8)).repeat(2, 1).repeat(2, 2).repeat(2, 3)
    noise = rng.normal(0, 0.02, (n, 16, 16, 16))
    return visits, (brain + shape + noise).astype(np.float16)


def store(folder: Path, visits: pd.DataFrame, volumes: np.ndarray | None = None) -> Cohort:
    """Writes a cohort store named after its folder."""
    writer = CohortWriter(folder, {"n": len(visits)})
    writer.table("participants", visits)
    if volumes is not None:
        writer.array("t1w", volumes.shape, "float16")[:] = volumes
    writer.finish({**CARD, "name": folder.name})
    return Cohort(folder)


def altered(split: Split, table: pd.DataFrame) -> Split:
    """A split with other rows and a manifest that fits them, as a custom rule would write it."""
    custom = Split(split.cohort, split.protocol, split.seed, table, split.manifest)
    rule = {"name": "custom", "version": 1, "parameters": {}}
    manifest = {**split.manifest, "rule": rule, "sha256": custom.content_hash}
    return Split(split.cohort, split.protocol, split.seed, table, manifest)


def tune_on_a_training_person(folder: Path, protocol: str = "3fold") -> str:
    """Puts a training person of fold 0 into its validation too; the manifest fits the file."""
    split = read_split(folder, protocol)
    who = split.fold(0).train[0]
    row = {"repeat": 0, "fold": 0, "participant_id": who, "part": "validation"}
    table = pd.concat([split.table, pd.DataFrame([row])], ignore_index=True)
    write_split(altered(split, table), folder)
    return who
