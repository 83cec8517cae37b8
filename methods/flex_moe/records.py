"""Clinical record and report as numbers: a frozen sentence encoder and a table."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from benchmark.api import Samples
from benchmark.encoders import FeatureStore, TextEncoder, frozen_features
from benchmark.encoders.frozen import fingerprint

from .info import RecordConfig

__all__ = ["has_record", "number_columns", "numbers", "report_features", "report_width"]

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_SEX = {"F": 1.0, "M": 0.0}


def has_record(samples: Samples) -> np.ndarray:
    """Who has a clinical record or a report, (N,) bool; demographics alone are neither."""
    return samples.has("clinical") | samples.has("report")


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


def report_width(config: RecordConfig) -> int:
    """Features of a report, F."""
    return _loaded(config.folder, config.layers, config.max_tokens)[0].width


def report_features(
    reports: Sequence[str], config: RecordConfig, store: FeatureStore
) -> np.ndarray:
    """Mean over a report's sentences of what the frozen encoder makes of each.

    Args:
        reports: N texts, "" where missing.
        config: Settings.
        store: Where features of sentences are kept.

    Returns:
        Shape (N, F), float32; zeros where there is no report.
    """
    encoder, identity = _loaded(config.folder, config.layers, config.max_tokens)
    out = np.zeros((len(reports), encoder.width), dtype=np.float32)
    for row, report in enumerate(reports):
        said = [sentence for sentence in _SENTENCE_END.split(report.strip()) if sentence]
        if said:
            encoded = frozen_features(encoder, said, store, identity, lambda sentence: [sentence])
            out[row] = np.mean([e.pooled[0].numpy() for e in encoded], axis=0)
    return out


@functools.lru_cache(maxsize=1)
def _loaded(folder: str, layers: int, max_tokens: int) -> tuple[TextEncoder, str]:
    """The encoder, frozen, and its fingerprint; kept, since one process serves many fits."""
    encoder = TextEncoder(
        Path(folder) if folder else None, layers=layers or None, max_tokens=max_tokens
    )
    encoder.freeze()
    return encoder, fingerprint(encoder, folder, layers, max_tokens)
