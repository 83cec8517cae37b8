"""Encoders of volumes, time series, written text and genotypes, frozen or trained.

Names load on first use, since most of them need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.encoders.base import Encoded, Encoder, load_state
    from benchmark.encoders.frozen import FeatureStore, frozen_features

__all__ = ["Encoded", "Encoder", "FeatureStore", "frozen_features", "load_state"]

_HOMES = {
    "Encoded": "benchmark.encoders.base",
    "Encoder": "benchmark.encoders.base",
    "FeatureStore": "benchmark.encoders.frozen",
    "frozen_features": "benchmark.encoders.frozen",
    "load_state": "benchmark.encoders.base",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
