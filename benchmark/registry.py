"""Finds methods: every folder of ``baselines/`` and ``methods/``, and installed entry points.

A method that cannot be imported is listed as unavailable with its traceback; it never hides the
others. Two methods of one name are an error that names both.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmark.errors import DuplicateNameError, MethodError, UnknownNameError
from benchmark.method_info import MethodInfo

if TYPE_CHECKING:
    from benchmark.method import Method

__all__ = ["Registry", "get_method", "load_method_class", "register", "registry"]

ENTRY_POINTS = "neurodx.methods"
ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("baselines", "methods")
_registered: dict[str, MethodInfo] = {}


@dataclass(frozen=True)
class Registry:
    """All methods that were found.

    Attributes:
        methods: By name.
        unavailable: Traceback of each method that could not be imported, by folder or entry point.
    """

    methods: Mapping[str, MethodInfo]
    unavailable: Mapping[str, str] = field(default_factory=dict)


def register(info: MethodInfo) -> MethodInfo:
    """Enters a method under its name and those of its variants; ``info.py`` calls it.

    Raises:
        DuplicateNameError: Another method already has that name or one of those variants.
    """
    taken = {row: other for other in _registered.values() for row in (other.name, *other.variants)}
    for name in (info.name, *info.variants):
        other = taken.get(name)
        if other is not None and other != info:
            raise DuplicateNameError(
                f"two methods are named {name!r}: {other.model} ({other.title}) and {info.model} "
                f"({info.title}); rename one of them in its info.py"
            )
    _registered[info.name] = info
    return info


@cache
def registry() -> Registry:
    """Imports every ``info.py`` once and returns what is there."""
    found: dict[str, MethodInfo] = {}
    broken: dict[str, str] = {}
    modules = {
        f"{package}.{folder.name}.info": f"{package}/{folder.name}"
        for package in _FOLDERS
        for folder in sorted((ROOT / package).glob("*/"))
        if (folder / "info.py").is_file() and not folder.name.startswith(("_", "."))
    }
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        modules[point.value.partition(":")[0]] = f"entry point {point.name} ({point.value})"
    for module_name, label in modules.items():
        try:
            module = importlib.import_module(module_name)
            info = _locate(module.INFO, module_name, Path(str(module.__file__)).parent)
        except DuplicateNameError:
            raise
        except Exception:  # noqa: BLE001 - a stranger's module may raise anything; it is reported
            broken[label] = traceback.format_exc()
            continue
        _refuse_duplicates(found, info)
        found[info.name] = info
    return Registry(MappingProxyType(found), MappingProxyType(broken))


def _locate(info: MethodInfo, module_name: str, folder: Path) -> MethodInfo:
    return replace(info, package=module_name.rpartition(".")[0], folder=folder)


def _refuse_duplicates(found: Mapping[str, MethodInfo], info: MethodInfo) -> None:
    taken = {name: other for other in found.values() for name in (other.name, *other.variants)}
    for name in (info.name, *info.variants):
        if name in taken:
            raise DuplicateNameError(
                f"two methods are named {name!r}: {taken[name].folder} and {info.folder}; rename "
                "one of them in its info.py"
            )


def get_method(name: str) -> MethodInfo:
    """Returns the method that bears a name, or has it as a variant.

    Raises:
        UnknownNameError: No such method.
        MethodError: The method's ``info.py`` cannot be imported.
    """
    found = registry()
    by_row = {row: info for info in found.methods.values() for row in (info.name, *info.variants)}
    if name in by_row:
        return by_row[name]
    for label, trace in found.unavailable.items():
        if name in (label.rpartition("/")[2], label.removeprefix("entry point ").split(" (")[0]):
            raise MethodError(f"method {name!r} cannot be imported:\n{trace}")
    raise UnknownNameError("method", name, by_row, "neurodx list methods")


def load_method_class(info: MethodInfo) -> type[Method]:
    """Imports the class that does the work.

    Raises:
        MethodError: The module or class does not exist, or is not a ``Method``.
    """
    from benchmark.method import Method

    module_name, _, class_name = info.model.partition(":")
    try:
        module = importlib.import_module(f"{info.package}.{module_name}")
        loaded = getattr(module, class_name)
    except (ImportError, AttributeError) as error:
        raise MethodError(
            f"method {info.name!r}: cannot load {info.model!r} from {info.folder}: {error}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise MethodError(f"method {info.name!r}: {info.model} is not a subclass of Method")
    return loaded
