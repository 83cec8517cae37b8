"""Small networks as fitted methods, and people with given volumes, for tests of the maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from training_toy import ToyConfig

from benchmark.saliency.maps import Mapper, MapSettings
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import Task, get_task
from benchmark.training.torch_method import TorchMethod

AGE = get_task("brain_age")


class Given(TorchMethod):
    """A method whose network is given."""

    config_type = ToyConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        raise NotImplementedError


class WithOwn(Given):
    def explain(self, samples: Samples, task: Task) -> np.ndarray:
        return samples.volumes() * 2


class Frozen(Given):
    def inputs(self, samples: Samples) -> dict[str, np.ndarray]:
        return {"features": np.zeros((samples.n, 4), dtype=np.float32)}


class OnVolumes(nn.Module):
    """The answer to a task, from a network over volumes."""

    def __init__(self, body: nn.Module, task: str = AGE.name) -> None:
        super().__init__()
        self.body, self.task = body, task

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {self.task: self.body(inputs["t1w"])}


class MeanOf(nn.Module):
    """A weighted mean over channels and space, (B, 1)."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x.flatten(1).mean(dim=1, keepdim=True)


def people(volumes: np.ndarray, spacing_mm: float = 5.0) -> Samples:
    n = len(volumes)
    return Samples(
        n=n,
        arrays={"t1w": LazyRows([volumes.astype(np.float32)], np.zeros(n, int), np.arange(n))},
        available={"t1w": np.ones(n, dtype=bool)},
        spacing_mm=spacing_mm,
    )


def mapper(
    body: nn.Module,
    baseline: np.ndarray,
    *,
    kind: type[TorchMethod] = Given,
    network: nn.Module | None = None,
    **settings: Any,
) -> Mapper:
    method = kind(ToyConfig())
    method.model = (network or OnVolumes(body)).eval()
    return Mapper(method, AGE, baseline.astype(np.float32), MapSettings(**settings))


def head(radius: float, shape: tuple[int, int, int] = (32, 40, 32)) -> np.ndarray:
    """A ball of white matter about the grid's centre."""
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij")
    return (sum(a**2 for a in axes) <= radius**2).astype(np.float32)


def axes_of(x: np.ndarray) -> list[tuple[int, tuple[int, ...]]]:
    return [(n, tuple(a for a in range(3) if a != axis)) for axis, n in enumerate(x.shape)]
