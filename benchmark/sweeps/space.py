"""The search space of a method: ``suggest(trial) -> settings`` in its ``space.py``."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from benchmark.errors import ConfigError, MethodError
from benchmark.method_info import MethodInfo

__all__ = ["Suggest", "dotted", "load_space", "suggested_settings"]

Suggest: TypeAlias = Callable[[Any], Mapping[str, Any]]


def load_space(info: MethodInfo) -> Suggest:
    """Imports the ``suggest`` function of a method.

    Raises:
        ConfigError: There is no ``space.py``, or no function ``suggest`` in it.
        MethodError: ``space.py`` cannot be imported.
    """
    module_name = f"{info.package}.space"
    example = (
        "def suggest(trial) -> dict: return {'penalty': trial.suggest_float('penalty', 1e-4, 1e3, "
        "log=True)}; baselines/voxel_svm/space.py is an example"
    )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise MethodError(f"{info.folder}/space.py cannot be imported: {error}") from error
        raise ConfigError(
            f"method {info.name!r} has no search space: write {info.folder}/space.py with a "
            f"function that returns settings by dotted keys, such as: {example}"
        ) from None
    except Exception as error:
        raise MethodError(f"{info.folder}/space.py cannot be imported: {error!r}") from error
    suggest = getattr(module, "suggest", None)
    if not callable(suggest):
        raise ConfigError(
            f"{info.folder}/space.py has no function `suggest`; expected, such as: {example}"
        )
    return suggest  # type: ignore[no-any-return]


def suggested_settings(suggest: Suggest, trial: Any, where: str) -> dict[str, Any]:
    """Asks a search space for the settings of one trial.

    Args:
        suggest: The method's function.
        trial: An Optuna trial.
        where: The file, named in errors.

    Returns:
        Settings by dotted keys, JSON-able.

    Raises:
        ConfigError: It returned something else than a mapping of names to plain values.
    """
    settings = suggest(trial)
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{where}: suggest() must return a dict of settings, got {settings!r}")
    flat = dotted(settings)
    try:
        json.dumps(flat, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: suggest() must return plain numbers, texts and lists, got {flat!r} ({error})"
        ) from error
    return flat


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested settings: ``{"trainer": {"lr": 1}}`` becomes ``{"trainer.lr": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
