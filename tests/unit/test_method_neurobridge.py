"""NeuroBridge: what its losses reach, what its streams read, and its two trainings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from training_toy import context, toy_people

from benchmark.errors import MethodError
from benchmark.method import RunContext
from benchmark.runs.rows import resolve_row
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import get_task
from methods.neurobridge.guidance import (
    LEAST_REFERENCE,
    MASK,
    AtrophyRule,
    atrophy_loss,
    dice,
    healthy,
    segmentation_loss,
)
from methods.neurobridge.info import INFO, NeuroBridgeConfig, paper_config
from methods.neurobridge.model import NeuroBridge
from methods.neurobridge.network import STREAMS, GatedFusion, Network

SHAPE = (16, 20, 16)
TASKS = [get_task("dx3"), get_task("brain_age")]
TABLES = "head_size_mm3"


def people(n: int, seed: int, masks: bool = True, **others: object) -> Samples:
    """Toy people whose hippocampus shrinks with their label; every seventh has no mask."""
    toy = toy_people(n, seed, SHAPE)
    g = np.random.default_rng(seed)
    stage = np.nan_to_num(toy.labels("dx3")[0], nan=1.0)
    size = np.clip(np.round(8 - 2 * stage + g.normal(0, 1, n)), 1, 12).astype(int)
    found = np.zeros((n, *SHAPE), dtype=np.uint8)
    for row, length in enumerate(size):
        found[row, 4 : 4 + length, 9:12, 6:8] = 1
    rows = np.where(np.arange(n) % 7 == 3, -1, np.arange(n))
    head = pd.DataFrame({TABLES: 1.4e6 + 1e5 * g.normal(size=n)})
    targets = {MASK: LazyRows([found], np.zeros(n, dtype=int), rows)} if masks else {}
    return replace(toy, tables={"t1w": head}, _targets=targets, **others)


def config(**others: object) -> NeuroBridgeConfig:
    made = NeuroBridgeConfig(
        settings={"widths": [4, 8, 8], "blocks": [0, 1, 1], "stride": 2, "norm": "batch"},
        width=8,
        **others,
    )
    for trainer in (made.guided, made.trainer):
        trainer.epochs, trainer.batch_size = 2, 10
    return made


def fitted(folder: Path, made: NeuroBridgeConfig | None = None, **others: object) -> NeuroBridge:
    method = NeuroBridge(made or config())
    method.fit(people(30, 0), people(12, 1), TASKS, context(folder, **others))
    return method


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> NeuroBridge:
    return fitted(tmp_path_factory.mktemp("neurobridge"))


def prepared(made: NeuroBridgeConfig | None = None, tasks=TASKS, train: Samples | None = None):
    """A method with an untrained network, and a training batch of eight people."""
    method = NeuroBridge(made or config())
    train = people(30, 0) if train is None else train
    method._tasks = tuple(task.name for task in tasks)
    method._scales = method._scales.learn(
        tasks, {t.name: train.labels(t.name)[0] for t in tasks}, balance=True
    )
    run = RunContext(seed=0, folder=Path())
    method.prepare(train, tasks, run)
    method.model = method._built(train, tasks, run).train()
    return method, method.source(train, tasks).read(np.arange(8), training=True)


def step(method: NeuroBridge, batch) -> dict[str, torch.Tensor]:
    """Gradients of one training step, by parameter; those without one are zeros."""
    method.model.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    method.backward(method.model(batch.inputs), batch, lambda loss: loss)
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in method.model.named_parameters()
    }


# Gates and streams -------------------------------------------------------------------------------


def test_gates_sum_to_one_in_each_channel_and_start_even() -> None:
    fusion, streams = GatedFusion(3, 5), torch.randn(4, 3, 5)
    z, gate = fusion(streams)
    torch.testing.assert_close(gate, torch.full((4, 3, 5), 1 / 3))
    torch.testing.assert_close(z, streams.mean(dim=1))
    torch.nn.init.normal_(fusion.scores.weight)
    z, gate = fusion(streams)
    torch.testing.assert_close(gate.sum(dim=1), torch.ones(4, 5))
    assert gate.std() > 0.1
    expected = sum(gate[:, s] * streams[:, s] for s in range(3))
    torch.testing.assert_close(z, expected)


def network(**others: object) -> Network:
    torch.manual_seed(0)
    made = Network(config(**others), {"dx3": 3}, SHAPE, 5.0)
    made.learn_masks((torch.rand(6, 1, *SHAPE) < 0.2).float())
    return made.eval()


def test_the_first_stream_ignores_voxels_of_probability_zero() -> None:
    made = network()
    h = torch.randn(2, 8, 2, 3, 2)
    share = torch.zeros(2, 1, 16, 24, 16)
    share[:, :, :8, :8] = torch.rand(2, 1, 8, 8, 16)  # two of twelve cells
    other = torch.where(made_weight(share) > 0, h, torch.randn_like(h))
    assert not torch.equal(h, other)
    one, two = made.pooled(h, share), made.pooled(other, share)
    segmentation = STREAMS.index("segmentation")
    assert torch.equal(one[:, segmentation], two[:, segmentation])
    for stream in (0, 1, 2):
        assert stream == segmentation or not torch.allclose(one[:, stream], two[:, stream])


def made_weight(share: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool3d(share, 8)


def test_the_first_stream_is_the_mean_weighted_by_probability() -> None:
    made = network(volume_in_stream=False)
    h, share = torch.randn(2, 8, 2, 3, 2), torch.rand(2, 1, 16, 24, 16)
    branched, weight = made.branches["segmentation"](h), made_weight(share)
    expected = (branched * weight).sum(dim=(2, 3, 4)) / weight.sum(dim=(2, 3, 4))
    torch.testing.assert_close(made.pooled(h, share)[:, 0], expected)


def test_the_first_stream_holds_the_volume_that_was_found() -> None:
    made = network()
    torch.nn.init.ones_(made.volume.weight)
    h, share = torch.randn(1, 8, 2, 3, 2), torch.rand(1, 1, 16, 24, 16)
    more = made.pooled(h, share)[:, 0] - made.pooled(h, share * 0.5)[:, 0]
    expected = 0.5 * share.sum() * made.volume_scale
    torch.testing.assert_close(more, expected.expand(1, 8), rtol=1e-3, atol=1e-3)


def test_reconstruction_is_the_same_when_skips_are_replaced() -> None:
    made, x = network(), torch.randn(2, 1, 16, 24, 16)
    whole = made.encoder.encode_maps

    def others(volumes: torch.Tensor):
        maps = whole(volumes)
        return maps._replace(skips=tuple(torch.randn_like(s) for s in maps.skips))

    results = []
    for encode in (whole, others):
        made.encoder.encode_maps = encode
        torch.manual_seed(3)
        results.append(made.reconstruction_errors(x))
    assert torch.equal(*results)
    made.encoder.encode_maps = whole
    assert not torch.equal(
        made.segment(whole(x)), made.segment(others(x))
    )  # the segmentation does read them


def test_hidden_voxels_reach_no_error_but_as_its_target() -> None:
    made, x = network(reconstruct_share=1.0), torch.randn(2, 1, 16, 24, 16)
    torch.manual_seed(3)
    hidden = made.hidden_voxels(x)
    assert hidden.float().mean() == pytest.approx(made.config.mask_ratio)
    seen: list[torch.Tensor] = []
    whole = made.encoder.encode_maps
    made.encoder.encode_maps = lambda v: (seen.append(v), whole(v))[1]
    torch.manual_seed(3)
    made.reconstruction_errors(x)
    assert torch.equal(seen[0], x.masked_fill(hidden, 0.0))


def test_masked_volumes_leave_no_trace_in_batch_statistics() -> None:
    made = network(reconstruct_share=1.0).train()
    before = {n: b.clone() for n, b in made.named_buffers() if "running" in n}
    made.reconstruction_errors(torch.randn(4, 1, 16, 24, 16) * 9 + 5)
    after = dict(made.named_buffers())
    assert before
    assert all(torch.equal(b, after[n]) for n, b in before.items())
    assert {m.momentum for m in made.modules() if isinstance(m, torch.nn.BatchNorm3d)} == {0.1}


def test_tasks_do_not_move_the_segmentation_unless_asked() -> None:
    for moves in (False, True):
        method, batch = prepared(config(tasks_move_segmentation=moves))
        out = method.model(batch.inputs)
        loss = method.losses(out, batch)["dx3"]
        weight = method.model.segmentation.last[2].conv.weight
        (grad,) = torch.autograd.grad(loss, [weight], allow_unused=True)
        assert (grad is not None and bool(grad.abs().sum() > 0)) == moves


# Losses ------------------------------------------------------------------------------------------


def uncertain(**others: object) -> NeuroBridgeConfig:
    made = config(**others)
    made.trainer.balance.weighting = "uncertainty"
    made.trainer.balance.weights = {}
    return made


def test_the_gradient_of_a_log_variance_is_one_minus_the_weighted_loss() -> None:
    method, batch = prepared(uncertain())
    balance = method.model.loss_balance
    balance.log_variance.data = torch.linspace(-1, 1, 5)
    grads = step(method, batch)
    torch.manual_seed(0)
    losses = method.losses(method.model(batch.inputs), batch)
    assert balance.names == (*STREAMS, "dx3", "brain_age")
    for k, name in enumerate(balance.names):
        s = float(balance.log_variance[k].detach())
        expected = 1 - math.exp(-s) * float(losses[name].detach())
        assert float(grads["loss_balance.log_variance"][k]) == pytest.approx(expected, abs=1e-5)


HEADS = {
    "segmentation": ("segmentation.last.2.conv.weight",),
    "atrophy": ("atrophy.weight", "atrophy.bias"),
    "dx3": ("heads.dx3.weight", "heads.dx3.bias"),
    "brain_age": ("heads.brain_age.weight", "heads.brain_age.bias"),
}


@pytest.mark.parametrize("absent", list(HEADS))
def test_an_absent_label_gives_exactly_no_gradient_to_its_head_and_weight(absent: str) -> None:
    method, batch = prepared(uncertain())
    targets = dict(batch.targets)
    if absent == "segmentation":
        targets["hippocampus_known"] = torch.zeros(8)
    elif absent == "atrophy":
        targets["atrophy"] = torch.full((8,), -1)
    else:
        batch.masks[absent] = torch.zeros(8)
    grads = step(method, replace(batch, targets=targets))
    numbers = {name: k for k, name in enumerate(method.model.loss_balance.names)}
    for name, parameters in HEADS.items():
        moved = [bool(grads[p].abs().sum() > 0) for p in parameters]
        assert moved == [name != absent] * len(parameters), name
        s = float(grads["loss_balance.log_variance"][numbers[name]])
        assert (s != 0) == (name != absent), name


def test_the_guided_phase_moves_no_head_of_a_task() -> None:
    method, batch = prepared(uncertain())
    method._in_guided_phase = True
    grads = step(method, batch)
    still = [n for n in grads if n.startswith(("heads.", "fusion."))]
    assert still
    assert all(not grads[n].abs().any() for n in still)
    assert grads["loss_balance.log_variance"][3:].tolist() == [0.0, 0.0]
    assert all(grads["loss_balance.log_variance"][:3] != 0)
    assert any(grads[n].abs().any() for n in grads if n.startswith("encoder."))


@pytest.mark.parametrize("masks", [True, False])
def test_scrambled_labels_of_people_without_them_change_nothing(masks: bool) -> None:
    method, batch = prepared(train=people(30, 0, masks=masks))
    out = {n: t.detach() for n, t in method.model(batch.inputs).items()}
    before = method.losses(out, batch)
    targets = dict(batch.targets)
    labels = {n: torch.where(batch.masks[n] > 0, y, y + 1) for n, y in batch.labels.items()}
    if masks:
        unknown = (targets["hippocampus_known"] == 0).view(-1, 1, 1, 1, 1)
        assert unknown.any()
        targets[MASK] = torch.where(unknown, 1 - targets[MASK], targets[MASK])
    after = method.losses(out, replace(batch, targets=targets, labels={**labels}))
    labels["dx3"] %= 3
    assert {n: float(v) for n, v in before.items()} == {n: float(v) for n, v in after.items()}
    if not masks:
        assert before["segmentation"] == before["atrophy"] == 0


def test_segmentation_is_dice_and_cross_entropy_of_those_with_a_mask() -> None:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 4, 4, 4, generator=g)
    masks = torch.rand(3, 1, 4, 4, 4, generator=g)
    known = torch.tensor([1.0, 0.0, 1.0])
    p = logits.double().softmax(1)[[0, 2], 1:]
    t = masks.double()[[0, 2]]
    axes = (1, 2, 3, 4)
    overlap = 1 - (2 * (p * t).sum(axes) + 1e-5) / (p.sum(axes) + t.sum(axes) + 1e-5)
    entropy = -(t * p.log() + (1 - t) * (1 - p).log()).mean(axes)
    expected = (overlap + 7 * entropy).mean() * 2 / 3
    assert float(segmentation_loss(logits, masks, known, 7.0)) == pytest.approx(float(expected))
    assert float(segmentation_loss(logits, masks, known * 0)) == 0.0


def test_atrophy_is_cross_entropy_of_those_with_a_label() -> None:
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]])
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 3
    assert float(atrophy_loss(logits, torch.tensor([1, 0, -1]))) == pytest.approx(expected)


def test_dice_counts_overlap_per_person() -> None:
    a, b = torch.zeros(3, 1, 2, 2, 2), torch.zeros(3, 1, 2, 2, 2)
    a[0, 0, 0], b[0, 0, :, 0] = 1, 1  # four voxels each, two of them shared
    a[1] = 1
    assert dice(a, b).tolist() == [0.5, 0.0, 1.0]


# Who has atrophy ---------------------------------------------------------------------------------


def reference(train: Samples, covariates: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Standardised residuals of a regression on ``chosen``, by normal equations."""
    voxels = train.targets(MASK).take(np.arange(train.n)).reshape(train.n, -1).sum(1)
    x = np.column_stack([np.ones(train.n), covariates])
    x[:, 1:] = (x[:, 1:] - x[:, 1:].mean(0)) / x[:, 1:].std(0)
    a = x[chosen]
    beta = np.linalg.solve(a.T @ a, a.T @ voxels[chosen])
    residual = voxels - x @ beta
    return residual / np.sqrt((residual[chosen] ** 2).sum() / (chosen.sum() - x.shape[1]))


