"""The one interface of every encoder, and the strict loading of its weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.errors import MethodError

__all__ = ["Encoded", "Encoder", "check_finite", "check_state", "load_state", "read_state"]

_MOST_SHOWN = 5
_WRAPPERS = ("state_dict", "model")


class Encoded(NamedTuple):
    """What an encoder makes of B people.

    Attributes:
        tokens: Shape (B, T, d).
        pooled: Shape (B, d).
        mask: Which tokens are real, (B, T) bool; None where all are.
    """

    tokens: Tensor
    pooled: Tensor
    mask: Tensor | None = None


class Encoder(nn.Module, ABC):
    """From one modality to tokens and one vector a person.

    Attributes:
        width: Features of a token, d.
    """

    width: int

    @abstractmethod
    def encode(self, x: Any) -> Encoded:
        """Encodes B people.

        Args:
            x: Volumes (B, 1, D, H, W), time series (B, T, R), genotypes (B, S), or texts.
        """

    def forward(self, x: Any) -> Encoded:
        """As :meth:`encode`."""
        return self.encode(x)

    def load_pretrained(self, path: Path) -> None:
        """Loads weights of this very architecture.

        Args:
            path: A file, or a folder that holds ``weights.pt``.

        Raises:
            MethodError: There is no such file, or keys or shapes differ; they are named.
        """
        file = path / "weights.pt" if path.is_dir() else path
        load_state(self, read_state(file), str(file))


def read_state(file: Path, wrappers: Sequence[str] = _WRAPPERS) -> dict[str, Tensor]:
    """Reads a file of tensors by name; it can hold nothing that runs code.

    A state that is wrapped under ``state_dict`` or ``model`` is unwrapped; ``.safetensors`` files
    are read as such.

    Args:
        file: The file.
        wrappers: Names that a state may be wrapped under.

    Raises:
        MethodError: There is no such file, it holds something else, or a number is not finite.
    """
    state = _tensors(file, wrappers)
    check_finite(state, str(file))
    return state


def _tensors(file: Path, wrappers: Sequence[str]) -> dict[str, Tensor]:
    if not file.is_file():
        raise MethodError(f"{file}: expected a file of weights, which is not there")
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(file))
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise MethodError(f"{file}: not a file of plain tensors ({error})") from error
    for wrapper in wrappers:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    tensors = isinstance(state, Mapping) and all(isinstance(t, Tensor) for t in state.values())
    if not tensors:
        raise MethodError(f"{file}: expected tensors by name, got {type(state).__name__}")
    return dict(state)


def check_finite(state: Mapping[str, Tensor], source: str) -> None:
    """Refuses weights that are not numbers.

    Args:
        state: Tensors by name.
        source: Where they come from.

    Raises:
        MethodError: One holds NaN or infinity; the first is named.
    """
    for name, tensor in state.items():
        wrong = int((~tensor.isfinite()).sum())
        if wrong:
            raise MethodError(
                f"{source}: {wrong} of {tensor.numel()} numbers of {name} are NaN or infinite, "
                "expected finite weights; the file is damaged, or its training diverged: get "
                "another"
            )


def load_state(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Loads weights, every one of them.

    Args:
        module: The network.
        state: Tensors by name.
        source: Named in the error, e.g. the file.

    Raises:
        MethodError: Keys are missing or not known, or shapes differ; they are named, and the
            network is left as it was.
    """
    check_state(module.state_dict(), state, source, type(module).__name__)
    module.load_state_dict(dict(state))


def check_state(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str, kind: str
) -> None:
    """Compares names and shapes of two sets of weights.

    Args:
        own: The network's.
        state: Those to be loaded.
        source: Where those come from.
        kind: What the network is called.

    Raises:
        MethodError: Keys are missing or not known, or shapes differ; they are named.
    """
    faults = {
        "missing": [name for name in own if name not in state],
        "not known here": [name for name in state if name not in own],
        "of another shape": [
            f"{name} {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
            for name in own
            if name in state and state[name].shape != own[name].shape
        ],
    }
    told = "; ".join(
        f"{len(names)} {what}: {_few(names)}" for what, names in faults.items() if names
    )
    if told:
        raise MethodError(f"{source}: these are not the weights of {kind}: {told}")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more
