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
from benchmark.splitting.split import FOLD, PERCENT, REPEAT, columns_of
from benchmark.store.atomic import write_json, write_text

__all__ = ["compare_sealed", "is_sealed", "open_sealed", "sealed_text", "write_sealed"]

PERSON: Final = "person_hmac"
_ENDING: Final = ".sealed"
_DIGITS: Final = 32  # of 64: 128 bits tell people apart


def sealed_text(split: Split, ids: Iterable[str]) -> str:
    """The rows of a split with HMACs in place of identifiers, as CSV text.

    Args:
        split: The split.
        ids: All participants of the cohort, split or not; their list is the key.
    """
    known = _hmacs(ids, split.table[v.PARTICIPANT_ID].unique())
    rows = split.table.assign(**{PERSON: split.table[v.PARTICIPANT_ID].map(known)})
    shown = [c for c in (REPEAT, FOLD, PERSON, v.PART, PERCENT) if c in rows]
    rows = rows[shown].sort_values([REPEAT, FOLD, PERSON])
    return rows.to_csv(index=False, lineterminator="\n")


def is_sealed(path: Path) -> bool:
    """Whether a file's name is that of a sealed fold file."""
    return path.name.endswith(f"{_ENDING}.csv")


def open_sealed(path: Path, ids: Iterable[str], cohort: str) -> Split | None:
    """Reads a sealed split with one's own list of participants.

    Args:
        path: ``<protocol>.sealed.csv``.
        ids: All participants of one's own cohort.
        cohort: The cohort's name.

    Returns:
        The split with identifiers; its manifest is the sealed one, without counts and strata. None
        where the list is another one than that which it was sealed under.

    Raises:
        SplitError: The file is missing or edited.
    """
    text, manifest = _read(path)
    ids = set(ids)
    named = {sealed: who for who, sealed in _hmacs(ids, ids).items()}
    rows = pd.read_csv(io.StringIO(text), dtype={PERSON: str})
    if not set(rows[PERSON]) <= named.keys():
        return None
    rows = rows.assign(**{v.PARTICIPANT_ID: rows[PERSON].map(named)})
    protocol = str(manifest["protocol"])
    table = rows.sort_values([REPEAT, FOLD, v.PARTICIPANT_ID], ignore_index=True)
    return Split(cohort, protocol, int(manifest["seed"]), table[columns_of(protocol)], manifest)


def _hmacs(ids: Iterable[str], people: Iterable[str]) -> dict[str, str]:
    """The HMAC of each person, under the key that the list of all participants is."""
    key = hashlib.sha256("\n".join(sorted(set(ids))).encode()).digest()
    return {who: hmac.digest(key, who.encode(), "sha256").hex()[:_DIGITS] for who in people}


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SplitError(
            f"{path}: no sealed split with its manifest ({error}); expected both files that "
            "`neurodx cohort seal NAME` writes"
        ) from error
    if _digest(text) != manifest.get("sha256"):
        raise SplitError(f"{path}: differs from its manifest; fetch both files again")
    return text, manifest


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
    theirs, _ = _read(path)
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
        "sealed split was made from, add it again and compare again; what separates two releases: "
        "`neurodx splits diff --help`"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
