"""Clinical record and report as numbers: a frozen sentence encoder and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from benchmark.api import Samples, one_of
from benchmark.encoders import FeatureStore, ReportFeatures

from .info import RecordConfig

__all__ = ["REPORTS", "number_columns", "numbers", "report_features"]

REPORTS: Final = ("joined", "separate")
_SEX = {"F": 1.0, "M": 0.0}


def number_columns(samples: Samples) -> list[str]:
    """Columns of demographics and clinical record that are numbers, and sex."""
    table = _table(samples)
    return [str(c) for c in table if c == "sex" or is_numeric_dtype(table[c])]


def numbers(samples: Samples, columns: Sequence[str]) -> np.ndarray:
    """Values of those columns, (N, C) float32, NaN where missing; sex is 1 for F and 0 for M."""
    table = _table(samples).reindex(columns=list(columns))
    if "sex" in table:
        table["sex"] = table["sex"].astype(object).map(_SEX)
    return table.astype("float32").to_numpy(dtype=np.float32, na_value=np.nan)


def _table(samples: Samples) -> pd.DataFrame:
    sources = [s for s in ("demographics", "clinical") if s in samples.tables]
    return samples.frame(*sources) if sources else pd.DataFrame(index=range(samples.n))


def report_features(config: RecordConfig, store: FeatureStore) -> ReportFeatures:
    """What makes features of reports.

    Args:
        config: Settings.
        store: Where features of sentences are kept.

    Raises:
        MethodError: ``record.report`` is not known.
    """
    one_of("record.report", config.report, REPORTS)
    return ReportFeatures(
        store, folder=config.folder, layers=config.layers, max_tokens=config.max_tokens
    )
