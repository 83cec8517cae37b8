"""The paper's scale of NeuroBridge in numbers, and that of the pretraining it starts from."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from benchmark.config import load_profile
from benchmark.runs.pretraining import resolve_pretraining
from benchmark.training.schedule import lr_factor
from methods.neurobridge.info import NeuroBridgeConfig, paper_config

TRAINING = {
    "batch_size": 4,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "clip": 1.0,
    "keep": "best",
    "ema_decay": 0.0,
}


def pinned(settings: dict) -> dict:
    return {name: settings[name] for name in TRAINING}


def test_the_papers_scale_in_numbers() -> None:
    made = asdict(paper_config())
    guided, fused = made.pop("guided"), made.pop("trainer")
    assert made == {
        "pretrained": "t1w_swin",
        "encoder": "swin",
        "settings": {"feature_size": 48},
        "grid": [96, 96, 96],
        "fit": "resample",
        "decoder_blocks": [],
        "norm": "group",
        "width": 768,
        "gate": "channel",
        "gate_zero_start": True,
        "atlas": False,
        "atlas_mirrored": True,
        "atlas_smoothing": 3,
        "atlas_least_share": 1e-3,
        "ce_weight": 1.0,
        "masks_count_as_all": True,
        "segmentation_pooling": "probability",
        "volume_in_stream": True,
        "volume_reference": "everyone",
        "volume_zero_start": True,
        "tasks_move_segmentation": False,
        "mask_ratio": 0.5,
        "reconstruct_share": 1.0,
        "reconstruction_loss": "l1",
        "atrophy_threshold": -1.5,
        "atrophy_adjusted_for": ["head_size_mm3", "age_years"],
        "atrophy_reference": "healthy",
        "atrophy_least_reference": 10,
        "atrophy_balanced": False,
        "guides_in_fusion": 0.2,
        "body_rate": 1.0,
        "dropout": 0.0,
    }
    assert pinned(guided) == pinned(fused) == TRAINING
    assert (guided["lr"], guided["epochs"]) == (5e-4, 50)
    assert (fused["lr"], fused["epochs"]) == (1e-4, 50)
    weights = {"segmentation": 1.0, "atrophy": 1.0, "reconstruction": 0.2}
    assert fused["balance"]["weights"] == weights
    assert fused["balance"]["weighting"] == "fixed"
    assert NeuroBridgeConfig().trainer.balance.weights == weights


def test_the_recipe_of_the_papers_scale_in_numbers() -> None:
    recipe = asdict(resolve_pretraining("t1w_swin", load_profile("mini")).config)
    assert recipe["masked"]["ratio"] == 0.5
    assert recipe["masked"]["loss"] == "l1"
    assert not recipe["masked"]["norm_patch"]
    assert recipe["trainer"]["lr"] == 5e-4
    assert recipe["trainer"]["epochs"] == 100
    assert pinned(recipe["trainer"]) == {**TRAINING, "keep": "last"}


def test_rates_rise_for_five_epochs_and_fall_as_a_cosine_to_zero() -> None:
    made = paper_config()
    recipe = resolve_pretraining("t1w_swin", load_profile("mini")).config
    for trainer in (made.guided, made.trainer, recipe.trainer):
        steps = trainer.epochs * 10
        rates = [lr_factor(trainer.schedule, k, steps, trainer.warmup) for k in range(steps)]
        assert rates[:50] == pytest.approx([(k + 1) / 50 for k in range(50)])
        middle = (steps + 50) // 2
        assert rates[50] == 1.0
        assert rates[middle] == pytest.approx(0.5, abs=0.01)
        assert rates[-1] < 1e-3
