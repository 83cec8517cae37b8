"""Settings of a short fit of the anchored Q-formers."""

from __future__ import annotations

import copy
from dataclasses import replace

from benchmark.api import TrainerConfig
from methods.anchored_qformer.info import AnchoredConfig, StageConfig


def small(**fusion: object) -> AnchoredConfig:
    config = AnchoredConfig()
    config.text.layers, config.text.max_tokens = 1, 16
    short = TrainerConfig(epochs=1, batch_size=8, lr=1e-3)
    for name in ("text", "smri", "fmri", "genetics"):
        setattr(config, f"{name}_stage", StageConfig(trainer=copy.deepcopy(short)))
    config.trainer = replace(short, epochs=2)
    config.fusion = replace(config.fusion, n_queries=2, dim=8, heads=2, **fusion)
    return config