def test_atrophy_is_measured_against_healthy_training_people() -> None:
    train, tasks = people(60, 0), [get_task("dx3")]
    rule = AtrophyRule.learn(train, tasks, -1.5)
    known = train.targets(MASK).available
    stage = train.labels("dx3")[0]
    assert rule.covariates == ["head_size_mm3"]
    z = reference(train, train.tables["t1w"].to_numpy(), (stage == 0) & known)
    expected = np.where(known, z < -1.5, -1)
    np.testing.assert_array_equal(rule.labels(train, tasks), expected)
    assert expected[stage == 2].mean() > expected[stage == 0].mean()
    # People who are not healthy take no part in the regression.
    sick = np.flatnonzero((stage == 2) & known)
    again = AtrophyRule.learn(train.subset(np.setdiff1d(np.arange(60), sick)), tasks, -1.5)
    np.testing.assert_allclose(again.coefficients, rule.coefficients, rtol=1e-6)


def test_age_is_adjusted_for_where_it_is_a_label() -> None:
    train, tasks = people(60, 0), [get_task("brain_age")]
    rule = AtrophyRule.learn(train, tasks, -1.0)
    assert rule.covariates == ["head_size_mm3", "age_years"]
    known = train.targets(MASK).available
    ages = train.labels("brain_age")[0]
    z = reference(train, np.column_stack([train.tables["t1w"], ages]), known)
    np.testing.assert_array_equal(rule.labels(train, tasks), np.where(known, z < -1.0, -1))


