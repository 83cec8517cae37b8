"""Made-up people with text, fMRI and genotypes, and settings of a short fit."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmark.api import Samples, TrainerConfig
from benchmark.samples import LazyRows
from methods.anchored_qformer.info import AnchoredConfig, StageConfig


def people(n: int, seed: int) -> Samples:
    g = np.random.default_rng(seed)
    y = np.arange(n) % 3 * 1.0
    has = {
        "fmri": np.arange(n) % 4 != 3,
        "genetic": np.arange(n) % 5 != 4,
        "clinical": np.ones(n, dtype=bool),
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
            "clinical": pd.DataFrame({"faq_total": 5 * y + 1}),
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


def small(**fusion: object) -> AnchoredConfig:
    config = AnchoredConfig()
    config.text.layers, config.text.max_tokens = 1, 16
    short = TrainerConfig(epochs=1, batch_size=8, lr=1e-3)
    for name in ("text", "smri", "fmri", "genetics"):
        setattr(config, f"{name}_stage", StageConfig(trainer=copy.deepcopy(short)))
    config.trainer = replace(short, epochs=2)
    config.fusion = replace(config.fusion, n_queries=2, dim=8, heads=2, **fusion)
    return config
