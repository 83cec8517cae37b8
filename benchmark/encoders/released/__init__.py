"""Encoders for weights that others have released; each is built in their architecture.

:func:`build` makes one by name, ``load_pretrained(path)`` loads the file, strictly. No weights are
shipped or fetched.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, Final

from benchmark.errors import MethodError, UnknownNameError

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
    "READS",
    "RELEASED",
    "VOLUMES",
    "BrainIAC",
    "BrainIACResNet",
    "BrainJEPA",
    "BrainMVP",
    "BrainSegFounder",
    "NucleotideTransformer",
    "build",
    "names_that_read",
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
VOLUMES: Final = "volumes"
READS = {
    "m3d-clip": VOLUMES,
    "brainiac": VOLUMES,
    "brainiac-resnet50": VOLUMES,
    "brainsegfounder": VOLUMES,
    "brainmvp": VOLUMES,
    "brain-jepa": "time series",
    "nucleotide-transformer": "DNA",
}


def build(name: str, **settings: Any) -> ReleasedEncoder:
    """Builds an encoder in the released architecture, with random weights.

    Args:
        name: A key of :data:`RELEASED`.
        settings: What differs from the released sizes; see the class.

    Raises:
        UnknownNameError: There is none of that name.
        MethodError: It has no such setting, or needs one; what each encoder reads is said, since
            the settings are often those of another kind.
    """
    if name not in RELEASED:
        raise UnknownNameError("released encoder", name, RELEASED)
    kind = __getattr__(RELEASED[name])
    signature = inspect.signature(kind)
    try:
        signature.bind(**settings)
    except TypeError as error:
        raise MethodError(
            f"encoder {name!r} reads {READS[name]} and takes the settings "
            f"{', '.join(signature.parameters)}, not {', '.join(settings) or 'none'} ({error}); "
            f"released encoders are of {_by_kind()}"
        ) from error
    encoder: ReleasedEncoder = kind(**settings)
    return encoder


def names_that_read(kind: str) -> list[str]:
    """Names of the released encoders that read one kind of input, a value of :data:`READS`.

    >>> names_that_read("DNA")
    ['nucleotide-transformer']
    """
    return [name for name, reads in READS.items() if reads == kind]


def _by_kind() -> str:
    kinds = dict.fromkeys(READS.values())
    return "; of ".join(f"{kind}: {', '.join(names_that_read(kind))}" for kind in kinds)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
