"""Brain-Adapter: what is frozen stays frozen, what is learned is what should be."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from brain_adapter_people import (
    SHAPE,
    TASK,
    TRAINER,
    batch,
    config,
    count_letters,
    fitted,
    network,
    people,
)

from benchmark.errors import MethodError
from benchmark.samples.hide import hide
from benchmark.training.batches import epoch_batches, label_strata
from benchmark.training.config import AugmentConfig
from methods.brain_adapter.adapter import Adapter
from methods.brain_adapter.contrast import Temperature, clip_loss
from methods.brain_adapter.evidence import rollout
from methods.brain_adapter.info import BrainAdapterConfig, ContrastConfig
from methods.brain_adapter.model import BrainAdapter
from methods.brain_adapter.network import Network


@pytest.fixture(autouse=True)
def text_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    count_letters(monkeypatch)


# Frozen ------------------------------------------------------------------------------------------


def test_frozen_parameters_and_buffers_are_the_same_bits_after_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[str, torch.Tensor] = {}
    train = BrainAdapter.train

    def watched(self, *args) -> None:
        before.update({n: t.clone() for n, t in self.model.state_dict().items()})
        train(self, *args)

    monkeypatch.setattr(BrainAdapter, "train", watched)
    method = fitted(tmp_path, config())
    after = method.model.state_dict()
    learned = {n for n, p in method.model.named_parameters() if p.requires_grad}
    frozen = set(after) - learned
    assert {n for n in after if n.startswith("vit.")} <= frozen
    assert {"image.mean", "image.spread", "text.mean", "text.spread"} <= frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert all(not torch.equal(before[name], after[name]) for name in learned)


def test_the_frozen_encoder_is_in_eval_mode_under_train() -> None:
    model = network()
    model.train()
    assert model.training and model.adapter.training  # noqa: PT018
    assert not any(module.training for module in model.encoder.modules())
    assert not any(p.requires_grad for p in model.encoder.parameters())
    assert any(module.training for module in network("finetune").train().encoder.modules())


def test_a_gradient_reaches_the_adapter_through_the_frozen_encoder() -> None:
    model = network()
    torch.nn.init.normal_(model.adapter.out.weight)
    outputs = model(batch())
    outputs["dx3"].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.adapter.parameters())
    assert all(p.grad is None for p in model.encoder.parameters())


# The adapter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [(2, 1, 1), (4, 1, 1)])
def test_the_adapter_is_an_average_pool_at_first(stride: tuple[int, ...]) -> None:
    x = torch.randn(2, 1, 8, 5, 6)
    adapter = Adapter(16, 8, (4, 3, 3), stride, groups=4)
    expected = x.reshape(2, 1, 8 // stride[0], stride[0], 5, 6).mean(dim=3)
    assert torch.allclose(adapter(x), expected, atol=1e-6)
    torch.nn.init.normal_(adapter.out.weight)
    assert not torch.allclose(adapter(x), expected, atol=1e-2)


def test_a_kernel_that_cannot_meet_the_pool_is_refused() -> None:
    with pytest.raises(MethodError, match=r"adapter.kernel \[3, 3, 3\] must exceed"):
        Adapter(16, 8, [3, 3, 3], [2, 1, 1], groups=4)
    with pytest.raises(MethodError, match=r"adapter\.kind: .*got 'prompt'"):
        network("prompt")


def test_low_rank_updates_change_nothing_at_first_beside_pretrained_weights(
    tmp_path: Path,
) -> None:
    plain = network("none")
    torch.save(plain.encoder.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(1)
    lora = Network(config("lora"), [TASK], 5.0, SHAPE, 8, tmp_path)
    volumes = batch()["t1w"]
    assert torch.allclose(plain.encode(volumes), lora.encode(volumes), atol=1e-6)
    assert {"lora_" in n for n, p in lora.encoder.named_parameters() if p.requires_grad} == {True}
    torch.save({"strange": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(MethodError, match="1 not known here: strange"):
        network("lora", weights=tmp_path)


def test_tlp_trains_exactly_the_projections_more_than_fpm() -> None:
    def learned(trained: bool) -> dict[str, int]:
        model = network(train_projections=trained)
        return {n: p.numel() for n, p in model.named_parameters() if p.requires_grad}

    tlp, fpm = learned(True), learned(False)
    more = {name: n for name, n in tlp.items() if name not in fpm}
    assert more.keys() == {
        f"{part}.linear.{k}" for part in ("image", "text") for k in ("weight", "bias")
    }
    assert fpm.keys() <= tlp.keys()
    assert sum(tlp.values()) - sum(fpm.values()) == sum(more.values())
    assert more["text.linear.weight"] == 6 * 8
    assert more["image.linear.weight"] == 6 * 12 * 4  # 1 x 2 x 2 patches of 12 features


def test_the_classifier_is_one_linear_layer_on_both_vectors() -> None:
    model = network()
    first, second = model.heads["dx3"].parts["image"], model.heads["dx3"].parts["text"]
    assert second.weight.abs().sum() == 0  # it starts as that of the volume alone
    torch.nn.init.normal_(second.weight)
    joined = torch.nn.functional.linear(
        model.features(batch()), torch.cat([first.weight, second.weight], dim=1), first.bias
    )
    assert torch.allclose(model(batch())["dx3"], joined, atol=1e-6)
    assert second.bias is None


def test_reports_learn_slower_where_volumes_are_seen_too() -> None:
    model, brain = network(), BrainAdapter(config(projection_lr=2e-3, report_rate=0.1))
    groups = brain.parameter_groups(model)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    of = {name: rates[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert of["image.linear.weight"] == 2e-3
    assert of["heads.dx3.parts.image.weight"] == of["adapter.out.weight"] == TRAINER.lr
    assert of["text.linear.weight"] == pytest.approx(2e-4)
    assert of["heads.dx3.parts.text.weight"] == pytest.approx(TRAINER.lr / 10)
    alone = brain.parameter_groups(Network(brain.config, [TASK], 5.0, None, 8))
    assert {group["lr"] for group in alone} == {2e-3, TRAINER.lr}


# The contrastive loss ----------------------------------------------------------------------------


def unit(n: int, p: int, seed: int) -> torch.Tensor:
    x = torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x / x.norm(dim=1, keepdim=True)


def test_the_contrastive_loss_is_symmetric_and_that_of_a_float64_reference() -> None:
    v, t, everybody = unit(7, 5, 0), unit(7, 5, 1), torch.ones(7, dtype=torch.bool)
    scale = torch.tensor(1 / 0.07, dtype=torch.float64)
    s = (scale * v @ t.T).numpy()
    rows = -np.log(np.exp(np.diag(s)) / np.exp(s).sum(axis=1))
    columns = -np.log(np.exp(np.diag(s)) / np.exp(s).sum(axis=0))
    expected = (rows.mean() + columns.mean()) / 2
    assert clip_loss(v, t, scale, everybody).item() == pytest.approx(expected, rel=1e-12)
    assert clip_loss(t, v, scale, everybody).item() == pytest.approx(expected, rel=1e-12)
    single = clip_loss(v.float(), t.float(), scale.float(), everybody)
    assert single.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("n", [2, 8])
def test_uniform_similarity_costs_the_logarithm_of_the_batch(n: int) -> None:
    same = torch.ones(n, 3) / math.sqrt(3)
    loss = clip_loss(same, same, torch.tensor(14.0), torch.ones(n, dtype=torch.bool))
    assert loss.item() == pytest.approx(math.log(n), rel=1e-6)


def test_one_pair_or_none_costs_exactly_nothing() -> None:
    v = unit(3, 4, 0).requires_grad_()
    for paired in ([False, True, False], [False, False, False]):
        loss = clip_loss(v, unit(3, 4, 1), torch.tensor(14.0), torch.tensor(paired))
        assert loss.item() == 0.0
        assert torch.autograd.grad(loss, v)[0].abs().sum() == 0


def test_whoever_lacks_a_modality_takes_no_part() -> None:
    v, t = unit(6, 4, 0), unit(6, 4, 1)
    paired = torch.tensor([True, True, False, True, True, False])
    scale = torch.tensor(14.0, dtype=torch.float64)
    alone = clip_loss(v[paired], t[paired], scale, torch.ones(4, dtype=torch.bool))
    assert clip_loss(v, t, scale, paired).item() == pytest.approx(alone.item(), rel=1e-12)


def test_the_temperature_starts_at_its_published_value_and_is_limited() -> None:
    temperature = Temperature(ContrastConfig())
    assert temperature().item() == pytest.approx(1 / 0.07, rel=1e-6)
    with torch.no_grad():
        temperature.tau.fill_(9.0)
    assert temperature().item() == pytest.approx(100.0, rel=1e-5)


@pytest.mark.parametrize("even_labels", [False, True])
def test_nobody_is_in_a_batch_twice(even_labels: bool) -> None:
    rows = np.arange(50)
    labels = {"dx3": np.where(rows % 5 == 4, np.nan, rows % 3)}
    strata = label_strata(labels, frozenset(labels)) if even_labels else None
    for epoch in range(4):
        batches = list(epoch_batches(50, 8, seed=0, epoch=epoch, strata=strata))
        assert all(len(set(batch.tolist())) == len(batch) <= 8 for batch in batches)
        assert sorted(np.concatenate(batches)) == rows.tolist()


# What is missing ---------------------------------------------------------------------------------


def test_the_content_of_a_missing_modality_changes_nothing() -> None:
    model = network().eval()
    seen = batch()
    seen["report_available"] = torch.tensor([True, False, True, False])
    other = {**seen, "report": torch.where(seen["report_available"][:, None], seen["report"], 9.0)}
    assert torch.equal(model(seen)["dx3"], model(other)["dx3"])
    assert model(seen)["text"][1].abs().sum() == 0


def test_people_are_answered_with_either_modality_and_left_out_with_neither(tmp_path: Path) -> None:
    method = fitted(tmp_path, config())
    test = people(10, 2).without_labels()
    everybody = np.ones(10, dtype=bool)
    for modality in ("t1w", "report"):
        answer = method.predict(hide(test, {modality: everybody}), [TASK])["dx3"].probabilities
        assert np.isfinite(answer).all()
    labelled = people(10, 2)
    neither = np.arange(10) < 3
    bare = hide(labelled, {"t1w": neither, "report": neither})
    assert not method.usable(bare)[:3].any()
    assert method.usable(bare)[5:].any()


# As a method -------------------------------------------------------------------------------------


def test_what_it_shows(tmp_path: Path) -> None:
    method = fitted(tmp_path, config())
    test = people(10, 2).without_labels()
    shown = method.expose(test)
    assert {name: values.shape for name, values in shown.items()} == {
        "similarity": (10,),
        "embedding_epoch_1": (10, 12),
        "embedding_epoch_2": (10, 12),
        "attention": (10, 4),
        "rollout": (10, 4),
        "gradcam_dx3": (10, 4, 16, 16),
        "gradcam_scale_dx3": (10,),
    }
    for name in ("attention", "rollout"):
        np.testing.assert_allclose(shown[name].sum(axis=1), 1, rtol=1e-5)
    assert (np.abs(shown["similarity"]) <= 1 + 1e-6).all()
    assert (shown["similarity"][~test.has("report")] == 0).all()
    np.testing.assert_array_equal(shown["embedding_epoch_2"], method.embed(test))
    assert not np.array_equal(shown["embedding_epoch_1"], shown["embedding_epoch_2"])
    method.save(tmp_path)
    loaded = BrainAdapter.load(tmp_path)
    again = loaded.expose(test)
    assert all(np.array_equal(shown[name], again[name]) for name in shown)


def test_the_evidence_is_a_map_of_the_stored_grid(tmp_path: Path) -> None:
    method = fitted(tmp_path, config(), reports=False)
    test = people(5, 2, reports=False).without_labels()
    maps = method.explain(test, TASK)
    assert maps.shape == (5, *SHAPE)
    assert np.isfinite(maps).all()
    assert (maps >= 0).all()
    assert maps.any()
    with pytest.raises(NotImplementedError, match="adapter's maps"):
        fitted(tmp_path / "none", config("none"), reports=False).explain(test, TASK)


def test_rollout_of_even_attention_is_even_but_for_the_residual() -> None:
    maps = [torch.full((1, 2, 3, 3), 1 / 3)] * 2
    expected = torch.full((3, 3), 0.25) + torch.eye(3) * 0.25
    assert torch.allclose(rollout(maps)[0], expected)


@pytest.mark.parametrize("reports", [True, False])
def test_the_same_seed_gives_the_same_bits(tmp_path: Path, reports: bool) -> None:
    one, two = (fitted(tmp_path / name, config(), reports=reports) for name in ("one", "two"))
    states = one.model.state_dict(), two.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_computing_features_once_changes_no_number(tmp_path: Path) -> None:
    still = AugmentConfig(flip=0.0, shift_voxels=0.0)
    trainer = replace(TRAINER, augment=still)
    answers, test = [], people(9, 2, reports=False).without_labels()
    for store in (None, tmp_path / "store", tmp_path / "store"):
        settings = config("none", trainer=trainer, cache_image=True)
        method = fitted(tmp_path / "run", settings, reports=False, features=store)
        answers.append(method.predict(test, [TASK])["dx3"].probabilities)
        (tmp_path / "run" / "fit.checkpoint.pt").unlink()
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[1], answers[2])
    live = fitted(tmp_path / "live", config("none", trainer=trainer), reports=False)
    np.testing.assert_allclose(
        live.predict(test, [TASK])["dx3"].probabilities, answers[0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["adapter", "lora", "finetune"])
def test_features_that_would_change_are_not_computed_once(tmp_path: Path, kind: str) -> None:
    with pytest.raises(MethodError, match=r"cache_image needs adapter\.kind=none"):
        fitted(tmp_path, config(kind, cache_image=True), reports=False)


def test_a_unit_of_text_that_is_not_known_is_refused(tmp_path: Path) -> None:
    text = replace(BrainAdapterConfig().text, unit="word")
    with pytest.raises(MethodError, match=r"unit: expected .* got 'word'"):
        fitted(tmp_path, config(text=text))


# The paper's scale -------------------------------------------------------------------------------


def test_parameters_of_the_default_scale() -> None:
    model = Network(BrainAdapterConfig(), [TASK], 5.0, (32, 40, 32), 384)
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    adapter = sum(p.numel() for p in model.adapter.parameters())
    assert adapter == (36 + 1) * 16 + 2 * 16 + (16 * 8 + 8) + (8 * 16 + 16) + (16 + 1)
    projections = (80 * 96 + 1) * 64 + (384 + 1) * 64
    assert learned == adapter + projections + (128 + 1) * 3 + 1
    assert sum(p.numel() for p in model.encoder.parameters()) == 182_112
