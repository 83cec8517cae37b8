"""What frozen encoders give, computed once per person and kept.

A person's features depend on the encoder's weights and on that person's input alone: each person
is encoded by itself, so features do not depend on who shares a batch, and a stored value equals a
computed one to the bit. The store is therefore shared by epochs, folds, seeds and trials. Code is
not in the key: a run is given a folder for its code alone (``feature_folder`` of
``benchmark.runs.identity``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmark.encoders.base import Encoded
from benchmark.errors import MethodError
from benchmark.store.atomic import replace_file

__all__ = ["FeatureStore", "fingerprint", "frozen_features"]


class FeatureStore:
    """Features by the hash of encoder and input, in memory and, where there is a folder, on disk.

    Several processes may share a folder: a file is renamed into place when it is whole.

    Args:
        folder: Where files lie; None keeps features in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._memory: dict[str, np.ndarray] = {}

    def get(self, key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The features of a key, computed where they are not there.

        Raises:
            MethodError: A stored file is damaged; it is named.
        """
        if key not in self._memory:
            self._memory[key] = self._from_disk(key, compute)
        return self._memory[key]

    def _from_disk(self, key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        if self.folder is None:
            return compute()
        path = self.folder / key[:2] / f"{key}.npy"
        if path.is_file():
            try:
                return np.asarray(np.load(path))
            except (ValueError, EOFError) as error:
                raise MethodError(f"{path}: damaged ({error}); remove it and run again") from error
        value = compute()
        with replace_file(path) as temporary, temporary.open("wb") as file:
            np.save(file, value)
        return value


def fingerprint(module: nn.Module, *settings: object) -> str:
    """Hash of a network's class, settings, weights and buffers."""
    digest = hashlib.sha256(f"{type(module).__qualname__}{settings}".encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        plain = tensor.detach().cpu().contiguous().flatten()
        digest.update(plain.view(torch.uint8).numpy().tobytes())  # bfloat16 has no numpy type
    return digest.hexdigest()


@torch.no_grad()
def frozen_features(
    encoder: nn.Module,
    people: Iterable[Any],
    store: FeatureStore,
    identity: str,
    prepare: Callable[[Any], Any] = lambda x: x,
) -> list[Encoded]:
    """Encodes people one by one in eval mode, or takes what the store has.

    Args:
        encoder: Gives :class:`Encoded`; it is neither trained nor changed.
        people: One input each: an array, or a text.
        store: Where features are kept.
        identity: :func:`fingerprint` of the encoder, made once by the caller.
        prepare: From one input to what the encoder takes, a batch of one.

    Returns:
        One (tokens (1, T, d), pooled (1, d)) a person, float32, on the CPU; real tokens only, so T
        differs between people where the encoder masks some.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        return [_encoded(encoder, one, store, identity, prepare) for one in people]
    finally:
        encoder.train(was_training)


def _encoded(
    encoder: nn.Module,
    one: Any,
    store: FeatureStore,
    identity: str,
    prepare: Callable[[Any], Any],
) -> Encoded:
    def compute() -> np.ndarray:
        answer = encoder(prepare(one))
        tokens = answer.tokens[0] if answer.mask is None else answer.tokens[0][answer.mask[0]]
        return np.concatenate([answer.pooled.float().cpu().numpy(), tokens.float().cpu().numpy()])

    key = hashlib.sha256(f"{identity}/{content_hash(one)}".encode()).hexdigest()
    rows = torch.from_numpy(store.get(key, compute))
    return Encoded(rows[None, 1:], rows[:1])


def content_hash(one: np.ndarray | str | Sequence[float]) -> str:
    """Hash of one input."""
    if isinstance(one, str):
        return hashlib.sha256(one.encode()).hexdigest()
    array = np.ascontiguousarray(one)
    head = f"{array.dtype}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()
