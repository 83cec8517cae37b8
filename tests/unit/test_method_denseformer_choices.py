"""DenseFormer-MoE's inferred choices beside those of the experts: what each key does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_method_denseformer_moe import SHAPE, batch, network, small
from training_toy import TASKS

from benchmark.config import load_profile, typed
from benchmark.errors import MethodError
from benchmark.runs.rows import resolve_row
from methods.denseformer_moe.info import DenseFormerConfig
from methods.denseformer_moe.model import ROUTING, Network


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_features_are_normalised_as_named(norm: str) -> None:
    torch.manual_seed(0)
    made = Network(replace(small(), feature_norm=norm), TASKS, 5.0, SHAPE).train()
    x = batch().inputs
    pooled, f = made.backbone(made.prepare(x["t1w"])).pooled, made.features(x)
    axis = {"batch": 0, "layer": 1}.get(norm)
    if axis is None:
        assert torch.equal(f, pooled)
    else:
        spread = pooled.var(dim=axis, keepdim=True, correction=0) + 1e-5
        expected = (pooled - pooled.mean(dim=axis, keepdim=True)) / spread.sqrt()
        torch.testing.assert_close(f, expected, rtol=1e-3, atol=1e-4)
    assert not list(made.norm.parameters())


def test_an_unknown_norm_of_the_features_is_refused() -> None:
    with pytest.raises(MethodError, match="batch, layer, none"):
        Network(replace(small(), feature_norm="group"), TASKS, 5.0, SHAPE)


def test_without_a_residual_a_head_reads_the_experts_alone() -> None:
    made, b = network(residual=False).eval(), batch()
    f, outputs = made.features(b.inputs), made(b.inputs)
    for number, (task, head) in enumerate(made.heads.items()):
        mixed = torch.einsum("be,bed->bd", outputs[ROUTING][:, number, 0], made.experts(f))
        torch.testing.assert_close(outputs[task], head(mixed), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "hidden", "shape"),
    [(None, 384, (32, 40, 32)), ("paper", 8 * 3072, (96, 96, 96))],
)
def test_the_shared_expert_is_as_wide_as_all_of_the_scale(
    scale: str | None, hidden: int, shape: tuple[int, ...]
) -> None:
    made, rows = {}, ("denseformer_shared", "denseformer_moe")
    for name in rows:
        row = resolve_row(name, load_profile("mini"), scale=scale)
        with torch.device("meta"):
            made[name] = Network(typed(DenseFormerConfig, row.config, name), TASKS, 5.0, shape)
    shared, mixture = (made[name].experts for name in rows)
    assert [expert[0].out_features for expert in shared.members] == [hidden]
    assert {gate.chosen for gate in made["denseformer_shared"].gates.values()} == {1}
    count = [sum(p.numel() for p in experts.parameters()) for experts in (shared, mixture)]
    assert count[0] == pytest.approx(count[1], rel=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chosen": 5}, r"chosen must lie in 1\.\.4"),
        ({"chosen": 0}, r"chosen must lie in 1\.\.4"),
        ({"kind": "one"}, "mixture, shared"),
        ({"gate": "hard"}, "noisy-topk"),
        ({"balance": "cv"}, "switch"),
        ({"noise": "fixed"}, "learned, none"),
        ({"balance_over": "all"}, "together, each"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        network(**settings)
