"""Encoders of volumes, time series, written text and genotypes, frozen or trained.

Names load on first use, since most of them need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.encoders.base import Encoded, Encoder, load_state
    from benchmark.encoders.frozen import FeatureStore, frozen_features
    from benchmark.encoders.genetics import GeneticsEncoder
    from benchmark.encoders.lora import add_lora
    from benchmark.encoders.text import TextEncoder, llama_like
    from benchmark.encoders.timeseries import TimeSeriesEncoder
    from benchmark.encoders.tokens import TokenEncoder

__all__ = [
    "Encoded",
    "Encoder",
    "FeatureStore",
    "GeneticsEncoder",
    "TextEncoder",
    "TimeSeriesEncoder",
    "TokenEncoder",
    "add_lora",
    "frozen_features",
    "llama_like",
    "load_state",
]

_HOMES = {
    "Encoded": "benchmark.encoders.base",
    "Encoder": "benchmark.encoders.base",
    "FeatureStore": "benchmark.encoders.frozen",
    "GeneticsEncoder": "benchmark.encoders.genetics",
    "TextEncoder": "benchmark.encoders.text",
    "TimeSeriesEncoder": "benchmark.encoders.timeseries",
    "TokenEncoder": "benchmark.encoders.tokens",
    "add_lora": "benchmark.encoders.lora",
    "frozen_features": "benchmark.encoders.frozen",
    "llama_like": "benchmark.encoders.text",
    "load_state": "benchmark.encoders.base",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
