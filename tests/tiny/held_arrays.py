"""Made-up time series as XCP-D writes them, and plink files, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd


def write_series(
    folder: Path,
    who: str,
    values: np.ndarray,
    names: Sequence[str] = ("A", "B", "C"),
    entities: str = "task-rest_seg-Tiny_stat-mean",
) -> Path:
    """One table, ``n/a`` where a number is missing."""
    path = folder / who.partition("_")[0] / "func" / f"{who}_{entities}_timeseries.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(values, columns=list(names)).to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def write_bed(
    path: Path, dosages: Sequence[Sequence[float]], people: Sequence[str], **properties: list
) -> Path:
    """A ``.bed`` with its ``.bim`` and ``.fam``; dosages of the first allele, NaN missing."""
    from bed_reader import to_bed

    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(dosages[0])
    facts: Mapping[str, list] = {
        "iid": list(people),
        "sid": [f"rs{k + 1}" for k in range(n)],
        "chromosome": ["1"] * n,
        "bp_position": [100 + k for k in range(n)],
        "allele_1": ["A"] * n,
        "allele_2": ["G"] * n,
        **properties,
    }
    to_bed(path, np.asarray(dosages, dtype=np.float64), properties=facts, num_threads=1)
    return path


MAPPING = """\
title: Made-up clinic with fMRI and genotypes
source: tests
licence: none
file: visits.csv
columns:
  participant_id: {column: id}
  age_years: {column: age}
  sex: {column: sex}
  diagnosis: {column: dx}
fmri:
  folder: xcp_d
  files: "*seg-Tiny*timeseries.tsv"
  frames: 30
snps:
  file: panel.bed
  keep: [rs1, rs2 G]
"""


def write_clinic_with_arrays(root: Path, n: int = 60) -> Path:
    """A table, time series of all but two people and genotypes of all but three; the mapping."""
    rng = np.random.default_rng(7)
    root.mkdir(parents=True, exist_ok=True)
    people = [f"P{k:03d}" for k in range(n)]
    dx = [("CN", "AD")[k % 2] for k in range(n)]
    frame = {"id": people, "age": 60 + np.arange(n) % 20, "sex": ["F", "M"] * (n // 2), "dx": dx}
    pd.DataFrame(frame).to_csv(root / "visits.csv", index=False)
    for k, who in enumerate(people[:-2]):
        shared = rng.standard_normal((30 + k % 3, 1)) * (k % 2)
        values = rng.standard_normal((30 + k % 3, 5)) + shared
        write_series(root / "xcp_d", f"sub-{who}", values, "ABCDE")
    dosages = rng.integers(0, 3, (n - 3, 3)).astype(float)
    write_bed(root / "panel.bed", dosages.tolist(), people[3:])
    path = root / "clinic_arrays.yaml"
    path.write_text(MAPPING, encoding="utf-8")
    return path
