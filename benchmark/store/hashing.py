"""Content hashes of files and folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["canonical_sha256", "file_sha256", "tree_sha256"]


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def tree_sha256(roots: Iterable[Path]) -> str:
    """Returns one hash of all files below ``roots`` but notes (``.md``), caches and hidden files.

    The hash covers names relative to each root and contents, so moving the tree changes nothing.

    Args:
        roots: Files or folders.
    """
    digest = hashlib.sha256()
    for root in sorted(roots):
        files = [root] if root.is_file() else sorted(root.rglob("*"))
        for path in files:
            inside = path.relative_to(root.parent)
            hidden = any(part.startswith(".") for part in inside.parts)
            if hidden or path.suffix == ".md" or "__pycache__" in inside.parts:
                continue
            if path.is_file():
                name = inside.as_posix()
                digest.update(f"{name}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def canonical_sha256(value: Any) -> str:
    """Returns the hash of a JSON-able value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
