"""Reports through a frozen encoder: one vector a person, computed once."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.api import MethodError
from benchmark.encoders import FeatureStore, TextEncoder, frozen_features
from benchmark.encoders.frozen import fingerprint
from methods.brain_adapter.info import TextConfig

__all__ = ["UNITS", "ReportFeatures", "sentences"]

UNITS = ("sentence", "report")
_END = re.compile(r"(?<=[.!?])\s+")


def sentences(report: str) -> list[str]:
    """Cuts a report after each full stop, exclamation or question mark that a space follows.

    >>> sentences("Seen with a companion. MMSE 27.5 of 30. Denies falls.")
    ['Seen with a companion.', 'MMSE 27.5 of 30.', 'Denies falls.']
    """
    return [part for part in _END.split(report.strip()) if part]


class ReportFeatures:
    """What the frozen encoder makes of reports.

    Tokens are averaged within each unit of text, and units within a report. Sentences recur from
    report to report, so encoding them one by one costs a fraction of encoding every report.

    Args:
        config: Settings.
        store: Where features of units are kept.

    Raises:
        MethodError: The unit is not known, or the encoder cannot be loaded.
    """

    def __init__(self, config: TextConfig, store: FeatureStore) -> None:
        if config.unit not in UNITS:
            raise MethodError(f"text.unit is {config.unit!r}, expected one of {', '.join(UNITS)}")
        self.config, self.store = config, store

    @property
    def width(self) -> int:
        """Features of a report."""
        return self._encoder()[0].width

    def __call__(self, reports: Sequence[str]) -> np.ndarray:
        """One row a report, (N, d) float32; zeros where there is none."""
        encoder, identity = self._encoder()
        out = np.zeros((len(reports), encoder.width), dtype=np.float32)
        for row, report in enumerate(reports):
            if report.strip():
                units = sentences(report) if self.config.unit == "sentence" else [report]
                encoded = frozen_features(encoder, units, self.store, identity, lambda s: [s])
                out[row] = np.mean([e.pooled[0].float().numpy() for e in encoded], axis=0)
        return out

    def _encoder(self) -> tuple[TextEncoder, str]:
        config = self.config
        return _loaded(config.folder, config.layers, config.max_tokens)


@functools.lru_cache(maxsize=1)
def _loaded(folder: str, layers: int, max_tokens: int) -> tuple[TextEncoder, str]:
    """The encoder, frozen, and its fingerprint; kept, since one process serves many small fits."""
    encoder = TextEncoder(
        Path(folder) if folder else None, layers=layers or None, max_tokens=max_tokens
    )
    encoder.freeze()
    return encoder, fingerprint(encoder, folder, layers, max_tokens)
