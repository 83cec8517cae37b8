"""Which arm of each claim is said to be better: rows in order, and what sets them apart."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from test_paper_settings import flat

from benchmark.ablations.claims import Arm, load_claims
from benchmark.config import load_profile
from benchmark.runs.rows import resolve_row

# Lowest first, as the sources in configs/ablation/ claim it.
ARMS = {
    "tlp_over_fpm": [Arm("brain_adapter_fpm"), Arm("brain_adapter")],
    "tlp_over_fpm_mri": [Arm("brain_adapter_mri_fpm"), Arm("brain_adapter_mri")],
    "report_over_mri": [Arm("brain_adapter_mri"), Arm("brain_adapter")],
    "anchored_over_concat": [Arm("early_concat"), Arm("anchored_qformer")],
    "anchored_over_late": [Arm("qformer_late"), Arm("anchored_qformer")],
    "queries_saturate": [
        Arm("anchored_qformer", {"fusion.n_queries": 0}),
        Arm("anchored_qformer", {"fusion.n_queries": 4}),
        Arm("anchored_qformer", {"fusion.n_queries": 16}),
    ],
    "more_modalities": [Arm("qformer_text"), Arm("qformer_text_smri"), Arm("anchored_qformer")],
    "incomplete_over_complete": [
        Arm("anchored_qformer", {"complete_only": True}),
        Arm("anchored_qformer"),
    ],
    "home_over_external": [Arm("neurobridge")],
    "guided_over_single": [Arm("neurobridge_single"), Arm("neurobridge")],
    "joint_over_single": [Arm("denseformer_single"), Arm("denseformer_moe")],
    "pretraining_with_few_labels": [
        Arm("neurobridge_scratch", percent=10),
        Arm("neurobridge", percent=10),
    ],
    "experts_over_shared": [Arm("denseformer_shared"), Arm("denseformer_moe")],
    "experts_over_shared_age": [Arm("denseformer_shared"), Arm("denseformer_moe")],
    "accuracy_rises_with_confidence": [Arm("neurobridge")],
    "adapting_the_transformer": [
        Arm("adapter_linear_probe"),
        Arm("adapter_lora"),
        Arm("brain_adapter_mri"),
        Arm("adapter_finetune"),
    ],
    "anchored_over_flex": [Arm("flex_moe"), Arm("anchored_qformer")],
    "bank_over_zeros": [Arm("flex_zero"), Arm("flex_moe")],
    "daft_over_film": [Arm("film"), Arm("daft")],
    "table_conditions_image": [Arm("resnet3d"), Arm("resnet_concat"), Arm("daft")],
}

# One setting of the arms in that order, which says what they are.
MEANING = {
    "tlp_over_fpm": ("train_projections", [False, True]),
    "tlp_over_fpm_mri": ("train_projections", [False, True]),
    "report_over_mri": ("track", ["t1w", "t1w+report"]),
    "anchored_over_concat": ("fusion.kind", ["concat", "anchored"]),
    "anchored_over_late": ("fusion.n_queries", [0, 4]),
    "queries_saturate": ("fusion.n_queries", [0, 4, 16]),
    "more_modalities": ("track", ["clinical+report", "t1w+clinical+report", "all"]),
    "incomplete_over_complete": ("complete_only", [True, False]),
    "guided_over_single": ("multitask", [False, True]),
    "joint_over_single": ("suite", ["", "disorders"]),
    "pretraining_with_few_labels": ("pretrained", ["", "t1w_conv"]),
    "experts_over_shared": ("experts.kind", ["shared", "mixture"]),
    "experts_over_shared_age": ("experts.kind", ["shared", "mixture"]),
    "adapting_the_transformer": ("adapter.kind", ["none", "lora", "adapter", "finetune"]),
    "bank_over_zeros": ("fusion.missing", ["zeros", "bank"]),
    "daft_over_film": ("conditioning", ["film", "daft"]),
}

# All that sets an arm apart from the one before. Of arms of two methods: of the settings that both
# methods have.
_STILL = {f"trainer.augment.{name}" for name in ("bias", "contrast", "flip", "noise")}
DIFFER: dict[str, list[set[str]]] = {
    "tlp_over_fpm": [{"train_projections"}],
    "tlp_over_fpm_mri": [{"train_projections"}],
    "report_over_mri": [{"track"}],
    "anchored_over_concat": [{"fusion.kind"}],
    "anchored_over_late": [{"fusion.n_queries"}],
    "queries_saturate": [{"fusion.n_queries"}, {"fusion.n_queries"}],
    "more_modalities": [{"track", "pretrained"}, {"track"}],  # text alone has no volume encoder
    "incomplete_over_complete": [{"complete_only"}],
    "home_over_external": [],
    "guided_over_single": [
        {
            *("multitask", "atlas", "reconstruct_share", "tasks_move_segmentation"),
            *(f"trainer.balance.weights.{n}" for n in ("atrophy", "reconstruction")),
            *("trainer.balance.weights.segmentation", "volume_in_stream"),
        }
    ],
    "joint_over_single": [{"multitask", "suite"}],
    "pretraining_with_few_labels": [{"pretrained"}],
    "experts_over_shared": [{"experts.kind"}],
    "experts_over_shared_age": [{"experts.kind"}],
    "accuracy_rises_with_confidence": [],
    "adapting_the_transformer": [
        {
            *("adapter.kind", "cache_image", "classify_unit_vectors", "trainer.flip_average"),
            *("trainer.keep", "trainer.augment.shift_voxels", *_STILL),
        },
        {"adapter.kind"},
        {"adapter.kind"},
    ],
    "anchored_over_flex": [
        {
            *("method", "smri.encoder", "trainer.epochs", "trainer.lr", "trainer.warmup"),
            *("trainer.ema_decay", "trainer.flip_average", "trainer.keep", "trainer.weight_decay"),
            *(_STILL - {"trainer.augment.flip"}),
        }
    ],
    "bank_over_zeros": [{"fusion.missing"}],
    "daft_over_film": [{"conditioning", "identity_start"}],
    "table_conditions_image": [{"method", "track"}, {"conditioning"}],
}


def test_arms_stand_in_the_claimed_order_the_better_one_last() -> None:
    assert {name: list(one.arms.values()) for name, one in load_claims().items()} == ARMS


@pytest.mark.parametrize("name", MEANING)
def test_arms_are_set_as_the_claim_says(name: str) -> None:
    key, expected = MEANING[name]
    profile, found = load_profile("mini"), []
    for arm in load_claims(name)[name].arms.values():
        row = resolve_row(arm.row, profile, arm.config)
        value: Any = getattr(row, key) if hasattr(row, key) else row.config
        if value is row.config:
            for part in key.split("."):
                value = value[part]
        found.append(value)
    assert found == expected


def settings_of(arm: Arm) -> dict[str, Any]:
    row = resolve_row(arm.row, load_profile("mini"), arm.config)
    beside = {name: getattr(row, name) for name in ("track", "suite", "multitask")}
    return {**flat(row.config), **beside, "method": row.info.name, "percent": arm.percent}


def test_arms_differ_in_what_is_named_here_and_in_nothing_else() -> None:
    found = {}
    for name, claim in load_claims().items():
        each = [settings_of(arm) for arm in claim.arms.values()]
        found[name] = [differing(low, high) for low, high in pairwise(each)]
    assert found == DIFFER


def differing(low: dict[str, Any], high: dict[str, Any]) -> set[str]:
    if low["method"] == high["method"]:
        assert low.keys() == high.keys()
    return {key for key in low.keys() & high.keys() if low[key] != high[key]}


def test_claims_of_another_kind_and_gains_that_are_compared() -> None:
    claims = load_claims()
    assert {name: one.kind for name, one in claims.items() if one.kind != "order"} == {
        "accuracy_rises_with_confidence": "confidence",
        "home_over_external": "transfer",
    }
    home = claims["home_over_external"]
    assert (home.cohort, home.external) == ("phantom-memory", "phantom-external")
    contrasts = {name: one.contrast for name, one in claims.items() if one.contrast}
    assert contrasts == {"guided_over_single": ["mci_cn", "ad_cn"]}  # most for MCI
    protocols = {name: one.protocol for name, one in claims.items() if one.protocol}
    assert protocols == {"pretraining_with_few_labels": "few-label"}
