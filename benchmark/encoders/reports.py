"""Reports through a frozen encoder of text: one vector a person, computed once."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmark.encoders.base import Encoded
from benchmark.encoders.frozen import FeatureStore, fingerprint, frozen_features
from benchmark.encoders.text import TextEncoder
from benchmark.errors import one_of
from benchmark.store.hashing import tree_sha256

__all__ = ["POOLINGS", "UNITS", "ReportFeatures", "sentences"]

UNITS: Final = ("sentence", "report")
POOLINGS: Final = ("mean", "first", "last")
_END: Final = re.compile(r"(?<=[.!?])\s+")


def sentences(report: str) -> list[str]:
    """Cuts a report after each full stop, exclamation or question mark that a space follows.

    >>> sentences("Seen with a companion. MMSE 27.5 of 30. Denies falls.")
    ['Seen with a companion.', 'MMSE 27.5 of 30.', 'Denies falls.']
    """
    return [part for part in _END.split(report.strip()) if part]


class ReportFeatures:
    """What a frozen encoder makes of reports.

    Tokens become one vector within each unit of text, and units are averaged within a report.
    Sentences recur from report to report, so encoding them one by one costs a fraction of encoding
    every report.

    Args:
        store: Where features of units are kept.
        folder: A local Hugging Face folder; "" takes the installed sentence encoder.
        layers: Layers that are kept, from the first; 0 keeps all.
        max_tokens: Longest unit in tokens.
        unit: What is encoded at a time: each ``sentence`` by itself, or the whole ``report``.
        pooling: What is read of a unit: the ``mean`` of its tokens, its ``first`` token, or its
            ``last``.

    Raises:
        MethodError: The unit or the pooling is not known, or, where features are asked for, the
            encoder cannot be loaded.
    """

    def __init__(
        self,
        store: FeatureStore,
        *,
        folder: str = "",
        layers: int = 0,
        max_tokens: int = 256,
        unit: str = "sentence",
        pooling: str = "mean",
    ) -> None:
        one_of("unit", unit, UNITS)
        one_of("pooling", pooling, POOLINGS)
        self.store, self.unit, self.pooling = store, unit, pooling
        self._settings = (folder, layers, max_tokens)

    @property
    def width(self) -> int:
        """Features of a report."""
        return _loaded(*self._settings)[0].width

    def __call__(self, reports: Sequence[str]) -> np.ndarray:
        """One row a report, (N, d) float32; zeros where there is none."""
        encoder, identity = _loaded(*self._settings)
        out = np.zeros((len(reports), encoder.width), dtype=np.float32)
        for row, report in enumerate(reports):
            if report.strip():
                units = sentences(report) if self.unit == "sentence" else [report]
                encoded = frozen_features(encoder, units, self.store, identity, lambda s: [s])
                out[row] = np.mean([self._read(e) for e in encoded], axis=0)
        return out

    def _read(self, encoded: Encoded) -> np.ndarray:
        if self.pooling == "mean":
            return encoded.pooled[0].numpy()
        return encoded.tokens[0, 0 if self.pooling == "first" else -1].numpy()


def _loaded(folder: str, layers: int, max_tokens: int) -> tuple[TextEncoder, str]:
    """The encoder, frozen, and its fingerprint; kept while its files stay as they are."""
    return _kept(folder, layers, max_tokens, _facts(folder))


def _facts(folder: str) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of the last change (ns) of each file; the installed encoder is fixed."""
    files = sorted(Path(folder).rglob("*")) if folder else []
    facts = [(str(file), file.stat()) for file in files if file.is_file()]
    return tuple((name, fact.st_size, fact.st_mtime_ns) for name, fact in facts)


@functools.lru_cache(maxsize=2)  # one process serves many fits
def _kept(
    folder: str, layers: int, max_tokens: int, facts: tuple[tuple[str, int, int], ...]
) -> tuple[TextEncoder, str]:
    del facts  # of the key alone
    encoder = TextEncoder(
        Path(folder) if folder else None, layers=layers or None, max_tokens=max_tokens
    )
    encoder.freeze()
    return encoder, fingerprint(encoder, folder, layers, max_tokens, _content(encoder.tokenizer))


def _content(tokenizer: Any) -> str:
    """Hash of what a tokenizer holds: vocabulary, merges, normalisation, special tokens."""
    with tempfile.TemporaryDirectory() as written:
        tokenizer.save_pretrained(written)
        return tree_sha256(Path(written).iterdir())
