"""Made-up people with clinical records, fMRI and genotypes, and no scans."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.api import Samples
from benchmark.samples import LazyRows


def people(n: int, seed: int, records: np.ndarray | None = None) -> Samples:
    """Text, fMRI and genotypes, some of them missing.

    Args:
        n: Number of people.
        seed: Of what they have.
        records: Who has a clinical record, (N,) bool; everybody by default.
    """
    g = np.random.default_rng(seed)
    y = np.arange(n) % 3 * 1.0
    has = {
        "fmri": np.arange(n) % 4 != 3,
        "genetic": np.arange(n) % 5 != 4,
        "clinical": np.ones(n, dtype=bool) if records is None else records,
    }
    series = g.normal(size=(n, 12, 4)).astype(np.float32)
    series[:, :, 1] += y[:, None] * series[:, :, 0]
    snps = g.integers(0, 3, (n, 5)).astype(np.int8)
    conversion = np.where(y == 1, np.arange(n) // 3 % 2, np.nan)

    def rows(array: np.ndarray, there: np.ndarray) -> LazyRows:
        return LazyRows([array], np.zeros(n, dtype=int), np.where(there, np.arange(n), -1))

    return Samples(
        n=n,
        tables={
            "clinical": pd.DataFrame({"faq_total": np.where(has["clinical"], 5 * y + 1, np.nan)}),
            "genetic": pd.DataFrame({"apoe_e4": np.where(has["genetic"], y % 3, np.nan)}),
        },
        arrays={"fmri": rows(series, has["fmri"]), "snps": rows(snps, has["genetic"])},
        available=has,
        names={"snps": [f"rs{i}" for i in range(5)]},
        _labels={
            "dx3": (y, np.ones(n, dtype=bool)),
            "conversion": (conversion, ~np.isnan(conversion)),
        },
        _targets={},
    )
