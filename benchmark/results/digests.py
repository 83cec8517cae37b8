"""Digests of what scores and tables rest on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.results.embeddings import Embedding
from benchmark.results.ledger import Ledger

__all__ = ["beside_digest", "file_digest", "ledger_digest", "settings_digest", "table_digest"]

_CODE = Path(__file__).resolve().parents[1]


def settings_digest(**settings: Any) -> str:
    """Digest of the settings and of the source that scores."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for folder in ("metrics", "stats", "results"):
        for path in sorted((_CODE / folder).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def ledger_digest(ledger: Ledger) -> str:
    """Digest of everything in a ledger that scores rest on."""
    if ledger.digests:
        return ledger.digests[0]
    known = repr((ledger.key, ledger.facts)) + table_digest(ledger.frame)
    return hashlib.sha256(known.encode()).hexdigest()


def beside_digest(ledger: Ledger) -> str:
    """Digest of what robustness tables take from a ledger besides."""
    if ledger.digests:
        return ledger.digests[1]
    tables = ["" if x is None else table_digest(x) for x in (ledger.validation, ledger.missing)]
    fits = [_fit_digest(fit) for fit in ledger.embeddings.fits]
    noted = ledger.missing_note, ledger.embeddings.note
    return hashlib.sha256(repr((ledger.trail, tables, fits, noted)).encode()).hexdigest()


def table_digest(table: pd.DataFrame) -> str:
    """Digest of a table's columns, whatever their order; its index does not count."""
    digest = hashlib.sha256()
    for name in sorted(table.columns):
        column = table[name]
        digest.update(f"\x1e{name}\x1e{column.dtype}\x1e".encode())
        if column.dtype.kind in "fiub" and isinstance(column.dtype, np.dtype):
            digest.update(np.ascontiguousarray(column.to_numpy()).tobytes())
        else:
            digest.update("\x1f".join(map(str, column.tolist())).encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Digest of a file; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _fit_digest(fit: Embedding) -> str:
    digest = hashlib.sha256("\x1f".join(map(str, fit.participant_ids)).encode())
    digest.update(repr((fit.values.dtype, fit.values.shape)).encode())
    digest.update(np.ascontiguousarray(fit.values).tobytes())
    return digest.hexdigest()
