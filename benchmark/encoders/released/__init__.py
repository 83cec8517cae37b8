"""Encoders for weights that others have released; each is built in their architecture.

:func:`build` makes one by name, ``load_pretrained(path)`` loads the file, strictly. No weights are
shipped or fetched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from benchmark.errors import UnknownNameError

if TYPE_CHECKING:
    from benchmark.encoders.released.brain_jepa import BrainJEPA
    from benchmark.encoders.released.brainiac import BrainIAC, BrainIACResNet
    from benchmark.encoders.released.brainmvp import BrainMVP
    from benchmark.encoders.released.brainsegfounder import BrainSegFounder
    from benchmark.encoders.released.files import ReleasedEncoder
    from benchmark.encoders.released.m3d_clip import M3DCLIP
    from benchmark.encoders.released.nucleotide_transformer import NucleotideTransformer

__all__ = [
    "M3DCLIP",
    "RELEASED",
    "BrainIAC",
    "BrainIACResNet",
    "BrainJEPA",
    "BrainMVP",
    "BrainSegFounder",
    "NucleotideTransformer",
    "build",
]

_HOMES = {
    "M3DCLIP": "m3d_clip",
    "BrainIAC": "brainiac",
    "BrainIACResNet": "brainiac",
    "BrainSegFounder": "brainsegfounder",
    "BrainMVP": "brainmvp",
    "BrainJEPA": "brain_jepa",
    "NucleotideTransformer": "nucleotide_transformer",
}
RELEASED = {
    "m3d-clip": "M3DCLIP",
    "brainiac": "BrainIAC",
    "brainiac-resnet50": "BrainIACResNet",
    "brainsegfounder": "BrainSegFounder",
    "brainmvp": "BrainMVP",
    "brain-jepa": "BrainJEPA",
    "nucleotide-transformer": "NucleotideTransformer",
}


def build(name: str, **settings: Any) -> ReleasedEncoder:
    """Builds an encoder in the released architecture, with random weights.

    Args:
        name: A key of :data:`RELEASED`.
        settings: What differs from the released sizes; see the class.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in RELEASED:
        raise UnknownNameError("released encoder", name, RELEASED)
    encoder: ReleasedEncoder = __getattr__(RELEASED[name])(**settings)
    return encoder


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
