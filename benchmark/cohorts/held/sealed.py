"""Folds that may be shown: whoever holds the table can match them, nobody else can read them.

Each identifier is replaced by its HMAC (RFC 2104, SHA-256) under a key that is the digest of the
cohort's own list of identifiers. A holder of the same release has the key and can rebuild the very
file; without the list neither a person nor the key can be found by trying identifiers one by one.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import SplitError
from benchmark.splitting import Split
from benchmark.splitting.split import FOLD, REPEAT
from benchmark.store.atomic import write_json, write_text

__all__ = ["compare_sealed", "sealed_text", "write_sealed"]

PERSON: Final = "person_hmac"
_ENDING: Final = ".sealed"
_DIGITS: Final = 32  # of 64: 128 bits tell people apart


def sealed_text(split: Split, ids: Iterable[str]) -> str:
    """The rows of a split with HMACs in place of identifiers, as CSV text.

    Args:
        split: The split.
        ids: All participants of the cohort, split or not; their list is the key.
    """
    listed = "\n".join(sorted(set(ids)))
    key = hashlib.sha256(listed.encode()).digest()
    known = {
        who: hmac.new(key, who.encode(), hashlib.sha256).hexdigest()[:_DIGITS]
        for who in split.table[v.PARTICIPANT_ID].unique()
    }
    rows = split.table.assign(**{PERSON: split.table[v.PARTICIPANT_ID].map(known)})
    shown = [c for c in (REPEAT, FOLD, PERSON, v.PART, "percent") if c in rows]
    rows = rows[shown].sort_values([REPEAT, FOLD, PERSON])
    return rows.to_csv(index=False, lineterminator="\n")


def write_sealed(split: Split, ids: Iterable[str], folder: Path) -> Path:
    """Writes ``<protocol>.sealed.csv`` and its manifest; no identifier is in either.

    Returns:
        The path of the table.
    """
    text = sealed_text(split, ids)
    path = folder / f"{split.protocol}{_ENDING}.csv"
    write_text(path, text)
    facts = {name: split.manifest[name] for name in ("protocol", "rule", "seed", "n_people")}
    write_json(path.with_suffix(".json"), {**facts, "schema_version": 1, "sha256": _digest(text)})
    return path


def compare_sealed(split: Split, ids: Iterable[str], path: Path) -> None:
    """Compares a split with a sealed one.

    Args:
        split: Made from one's own table.
        ids: All participants of one's own cohort.
        path: ``<protocol>.sealed.csv`` of somebody else.

    Raises:
        SplitError: The file is missing, edited, or holds other folds or people.
    """
    try:
        theirs = path.read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SplitError(
            f"{path}: no sealed split with its manifest ({error}); expected both files that "
            "`neurodx cohort seal NAME` writes"
        ) from error
    if _digest(theirs) != manifest.get("sha256"):
        raise SplitError(f"{path}: differs from its manifest; fetch both files again")
    ours = sealed_text(split, ids)
    if ours == theirs:
        return
    people, own = (set(pd.read_csv(io.StringIO(text))[PERSON]) for text in (theirs, ours))
    common = len(people & own)
    why = f"{common} of {len(people)} people in common, in other folds"
    if not common:
        why = "nobody in common: another release or list of participants gives another key"
    raise SplitError(
        f"{path}: other folds than those of {split.cohort!r} ({why}). Take the release that the "
        "sealed split was made from, add it again and compare again"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
