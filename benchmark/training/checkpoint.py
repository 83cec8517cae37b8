"""The state of an unfinished training, written atomically at the end of an epoch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from benchmark.store.atomic import replace_file

__all__ = ["read_checkpoint", "write_checkpoint"]


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values; a reader sees the old checkpoint or the new one."""
    with replace_file(path) as temporary:
        torch.save(state, temporary)


def read_checkpoint(path: Path, identity: str) -> dict[str, Any] | None:
    """Reads a checkpoint of the same training.

    Args:
        path: The file.
        identity: What the training is; a checkpoint of another one is not used.

    Returns:
        The state, or None where there is no checkpoint, it is damaged, or it is another training's.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
        return None
    return state if isinstance(state, dict) and state.get("identity") == identity else None