def test_validation_people_do_not_move_the_rule(tmp_path: Path) -> None:
    rules = []
    for seed in (1, 2):
        method = NeuroBridge(config())
        method.fit(people(30, 0), people(12, seed), TASKS, context(tmp_path / str(seed)))
        rules.append(method._rule)
    assert rules[0] == rules[1]


def test_without_enough_healthy_people_nobody_is_said_to_have_atrophy() -> None:
    conversion = [get_task("conversion")]
    y = np.arange(40) % 2.0
    train = replace(people(40, 0), _labels={"conversion": (y, np.ones(40, dtype=bool))})
    assert not healthy(train, conversion).any()
    assert set(AtrophyRule.learn(train, conversion, -1.5).labels(train, conversion)) == {-1}
    few = people(LEAST_REFERENCE, 0)
    assert set(AtrophyRule.learn(few, TASKS[:1], -1.5).labels(few, TASKS[:1])) == {-1}


# Fits --------------------------------------------------------------------------------------------


class KilledError(Exception):
    """Stands for a killed process."""


def test_a_fit_that_is_killed_in_either_phase_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = fitted(tmp_path / "whole").model.state_dict()
    for stage in ("guided", "fit"):

        def die(record, stage=stage) -> None:
            if record.get("stage") == stage and record.get("epoch") == 2:
                raise KilledError

        with pytest.raises(KilledError):
            fitted(tmp_path / stage, log=die)
        again = fitted(tmp_path / stage).model.state_dict()
        assert all(torch.equal(whole[n], again[n]) for n in whole)


