"""People with masks, small settings and untrained networks, for the tests of NeuroBridge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from training_toy import context, toy_people

from benchmark.method import RunContext
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import get_task
from methods.neurobridge.guidance import MASK, AtrophyRule, healthy
from methods.neurobridge.info import NeuroBridgeConfig
from methods.neurobridge.model import NeuroBridge

SHAPE = (16, 20, 16)
TASKS = [get_task("dx3"), get_task("brain_age")]
TABLES = "head_size_mm3"


def people(n: int, seed: int, masks: bool = True, **others: object) -> Samples:
    """Toy people whose hippocampus shrinks with their label; every seventh has no mask."""
    toy = toy_people(n, seed, SHAPE)
    g = np.random.default_rng(seed)
    stage = np.nan_to_num(toy.labels("dx3")[0], nan=1.0)
    size = np.clip(np.round(8 - 2 * stage + g.normal(0, 1, n)), 1, 12).astype(int)
    found = np.zeros((n, *SHAPE), dtype=np.uint8)
    for row, length in enumerate(size):
        found[row, 4 : 4 + length, 9:12, 6:8] = 1
    rows = np.where(np.arange(n) % 7 == 3, -1, np.arange(n))
    head = pd.DataFrame({TABLES: 1.4e6 + 1e5 * g.normal(size=n)})
    targets = {MASK: LazyRows([found], np.zeros(n, dtype=int), rows)} if masks else {}
    return replace(toy, tables={"t1w": head}, _targets=targets, **others)


def config(**others: object) -> NeuroBridgeConfig:
    made = NeuroBridgeConfig(
        settings={"widths": [4, 8, 8], "blocks": [0, 1, 1], "stride": 2, "norm": "batch"},
        width=8,
        **others,
    )
    for trainer in (made.guided, made.trainer):
        trainer.epochs, trainer.batch_size = 2, 10
    return made


def fitted(folder: Path, made: NeuroBridgeConfig | None = None, **others: object) -> NeuroBridge:
    method = NeuroBridge(made or config())
    method.fit(people(30, 0), people(12, 1), TASKS, context(folder, **others))
    return method


def learned(train: Samples, tasks, threshold: float = -1.5) -> AtrophyRule:
    """The rule that the default settings would learn."""
    made = config()
    return AtrophyRule.learn(
        train,
        tasks,
        threshold,
        made.atrophy_adjusted_for,
        healthy(train, tasks),
        made.atrophy_least_reference,
    )


def prepared(made: NeuroBridgeConfig | None = None, tasks=TASKS, train: Samples | None = None):
    """A method with an untrained network, and a training batch of eight people."""
    method = NeuroBridge(made or config())
    train = people(30, 0) if train is None else train
    method._tasks = tuple(task.name for task in tasks)
    method._scales = method._scales.learn(
        tasks, {t.name: train.labels(t.name)[0] for t in tasks}, balance=True
    )
    run = RunContext(seed=0, folder=Path())
    method.prepare(train, tasks, run)
    method.model = method._built(train, tasks, run).train()
    return method, method.source(train, tasks).read(np.arange(8), training=True)


def step(method: NeuroBridge, batch) -> dict[str, torch.Tensor]:
    """Gradients of one training step, by parameter; those without one are zeros."""
    method.model.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    method.backward(method.model(batch.inputs), batch, lambda loss: loss)
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in method.model.named_parameters()
    }
