"""Metrics from a module of the user's own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from benchmark.errors import ConfigError
from benchmark.metrics import METRICS

__all__ = ["import_metrics"]


def import_metrics(modules: Sequence[str]) -> None:
    """Imports modules, from the current folder too, so that they register their metrics.

    Raises:
        ConfigError: There is no such module, or none of ``METRICS`` comes from it.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # the current folder, as `python -m` has it
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in (name, name.partition(".")[0]):
                raise
            raise ConfigError(
                f"--import {name}: there is no such module; give its name without .py, and call "
                "the verb in its folder or install it"
            ) from None
        if not any(metric.kernel.__module__ == name for metric in METRICS.values()):
            raise ConfigError(
                f"--import {name}: it registers no metric; put one function under "
                "@register_metric in it (docs/statistics.md)"
            )
