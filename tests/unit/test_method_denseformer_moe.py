"""DenseFormer-MoE: gates, balance, who learns from whom, what it shows, both scales."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from training_toy import TASKS, context, toy_people

from benchmark.api import Batch
from benchmark.checks import Bench
from benchmark.cli.compose import compose_request
from benchmark.config import load_profile
from benchmark.encoders import MaskedAutoencoder, MaskedConfig, build_encoder, over_volumes
from benchmark.encoders.masked import image_mask
from benchmark.encoders.transformer import TransformerConfig
from benchmark.runs.rows import resolve_row
from benchmark.training.losses import TaskScales
from methods.denseformer_moe.experts import (
    Experts,
    Routing,
    balance_loss,
)
from methods.denseformer_moe.info import (
    BackboneConfig,
    DenseFormerConfig,
    ExpertsConfig,
    paper_config,
)
from methods.denseformer_moe.model import ROUTING, DenseFormerMoE, Network

SHAPE = (16, 16, 16)
ROOT = Path(__file__).resolve().parents[2]


def small(**experts: object) -> DenseFormerConfig:
    backbone = BackboneConfig(stem=4, blocks=[2], growth=2, width=12, depth=1, heads=2)
    config = DenseFormerConfig(backbone=backbone, pretrained="")
    config.experts = ExpertsConfig(**{"hidden": 6, "zero_start": False, **experts})
    config.trainer = replace(config.trainer, epochs=2, batch_size=8)
    return config


def network(**experts: object) -> Network:
    torch.manual_seed(0)
    made = Network(small(**experts), TASKS, 5.0, SHAPE)
    for gate in made.gates.values():
        nn.init.normal_(gate.clean.weight, std=0.5)
    return made


def batch(n: int = 8, seed: int = 0) -> Batch:
    """Half of the people have dx3, the others brain_age."""
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 1, *SHAPE, generator=g) + 0.5
    first = (torch.arange(n) % 2 == 0).float()
    labels = {"dx3": torch.arange(n) % 3, "brain_age": torch.randn(n, generator=g)}
    return Batch({"t1w": x}, labels, {"dx3": first, "brain_age": 1 - first}, training=True)


@pytest.fixture(scope="module")
def method(tmp_path_factory) -> DenseFormerMoE:
    made = DenseFormerMoE(small())
    people = toy_people(24, 0, SHAPE), toy_people(9, 1, SHAPE)
    made.fit(*people, TASKS, context(tmp_path_factory.mktemp("moe")))
    return made


# Tasks -------------------------------------------------------------------------------------------


def test_a_tasks_loss_reaches_no_gate_or_head_of_another(method: DenseFormerMoE) -> None:
    made, b = network().train(), batch()
    losses = method.task_losses(made(b.inputs), b)
    losses["dx3"].backward()
    touched = {n for n, p in made.named_parameters() if p.grad is not None and p.grad.any()}
    assert not {n for n in touched if "brain_age" in n}
    assert {"gates.dx3.clean.weight", "gates.dx3.noise.weight", "heads.dx3.weight"} <= touched
    assert any(n.startswith("backbone.stem.") for n in touched)
    assert any(n.startswith("experts.") for n in touched)


def test_scrambled_masked_labels_leave_the_loss_identical(method: DenseFormerMoE) -> None:
    made, b = network(), batch()
    labels = {
        "dx3": torch.where(b.masks["dx3"] > 0, b.labels["dx3"], 2 - b.labels["dx3"]),
        "brain_age": torch.where(b.masks["brain_age"] > 0, b.labels["brain_age"], 77.0),
    }
    outputs = made.eval()(b.inputs)
    one, two = (method.loss(outputs, c) for c in (b, replace(b, labels=labels)))
    assert torch.equal(one, two)


def test_the_penalty_is_part_of_the_training_loss_alone(method: DenseFormerMoE) -> None:
    b = batch()
    outputs = network().eval()(b.inputs)
    penalty = method.penalty(outputs, b)
    judged = method.loss(outputs, replace(b, training=False))
    torch.testing.assert_close(method.loss(outputs, b), judged + penalty)
    routings = [Routing(*each.unbind(1)) for each in outputs[ROUTING].unbind(1)]
    expected = balance_loss(routings, [b.masks[t.name] for t in TASKS], "cv2", "together")
    torch.testing.assert_close(penalty, 1e-2 * expected)
    assert DenseFormerMoE(small(balance_weight=0.0)).penalty(outputs, b) is None


def test_one_expert_is_a_shared_bottom() -> None:
    made, b = network(number=1, chosen=1).eval(), batch()
    f = made.features(b.inputs)
    shared = f + made.experts.members[0](f)
    outputs = made(b.inputs)
    for task, head in made.heads.items():
        torch.testing.assert_close(outputs[task], head(shared), rtol=1e-6, atol=1e-6)
    assert (outputs[ROUTING] == 1).all()
    made.train()
    assert (made(b.inputs)[ROUTING][:, :, 0] == 1).all()


def test_an_answer_is_the_features_and_the_weighed_experts() -> None:
    made, b = network().eval(), batch()
    f, outputs = made.features(b.inputs), made(b.inputs)
    assert isinstance(made.experts, Experts)
    for number, (task, head) in enumerate(made.heads.items()):
        mixed = f.clone()
        for expert, member in enumerate(made.experts.members):
            mixed = mixed + outputs[ROUTING][:, number, 0, expert, None] * member(f)
        torch.testing.assert_close(outputs[task], head(mixed), rtol=1e-5, atol=1e-5)


def test_the_stem_learns_at_its_own_rate_and_nothing_is_left_out(method: DenseFormerMoE) -> None:
    made = network()
    other = DenseFormerMoE(replace(method.config, stem_rate=5.0, head_rate=0.5))
    groups = other.parameter_groups(made)
    rates = {id(p): g["lr"] for g in groups for p in g["params"]}
    base = method.config.trainer.lr
    for name, parameter in made.named_parameters():
        fast = name.startswith(("backbone.stem.", "backbone.project."))
        rate = 5.0 if fast else 1.0 if name.startswith("backbone.") else 0.5
        assert rates[id(parameter)] == pytest.approx(base * rate), name
    assert sum(len(g["params"]) for g in groups) == len(list(made.parameters()))


def test_from_a_zero_start_a_task_reads_f_alone_and_experts_learn_from_the_first_step() -> None:
    made = network(zero_start=True, gate="soft").eval()  # every expert is asked
    x = batch().inputs
    f, outputs = made.features(x), made(x)
    for task, head in made.heads.items():
        assert torch.equal(outputs[task], head(f))
    sum(outputs[task].square().sum() for task in made.heads).backward()
    assert all(expert[-1].weight.grad.any() for expert in made.experts.members)


# Pretraining -------------------------------------------------------------------------------------


def test_masked_content_changes_no_output_bit_for_bit() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("dense_vit", asdict(small().backbone), SHAPE)
    decoder = TransformerConfig(width=12, depth=1, heads=2)
    model = MaskedAutoencoder(encoder, MaskedConfig(decoder=decoder), SHAPE).eval()
    x, hidden = torch.randn(2, 1, *SHAPE), image_mask(2, (2, 2, 2), (1, 1, 1), 0.75)
    voxels = hidden.view(2, 1, 2, 2, 2)
    for axis in (2, 3, 4):
        voxels = voxels.repeat_interleave(8, dim=axis)
    other = torch.where(voxels, torch.full_like(x, 1e6), x)
    assert torch.equal(model.reconstruct(x, hidden), model.reconstruct(other, hidden))
    assert torch.equal(model.encode(x, hidden).pooled, model.encode(other, hidden).pooled)


def test_the_backbone_starts_from_the_weights_that_are_named(tmp_path: Path) -> None:
    made, run = DenseFormerMoE(small()), context(tmp_path)
    other = build_encoder("dense_vit", asdict(small().backbone), SHAPE)
    torch.save(other.state_dict(), tmp_path / "weights.pt")
    fresh = network()
    made.initialise(fresh, run)
    assert not torch.equal(fresh.backbone.project.weight, other.project.weight)
    made.initialise(fresh, replace(run, pretrained=tmp_path))
    for name, tensor in other.state_dict().items():
        assert torch.equal(fresh.backbone.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("recipe", "config"),
    [("t1w_dense_vit", DenseFormerConfig()), ("t1w_dense_vit_paper", paper_config())],
)
def test_recipe_and_method_have_one_backbone(recipe: str, config: DenseFormerConfig) -> None:
    values = yaml.safe_load((ROOT / f"configs/pretraining/{recipe}.yaml").read_text())
    shape = values.get("grid", [32, 40, 32])
    assert values.get("grid", []) == config.grid
    assert config.pretrained == recipe
    with torch.device("meta"):
        ours = build_encoder("dense_vit", asdict(config.backbone), shape).state_dict()
        theirs = build_encoder("dense_vit", values["settings"], shape).state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items()}


# What it shows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pooled", ["mean", "cls"])
def test_routing_and_attention_are_one_row_a_person(pooled: str, tmp_path: Path) -> None:
    config = small()
    config.backbone.pooled = pooled
    config.trainer = replace(config.trainer, epochs=1)
    made = DenseFormerMoE(config)
    made.fit(toy_people(12, 0, SHAPE), toy_people(5, 1, SHAPE), TASKS, context(tmp_path))
    people = toy_people(5, 2, SHAPE).without_labels()
    shown = made.expose(people)
    assert shown["routing"].shape == (5, 2, 4)
    np.testing.assert_allclose(shown["routing"].sum(axis=2), 1, rtol=1e-5)
    assert ((shown["routing"] > 0).sum(axis=2) == 2).all()
    assert shown["attention"].shape == (5, 1, 2, 2, 2)
    total = shown["attention"].sum(axis=(2, 3, 4))
    if pooled == "mean":
        np.testing.assert_allclose(total, 1, rtol=1e-5)
    else:
        assert (total < 1).all()  # the cls token keeps a share for itself
    assert not made.model.backbone.save_attention
    assert made.embed(people).shape == (5, 12)


@pytest.mark.parametrize("number", [0, 1])
def test_gradcam_is_a_map_a_person_on_the_stored_grid(method, number: int) -> None:
    people = toy_people(4, 2, SHAPE).without_labels()
    method.model.zero_grad()
    maps = method.explain(people, TASKS[number])
    assert maps.shape == (4, *SHAPE)
    assert np.isfinite(maps).all()
    assert (maps >= 0).all()
    alone = method.explain(people.subset(np.array([2])), TASKS[number])
    np.testing.assert_allclose(alone[0], maps[2], rtol=1e-3, atol=1e-5)
    assert all(p.grad is None for p in method.model.parameters())


def test_gradcam_equals_one_written_out(method: DenseFormerMoE) -> None:
    model, x = method.model.eval(), batch(3).inputs["t1w"]
    maps = model.backbone.project(model.backbone.stem(model.prepare(x)))
    maps = maps.detach().requires_grad_(True)
    tokens = maps.flatten(2).transpose(1, 2)
    f = model.norm(model.backbone._transformed(tokens, (2, 2, 2)).pooled)
    value = model.answers(f)["brain_age"][:, 0].sum()
    (slope,) = torch.autograd.grad(value, maps)
    cam = (slope.mean(dim=(2, 3, 4), keepdim=True) * maps).sum(dim=1, keepdim=True).relu()
    # Points at voxels 2 and 10 of 16: convolution and pooling begin at 0, the mean adds 2.
    right = ((torch.arange(16.0) - 2) / 8).clamp(0, 1)
    weights = torch.stack([1 - right, right])  # points voxels
    cam = torch.einsum("bcijk,ix,jy,kz->bcxyz", cam.detach(), weights, weights, weights)
    expected = model.prepare.restored(cam, x)[:, 0]
    from methods.denseformer_moe.evidence import gradcam

    found = gradcam(model, {"t1w": x}, "brain_age")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_exposed_maps_are_those_of_explain_on_the_stems_grid(method: DenseFormerMoE) -> None:
    people, method = toy_people(5, 2, SHAPE).without_labels(), deepcopy(method)
    draws = torch.Generator().manual_seed(2)
    for head in method.model.heads.values():  # so that something is above zero for each task
        nn.init.normal_(head.weight, generator=draws)
    missing = replace(people, available={"t1w": np.arange(5) != 3})
    shown, without = method.expose(people), method.expose(missing)
    x = torch.from_numpy(people.arrays["t1w"].take(np.arange(5)).astype(np.float32))[:, None]
    model = method.model
    for task in TASKS:
        coarse = shown[f"gradcam_{task.name}"]
        assert coarse.shape == (5, 2, 2, 2)
        assert coarse.dtype == np.float16
        assert coarse.any()
        maps = over_volumes(torch.from_numpy(coarse).float(), model.backbone, SHAPE)
        expected = model.prepare.restored(maps, x)[:, 0].numpy()
        np.testing.assert_allclose(method.explain(people, task), expected, rtol=2e-3, atol=1e-5)
        assert not without[f"gradcam_{task.name}"][3].any()


# Rows and scales ---------------------------------------------------------------------------------


def test_rows_differ_in_what_their_names_say() -> None:
    profile = load_profile("twins")
    rows = {
        name: resolve_row(f"denseformer_{name}", profile)
        for name in ("moe", "shared", "single", "scratch", "soft", "switch")
    }
    assert {n for n, row in rows.items() if row.suite != "disorders"} == {"single"}
    assert {n for n, row in rows.items() if not row.multitask} == {"single"}
    assert {n for n, row in rows.items() if row.pretrained != "t1w_dense_vit"} == {"scratch"}
    assert rows["single"].config == rows["moe"].config
    shared = rows["shared"].config
    assert shared == {
        **rows["moe"].config,
        "experts": {**rows["moe"].config["experts"], "kind": "shared"},
    }


def test_the_papers_settings_come_through_the_command_line_whole() -> None:
    words = ["method=denseformer_moe", "profile=mini", "scale=paper", "config.backbone.stem=32"]
    request = compose_request(words)
    row = resolve_row(request.method, request.profile, request.config, scale=request.scale)
    wanted = asdict(paper_config())
    wanted["backbone"]["stem"] = 32
    assert row.config == wanted
    assert wanted["trainer"]["predict_batch_size"] <= 4


def parameters(config: DenseFormerConfig, shape: tuple[int, ...]) -> int:
    with torch.device("meta"):
        made = Network(config, TASKS, 5.0, shape)
    return sum(p.numel() for p in made.parameters())


def test_mini_has_about_three_hundred_thousand_parameters() -> None:
    assert 0.2e6 < parameters(DenseFormerConfig(), (32, 40, 32)) < 0.35e6


def test_the_paper_has_about_154_million_parameters() -> None:
    values = yaml.safe_load((ROOT / "configs/pretraining/t1w_dense_vit_paper.yaml").read_text())
    masked = MaskedConfig(
        context=values["masked"]["context"],
        decoder=TransformerConfig(**values["masked"]["decoder"]),
    )
    with torch.device("meta"):
        encoder = build_encoder("dense_vit", values["settings"], (96, 96, 96))
        decoder = MaskedAutoencoder(encoder, masked, (96, 96, 96)).decoder
    assert decoder.head.out_features == 4096
    decoding = sum(p.numel() for p in decoder.parameters())
    total = parameters(paper_config(), (96, 96, 96)) + decoding
    assert total == pytest.approx(154e6, rel=0.05)


@pytest.mark.slow
def test_the_papers_scale_runs_forward_and_backward() -> None:
    torch.manual_seed(0)
    made = Network(paper_config(), TASKS, 2.0, (80, 100, 80)).train()
    outputs = made({"t1w": torch.rand(2, 1, 80, 100, 80) + 0.5})
    assert outputs["dx3"].shape == (2, 3)
    assert outputs[ROUTING].shape == (2, 2, 3, 8)
    assert made.backbone.token_grid((96, 96, 96)) == (6, 6, 6)
    sum(outputs[t.name].square().sum() for t in TASKS).backward()
    assert torch.isfinite(made.backbone.project.weight.grad).all()


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "pcgrad"])
def test_the_penalty_is_added_as_it_is_whatever_weighs_the_tasks(weighting: str) -> None:
    def gradient(*, penalised: bool) -> torch.Tensor:
        torch.manual_seed(0)
        config = small(balance_weight=5.0 if penalised else 0.0)
        config.trainer.balance.weighting = weighting
        made = DenseFormerMoE(config)
        made._tasks, made._scales = method_tasks, method_scales
        made.model = made._network(toy_people(4, 0, SHAPE), TASKS)
        for gate in made.model.gates.values():
            nn.init.normal_(gate.clean.weight, std=0.5)
        outputs = made.model.eval()(b.inputs)
        made.backward(outputs, b, lambda loss: loss)
        own = torch.cat(
            [p.grad.flatten() for n, p in made.model.named_parameters() if "clean" in n]
        )
        penalty = made.penalty(made.model(b.inputs), b)
        if penalty is not None:
            made.model.zero_grad()
            penalty.backward()
            extra.append(
                torch.cat(
                    [p.grad.flatten() for n, p in made.model.named_parameters() if "clean" in n]
                )
            )
        return own

    b, extra = batch(), []
    people = {"dx3": np.array([0.0, 1, 2]), "brain_age": np.array([60.0, 70, 80])}
    method_tasks = tuple(task.name for task in TASKS)
    method_scales = TaskScales.learn(TASKS, people, balance=True)
    with_it, without = gradient(penalised=True), gradient(penalised=False)
    assert extra[0].abs().max() > 1e-3
    torch.testing.assert_close(with_it, without + extra[0], rtol=1e-3, atol=1e-5)


def test_the_single_row_is_fitted_task_by_task(tmp_path: Path) -> None:
    joint, single = (
        Bench(f"denseformer_{n}", tmp_path / n).groups("t1w") for n in ("moe", "single")
    )
    assert [len(group) for group in joint] == [2]
    assert [len(group) for group in single] == [1, 1]
