"""People with reports, small settings and untrained networks, for the tests of Brain-Adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_toy import context, toy_people

from benchmark.encoders import ReportFeatures
from benchmark.samples import Samples
from benchmark.tasks import get_task
from benchmark.training.config import TrainerConfig
from methods.brain_adapter.info import AdapterConfig, BrainAdapterConfig
from methods.brain_adapter.model import BrainAdapter
from methods.brain_adapter.network import Network

SHAPE = (8, 16, 16)
TASK = get_task("dx3")
TRAINER = TrainerConfig(epochs=2, batch_size=8, lr=1e-2, ema_decay=0.8, keep="last")


def count_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports become counts of letters: the real encoder has tests of its own."""

    def features(_self: ReportFeatures, reports) -> np.ndarray:
        rows = [[r.count(letter) for letter in "abcdefgh"] for r in reports]
        return np.array(rows, dtype=np.float32).reshape(-1, 8)

    monkeypatch.setattr(ReportFeatures, "__call__", features)
    monkeypatch.setattr(ReportFeatures, "width", property(lambda _: 8))


def people(n: int = 24, seed: int = 0, *, reports: bool = True) -> Samples:
    """Toy people; the report of every fifth is missing."""
    samples = toy_people(n, seed, SHAPE)
    if not reports:
        return samples
    texts = ["" if i % 5 == 4 else "abc" * (i % 4) + "defgh"[: i % 6] + "a" for i in range(n)]
    there = np.array([bool(t) for t in texts])
    return replace(
        samples, texts={"report": texts}, available={**samples.available, "report": there}
    )


def config(kind: str = "adapter", **more: object) -> BrainAdapterConfig:
    own = {"channels": 4, "bottleneck": 2, "groups": 2, **more.pop("adapter", {})}
    given = {
        "pretrained": "",
        "settings": {"patch": [4, 8, 8], "width": 12, "depth": 1, "heads": 2},
        "projection": 6,
        "trainer": TRAINER,
        "embedding_epochs": [1, 2],
    }
    return BrainAdapterConfig(adapter=AdapterConfig(kind=kind, **own), **{**given, **more})


def fitted(
    folder: Path, settings: BrainAdapterConfig, *, reports: bool = True, **others: object
) -> BrainAdapter:
    folder.mkdir(exist_ok=True)
    method = BrainAdapter(settings)
    train, val = people(24, 0, reports=reports), people(10, 1, reports=reports)
    method.fit(train, val, [TASK], context(folder, **others))
    return method


def network(
    kind: str = "adapter", text: int = 8, weights: Path | None = None, **more: object
) -> Network:
    torch.manual_seed(0)
    return Network(config(kind, **more), [TASK], 5.0, SHAPE, text, weights)


def batch(n: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "t1w": torch.rand(n, 1, *SHAPE, generator=generator) + 0.3,
        "t1w_available": torch.ones(n, dtype=torch.bool),
        "report": torch.randn(n, 8, generator=generator),
        "report_available": torch.ones(n, dtype=torch.bool),
    }
