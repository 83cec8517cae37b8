"""Toy people without scans, and settings of Flex-MoE that are quick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from people_without_scans import people as people_without_scans

from benchmark.api import Samples, TrainerConfig
from benchmark.tasks import get_task
from methods.flex_moe.info import ExpertsConfig, FlexConfig, FusionConfig

TASKS = [get_task("dx3"), get_task("conversion")]


def small(missing: str = "bank", number: int = 16, **experts: object) -> FlexConfig:
    return FlexConfig(
        fusion=FusionConfig(missing=missing, tokens=2, width=8, heads=2, dropout=0.0, bank_sd=1.0),
        experts=ExpertsConfig(**({"number": number, "chosen": 3, "hidden": 8} | experts)),
    )


def people(n: int, seed: int) -> Samples:
    """People of whom every seventh has no clinical record, and nobody a report."""
    made = people_without_scans(n, seed, records=np.arange(n) % 7 != 6)
    return replace(made, available={**made.available, "report": np.zeros(n, dtype=bool)})


def quick(**experts: object) -> FlexConfig:
    config = small(**experts)
    config.record.layers = 1
    config.fmri.width = config.genetics.width = 8
    config.least_complete = 8
    config.complete = TrainerConfig(epochs=2, batch_size=8, lr=1e-3)
    config.trainer = TrainerConfig(epochs=2, batch_size=8, lr=1e-3)
    return config