def test_both_phases_are_logged_with_the_overlap_reached(tmp_path: Path) -> None:
    records: list[dict] = []
    fitted(tmp_path, log=records.append)
    scores = [r for r in records if "validation_dice" in r]
    assert [r["stage"] for r in scores] == ["guided", "fit"]
    assert all(0 <= r["validation_dice"] <= 1 for r in scores)
    assert {"atrophy_adjusted_for": "head_size_mm3 age_years"} in records


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "gradnorm", "pcgrad"])
def test_every_weighting_trains(weighting: str, tmp_path: Path) -> None:
    made = config()
    made.trainer.balance.weighting = weighting
    made.guided.epochs = made.trainer.epochs = 1
    answers = fitted(tmp_path, made).predict(people(5, 2).without_labels(), TASKS)
    assert np.isfinite(answers["dx3"].probabilities).all()


def test_the_single_task_twin_has_one_phase_and_sees_no_mask(tmp_path: Path) -> None:
    from benchmark.config import load_profile, typed

    row = resolve_row("neurobridge_single", load_profile("mini"))
    assert not row.multitask
    made = typed(NeuroBridgeConfig, row.config, "single")
    small = config()
    for name in ("settings", "width", "guided"):
        setattr(made, name, getattr(small, name))
    made.trainer = replace(made.trainer, epochs=2, batch_size=10)
    records: list[dict] = []
    states = []
    for masks in (True, False):
        method = NeuroBridge(made)
        train = people(30, 0, masks=masks)
        run = context(tmp_path / str(masks), log=records.append)
        method.fit(train, people(12, 1), TASKS[:1], run)
        states.append({n: t for n, t in method.model.state_dict().items() if n != "volume_mean"})
    assert {r["stage"] for r in records if "epoch" in r} == {"fit"}
    same = [n for n in states[0] if torch.equal(states[0][n], states[1][n])]
    assert set(states[0]) - set(same) == {"volume_scale"}  # kept, and not read


