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
    path = folder / who.split("_")[0] / "func" / f"{who}_{entities}_timeseries.tsv"
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
