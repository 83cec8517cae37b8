"""Settings of the papers' scale and limits of the small one, against numbers written down here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from benchmark.config import load_profile
from benchmark.registry import registry
from benchmark.runs.pretraining import resolve_pretraining
from benchmark.runs.rows import resolve_row

PAPER = {
    "denseformer_moe": {  # Ding, Lu and Liu 2025, 10.1109/TMI.2025.3551514
        "grid": [96, 96, 96],
        "backbone.stem": 64,  # DenseNet-121
        "backbone.stem_pool": True,
        "backbone.blocks": [6, 12],
        "backbone.growth": 32,
        "backbone.bottleneck": 4,
        "backbone.width": 768,  # ViT-B
        "backbone.depth": 12,
        "backbone.heads": 12,
        "backbone.mlp_ratio": 4.0,
        "backbone.pooled": "cls",
        "experts.kind": "mixture",
        "experts.number": 8,
        "experts.chosen": 2,
        "experts.gate": "noisy-topk",
        "experts.residual": True,
        "experts.balance": "cv2",
        "experts.balance_weight": 0.01,
        "pretrained": "t1w_dense_vit_paper",
        "trainer.lr": 1e-4,
        "trainer.weight_decay": 0.05,
        "trainer.clip": 1.0,
        "trainer.class_weights": True,
    },
    "brain_adapter": {  # Zhang et al. 2025, arXiv 2501.16282
        "grid": [256, 256, 256],
        "adapter.kind": "adapter",
        "adapter.channels": 16,
        "adapter.kernel": [4, 3, 3],
        "adapter.stride": [4, 1, 1],
        "adapter.bottleneck": 8,
        "adapter.activation": "gelu",
        "adapter.zero_start": True,
        "encoder": "m3d-clip",
        "text.unit": "report",
        "text.pooling": "mean",
        "projection": 768,
        "train_projections": True,
        "classify_unit_vectors": True,
        "contrastive_weight": 1.0,
        "contrast.scale": "exp",
        "contrast.first_scale": 1 / 0.07,
        "contrast.largest_scale": 100.0,
        "projection_lr": 1e-4,
        "trainer.lr": 1e-3,
        "trainer.batch_size": 8,
        "trainer.epochs": 9,
        "embedding_epochs": [1, 5, 9],
    },
    "brain_adapter_fpm": {"train_projections": False},
    "anchored_qformer": {  # ICLR 2026, submission 11971
        "fusion.kind": "anchored",
        "fusion.n_queries": 16,
        "fusion.heads": 8,
        "fusion.norm_place": "post",
        "fusion.query_sd": 0.02,
        "fusion.vote": "probabilities",
        "fusion.lora_rank": 8,
        "fusion.lora_alpha": 16.0,
        "trainer.lr": 1e-4,
        "text_stage.trainer.lr": 1e-4,
        "smri_stage.trainer.lr": 1e-4,
        "fmri_stage.trainer.lr": 1e-4,
        "genetics_stage.trainer.lr": 1e-4,
        "complete_only": False,
        "task_weights": {},
    },
    "qformer_late": {"fusion.n_queries": 0},
}
MASKED = {  # of DenseFormer-MoE's pretraining
    "grid": [96, 96, 96],
    "masked.ratio": 0.75,
    "masked.loss": "mse",
    "masked.norm_patch": True,
    "masked.context": "both",  # backbone.pooled is cls
    "masked.decoder.width": 512,
    "masked.decoder.depth": 8,
    "trainer.lr": 1e-4,
    "trainer.weight_decay": 0.05,
    "trainer.clip": 1.0,
}


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by dotted key."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping) and bool(value)
        found |= flat(value, f"{before}{key}.") if inner else {f"{before}{key}": value}
    return found


@pytest.mark.parametrize("row", PAPER)
def test_the_papers_scale_has_the_papers_settings(row: str) -> None:
    found = flat(resolve_row(row, load_profile("mini"), scale="paper").config)
    assert {key: found[key] for key in PAPER[row]} == PAPER[row]


def test_the_papers_pretraining_hides_three_quarters_of_normalised_patches() -> None:
    found = flat(asdict(resolve_pretraining("t1w_dense_vit_paper", load_profile("mini")).config))
    assert {key: found[key] for key in MASKED} == MASKED


def test_a_text_anchor_of_the_small_scale_has_two_layers_and_48_tokens_at_most() -> None:
    profile = load_profile("mini")
    info = registry().methods["anchored_qformer"]
    for row in (info.name, *info.variants):
        text = resolve_row(row, profile).config["text"]
        assert 1 <= text["layers"] <= 2, row  # 0 would be all of them
        assert text["max_tokens"] <= 48, row


def test_two_of_four_experts_are_chosen_at_the_small_scale() -> None:
    experts = resolve_row("denseformer_moe", load_profile("mini")).config["experts"]
    assert (experts["number"], experts["chosen"]) == (4, 2)