def test_the_pretrained_encoder_is_taken_over(tmp_path: Path) -> None:
    method, _ = prepared()
    weights = {
        n: torch.randn_like(t) for n, t in method.model.encoder.state_dict().items() if t.ndim
    }
    weights |= {n: t for n, t in method.model.encoder.state_dict().items() if not t.ndim}
    torch.save(weights, tmp_path / "weights.pt")
    method.initialise(method.model, context(tmp_path / "run", pretrained=tmp_path))
    ours = method.model.encoder.state_dict()
    assert all(torch.equal(ours[n], weights[n]) for n in weights)
    torch.save({"other": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(MethodError, match="missing"):
        method.initialise(method.model, context(tmp_path / "run", pretrained=tmp_path))


def test_an_external_cohort_is_predicted_and_not_fitted(method: NeuroBridge) -> None:
    strangers = replace(people(9, 5).without_labels(), cohort=np.full(9, -1))
    before = {n: t.clone() for n, t in method.model.state_dict().items()}
    rule = replace(method._rule)
    answers = method.predict(strangers, TASKS)
    method.expose(strangers)
    method.embed(strangers)
    method.explain(strangers, TASKS[0])
    assert all(torch.equal(t, before[n]) for n, t in method.model.state_dict().items())
    assert method._rule == rule
    alone = method.predict(strangers.subset([4]), TASKS)
    np.testing.assert_allclose(
        alone["dx3"].probabilities[0], answers["dx3"].probabilities[4], rtol=1e-4, atol=1e-6
    )


def test_what_it_shows_is_one_row_a_person(method: NeuroBridge) -> None:
    seen = people(5, 2).without_labels()
    shown = method.expose(seen)
    assert {n: v.shape for n, v in shown.items()} == {
        "gate": (5, 3),
        "gate_by_channel": (5, 3, 8),
        "hippocampus_mm3": (5,),
        "atrophy": (5,),
    }
    np.testing.assert_allclose(shown["gate"].sum(axis=1), 1, rtol=1e-5)
    found = method.hippocampus_map(seen)
    assert found.shape == (5, *SHAPE)
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_allclose(shown["hippocampus_mm3"], found.sum(axis=(1, 2, 3)) * 125, rtol=1e-4)
    for task in TASKS:
        maps = method.explain(seen, task)
        assert maps.shape == (5, *SHAPE)
        assert maps.min() >= 0
        alone = method.explain(seen.subset([3]), task)
        np.testing.assert_allclose(alone[0], maps[3], rtol=1e-3, atol=1e-6)
    with pytest.raises(MethodError, match="pd_hc"):
        method.explain(seen, get_task("pd_hc"))


def test_a_loaded_method_shows_the_same(method: NeuroBridge, tmp_path: Path) -> None:
    seen = people(4, 2).without_labels()
    method.save(tmp_path)
    loaded = NeuroBridge.load(tmp_path)
    for name, values in method.expose(seen).items():
        np.testing.assert_array_equal(loaded.expose(seen)[name], values)


def test_a_body_rate_of_its_own_leaves_fusion_and_heads_at_theirs() -> None:
    method, _ = prepared(config(body_rate=0.2))
    groups = method.parameter_groups(method.model)
    rates = {id(p): g.get("lr", method.trainer.lr) for g in groups for p in g["params"]}
    lr = method.trainer.lr
    named = dict(method.model.named_parameters())
    assert rates.keys() == {id(p) for p in named.values()}
    for name, parameter in named.items():
        slow = not name.startswith(("heads.", "fusion."))
        assert rates[id(parameter)] == pytest.approx(lr * 0.2 if slow else lr), name
    method._in_guided_phase = True
    assert all("lr" not in g for g in method.parameter_groups(method.model))


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    made = config()
    made.guided.balance.weighting = "pcgrad"
    with pytest.raises(MethodError, match=r"guided\.balance is not used"):
        fitted(tmp_path, made)
    with pytest.raises(MethodError, match="pyramid"):
        Network(config(encoder="volume_vit"), {"dx3": 3}, SHAPE, 5.0)


PAPER_PARAMETERS = 71.9e6  # no figure is published; SwinUNETR-48 alone has 62.2 million


@pytest.mark.slow
def test_the_paper_scale_learns_from_one_volume() -> None:
    pytest.importorskip("einops")
    made = Network(paper_config(), {"dx3": 3, "brain_age": 1}, (32, 40, 32), 5.0)
    assert sum(p.numel() for p in made.parameters()) == pytest.approx(PAPER_PARAMETERS, rel=0.05)
    out = made({"t1w": torch.rand(1, 1, 32, 40, 32)})
    assert out["segmentation"].shape == (1, 2, 96, 96, 96)
    assert out["gate"].shape == (1, 3, 768)
    losses = [out[n].float().square().mean() for n in ("dx3", "brain_age", "segmentation")]
    (sum(losses) + out["atrophy"].square().mean() + out["reconstruction"].mean()).backward()
    gradients = [p.grad for n, p in made.named_parameters() if "volume" not in n]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)


def test_the_card_names_what_the_weights_saw() -> None:
    assert INFO.pretraining == ("phantom-population:pretrain",)
    assert set(INFO.variants) >= {"neurobridge_scratch", "neurobridge_single"}
