"""Toy people without scans, and settings of Flex-MoE that are quick."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.api import Samples, TrainerConfig
from benchmark.samples import LazyRows
from benchmark.tasks import get_task
from methods.flex_moe.info import ExpertsConfig, FlexConfig, FusionConfig

TASKS = [get_task("dx3"), get_task("conversion")]


def small(missing: str = "bank", number: int = 16, **experts: object) -> FlexConfig:
    return FlexConfig(
        fusion=FusionConfig(missing=missing, tokens=2, width=8, heads=2, dropout=0.0, bank_sd=1.0),
        experts=ExpertsConfig(**({"number": number, "chosen": 3, "hidden": 8} | experts)),
    )


def people(n: int, seed: int) -> Samples:
    g = np.random.default_rng(seed)
    y = np.arange(n) % 3 * 1.0
    has = {
        "fmri": np.arange(n) % 4 != 3,
        "genetic": np.arange(n) % 5 != 4,
        "clinical": np.arange(n) % 7 != 6,
        "report": np.zeros(n, dtype=bool),
    }
    series = g.normal(size=(n, 12, 4)).astype(np.float32)
    series[:, :, 1] += y[:, None] * series[:, :, 0]
    snps = g.integers(0, 3, (n, 5)).astype(np.int8)
    conversion = np.where(y == 1, np.arange(n) // 3 % 2, np.nan)

    def rows(array: np.ndarray, there: np.ndarray) -> LazyRows:
        return LazyRows([array], np.zeros(n, dtype=int), np.where(there, np.arange(n), -1))

    return Samples(
        n=n,
        tables={
            "clinical": pd.DataFrame({"faq_total": np.where(has["clinical"], 5 * y + 1, np.nan)}),
            "genetic": pd.DataFrame({"apoe_e4": np.where(has["genetic"], y % 3, np.nan)}),
        },
        arrays={"fmri": rows(series, has["fmri"]), "snps": rows(snps, has["genetic"])},
        available=has,
        names={"snps": [f"rs{i}" for i in range(5)]},
        _labels={
            "dx3": (y, np.ones(n, dtype=bool)),
            "conversion": (conversion, ~np.isnan(conversion)),
        },
        _targets={},
    )


def quick(**experts: object) -> FlexConfig:
    config = small(**experts)
    config.record.layers = 1
    config.fmri.width = config.genetics.width = 8
    config.least_complete = 8
    config.complete = TrainerConfig(epochs=2, batch_size=8, lr=1e-3)
    config.trainer = TrainerConfig(epochs=2, batch_size=8, lr=1e-3)
    return config
