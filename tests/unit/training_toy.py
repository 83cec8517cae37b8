"""A small method and people whose label is a bright blob, for tests of the training loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.method import RunContext
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import Task, get_task
from benchmark.training.config import AugmentConfig, TrainerConfig
from benchmark.training.torch_method import TorchMethod

SHAPE = (6, 8, 6)
TASKS = [get_task("dx3"), get_task("brain_age")]


def toy_people(n: int, seed: int, shape: tuple[int, ...] = SHAPE) -> Samples:
    """People with dx3 (every fifth unknown) and brain_age; the blob grows with both."""
    g = np.random.default_rng(seed)
    y = g.integers(0, 3, n).astype(float)
    y[:3] = [0, 1, 2]
    x = g.normal(1.0, 0.05, (n, *shape)).astype(np.float16)
    x[:, 1:4, 2:5, 1:4] -= (0.3 * y[:, None, None, None]).astype(np.float16)
    age = 60 + 8 * y + g.normal(0, 1, n)
    dx3 = y.copy()
    dx3[4::5] = np.nan
    everyone = np.ones(n, dtype=bool)
    return Samples(
        n=n,
        arrays={"t1w": LazyRows([x], np.zeros(n, dtype=int), np.arange(n))},
        available={"t1w": everyone},
        cohort=np.zeros(n, dtype=np.int64),
        spacing_mm=5.0,
        _labels={"dx3": (dx3, ~np.isnan(dx3)), "brain_age": (age, everyone)},
        _targets={},
    )


@dataclass
class ToyConfig:
    width: int = 4
    dropout: float = 0.0
    trainer: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(
            epochs=3, batch_size=8, lr=1e-2, augment=AugmentConfig(noise=0.05)
        )
    )


class ToyMethod(TorchMethod):
    """One convolution with batch norm and dropout, a head per task."""

    config_type = ToyConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        return ToyNetwork(self.config, tasks)


class ToyNetwork(nn.Module):
    def __init__(self, config: ToyConfig, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, config.width, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm3d(config.width)
        self.drop = nn.Dropout(config.dropout)
        cells = config.width * int(np.prod([-(-s // 2) for s in SHAPE]))
        self.heads = nn.ModuleDict({t.name: nn.Linear(cells, t.n_outputs) for t in tasks})

    def features(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.norm(self.conv(inputs["t1w"])).relu().flatten(1)

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        x = self.drop(self.features(inputs))
        return {name: head(x) for name, head in self.heads.items()}


def context(folder: Path, seed: int = 0, **others: object) -> RunContext:
    folder.mkdir(parents=True, exist_ok=True)
    return RunContext(**{"seed": seed, "folder": folder, "checkpoint_seconds": 0.0, **others})


def fitted(folder: Path, config: ToyConfig | None = None, **others: object) -> ToyMethod:
    """A toy method after its fit."""
    method = ToyMethod(config or ToyConfig())
    method.fit(toy_people(30, 0), toy_people(12, 1), TASKS, context(folder, **others))
    return method
