"""Random generators keyed by what they serve, so that no state has to be carried along."""

from __future__ import annotations

import hashlib

import torch

__all__ = ["generator", "key"]


def key(*parts: object) -> int:
    """Hashes the parts to a seed in [0, 2**63).

    >>> key(0, "order", 1) == key(0, "order", 1), key(0, "order", 1) == key(0, "order", 2)
    (True, False)
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded by :func:`key`."""
    return torch.Generator().manual_seed(key(*parts))
