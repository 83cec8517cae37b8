"""All that a method's author imports.

Names load on first use, so an ``info.py`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.errors import MethodError, SampleError, one_of
    from benchmark.method import Method, RunContext
    from benchmark.method_info import MethodInfo, Shown
    from benchmark.prediction import Prediction
    from benchmark.registry import register
    from benchmark.samples.samples import Samples
    from benchmark.sklearn_method import PenalisedLinear, SklearnMethod, tabular_preprocessor
    from benchmark.tasks import Task
    from benchmark.training.batches import Batch, BatchSource
    from benchmark.training.config import AugmentConfig, BalanceConfig, TrainerConfig, cnn_trainer
    from benchmark.training.groups import parameter_groups
    from benchmark.training.torch_method import TorchMethod
    from benchmark.training.trainer import Trainer
    from benchmark.training.volumes import NormaliseVolumes
    from benchmark.vocabulary import UNKNOWN_SITE

__all__ = [
    "UNKNOWN_SITE",
    "AugmentConfig",
    "BalanceConfig",
    "Batch",
    "BatchSource",
    "Method",
    "MethodError",
    "MethodInfo",
    "NormaliseVolumes",
    "PenalisedLinear",
    "Prediction",
    "RunContext",
    "SampleError",
    "Samples",
    "Shown",
    "SklearnMethod",
    "Task",
    "TorchMethod",
    "Trainer",
    "TrainerConfig",
    "cnn_trainer",
    "one_of",
    "parameter_groups",
    "register",
    "tabular_preprocessor",
]

_HOMES = {
    "AugmentConfig": "benchmark.training.config",
    "BalanceConfig": "benchmark.training.config",
    "Batch": "benchmark.training.batches",
    "BatchSource": "benchmark.training.batches",
    "Method": "benchmark.method",
    "MethodError": "benchmark.errors",
    "MethodInfo": "benchmark.method_info",
    "NormaliseVolumes": "benchmark.training.volumes",
    "PenalisedLinear": "benchmark.sklearn_method",
    "Prediction": "benchmark.prediction",
    "RunContext": "benchmark.method",
    "SampleError": "benchmark.errors",
    "Samples": "benchmark.samples.samples",
    "Shown": "benchmark.method_info",
    "SklearnMethod": "benchmark.sklearn_method",
    "Task": "benchmark.tasks",
    "TorchMethod": "benchmark.training.torch_method",
    "Trainer": "benchmark.training.trainer",
    "TrainerConfig": "benchmark.training.config",
    "UNKNOWN_SITE": "benchmark.vocabulary",
    "cnn_trainer": "benchmark.training.config",
    "one_of": "benchmark.errors",
    "parameter_groups": "benchmark.training.groups",
    "register": "benchmark.registry",
    "tabular_preprocessor": "benchmark.sklearn_method",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
