"""Dataclasses of settings from the plain values that a file can hold."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from benchmark.errors import UnknownNameError

__all__ = ["from_plain"]


def from_plain(kind: type, values: Mapping[str, Any]) -> Any:
    """Builds a dataclass, nested ones included.

    Args:
        kind: The dataclass.
        values: By field name; fields left out keep their defaults.

    Raises:
        UnknownNameError: A value belongs to no field.
    """
    hints = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    arguments = {}
    for name, value in values.items():
        if name not in known:
            raise UnknownNameError(f"setting of {kind.__name__}", name, known)
        hint = hints[name]
        if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, Mapping):
            value = from_plain(hint, value)  # noqa: PLW2901 - the nested dataclass replaces it
        elif typing.get_origin(hint) is tuple:
            value = tuple(value)  # noqa: PLW2901
        arguments[name] = value
    return kind(**arguments)
