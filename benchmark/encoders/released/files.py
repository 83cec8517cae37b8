"""Strict loading of released weights whose names are not ours."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from benchmark.encoders.base import Encoder, check_state, read_state
from benchmark.errors import MethodError

__all__ = ["ReleasedEncoder", "under"]


def under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name[len(prefix) :]: t for name, t in state.items() if name.startswith(prefix)}


class ReleasedEncoder(Encoder):
    """An encoder for weights that others have released.

    Attributes:
        released_files: Names that the file bears inside a folder, the first that is there is read.
        wrappers: Names that the weights may be wrapped under in the file.
        left_out: Beginnings of names, after :meth:`select`, of what the encoder has no use for.
    """

    released_files: ClassVar[tuple[str, ...]]
    wrappers: ClassVar[tuple[str, ...]] = ("state_dict", "model")
    left_out: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def released_name(self, own: str) -> str | None:
        """The released name, after :meth:`select`, of one of our tensors; None: only ours."""

    def select(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Takes off what wraps the encoder's names; here, the prefix of parallel training."""
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}

    def load_pretrained(self, path: Path) -> None:
        """Loads released weights, every tensor of the encoder.

        Args:
            path: The released file, or a folder that holds it.

        Raises:
            MethodError: There is no such file, it holds more than plain tensors, or names or
                shapes differ; they are named as in the file, and nothing is changed.
        """
        file = self._file(path)
        state = {
            name: tensor
            for name, tensor in self.select(read_state(file, self.wrappers)).items()
            if not name.startswith(self.left_out)
        }
        own = self.state_dict()
        names = {ours: self.released_name(ours) for ours in own}
        table = {theirs: ours for ours, theirs in names.items() if theirs is not None}
        expected = {theirs: own[ours] for theirs, ours in table.items()}
        check_state(expected, state, str(file), type(self).__name__)
        self.load_state_dict({ours: state[theirs] for theirs, ours in table.items()}, strict=False)

    def _file(self, path: Path) -> Path:
        if not path.is_dir():
            return path
        there = [path / name for name in self.released_files if (path / name).is_file()]
        if not there:
            raise MethodError(
                f"{path}: expected one of {', '.join(self.released_files)}; name the file itself "
                "if it is called otherwise"
            )
        return there[0]
