"""NeuroBridge's losses: what each reaches, who counts, and who is said to have atrophy."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from neurobridge_people import TASKS, config, learned, people, prepared, step
from training_toy import context

from benchmark.samples import Samples
from benchmark.tasks import get_task
from benchmark.training.balance import LossBalance
from methods.neurobridge.guidance import (
    MASK,
    atrophy_loss,
    dice,
    healthy,
    segmentation_loss,
)
from methods.neurobridge.info import NeuroBridgeConfig
from methods.neurobridge.model import NeuroBridge
from methods.neurobridge.network import STREAMS

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


def test_guides_count_a_fifth_in_the_fused_phase_and_tasks_nothing_in_the_guided() -> None:
    method, batch = prepared(config(guides_in_fusion=0.2, reconstruct_share=1.0))
    out = {n: t.detach() for n, t in method.model(batch.inputs).items()}
    method._in_guided_phase = True
    guided = {n: float(v) for n, v in method.losses(out, batch).items()}
    method._in_guided_phase = False
    fused = {n: float(v) for n, v in method.losses(out, batch).items()}
    assert list(guided) == list(fused) == [*STREAMS, "dx3", "brain_age"]
    assert all(guided[n] > 0 for n in STREAMS)
    assert guided["reconstruction"] == pytest.approx(float(out["reconstruction"].mean()))
    assert {n: fused[n] / guided[n] for n in STREAMS} == pytest.approx(dict.fromkeys(STREAMS, 0.2))
    tasks = {n: float(v) for n, v in method.task_losses(out, batch).items()}
    assert all(v > 0 for v in tasks.values())
    assert {n: fused[n] for n in tasks} == tasks
    assert [guided[n] for n in tasks] == [0.0, 0.0]
    whole = sum(fused[n] * (0.2 if n == "reconstruction" else 1.0) for n in fused)
    assert float(method.loss(out, batch)) == pytest.approx(whole)


def test_validation_judges_a_phase_by_what_it_is_for() -> None:
    method, batch = prepared(config())
    out = {n: t.detach() for n, t in method.model(batch.inputs).items()}
    method._in_guided_phase = True
    training = method.losses(out, batch)
    batch = replace(batch, training=False)
    guided = method.losses(out, batch)
    assert set(guided) == {"segmentation", "atrophy", "dx3", "brain_age"}
    assert all(guided[n] == training[n] for n in guided)
    assert guided["dx3"] == guided["brain_age"] == 0
    assert float(method.loss(out, batch)) == float(guided["segmentation"] + guided["atrophy"])
    method._in_guided_phase = False
    fused, tasks = method.losses(out, batch), method.task_losses(out, batch)
    assert set(fused) == {"dx3", "brain_age"}
    assert all(fused[n] == tasks[n] for n in fused)


def test_gradnorm_measures_each_phase_by_its_own_first_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[dict[str, tuple[float, float]]] = []
    follow = LossBalance._follow

    def watched(self: LossBalance, losses, live, shared, scale) -> None:
        follow(self, losses, live, shared, scale)
        names = [(k, self.names[k]) for k in live]
        steps.append({n: (float(losses[n].detach()), float(self.first[k])) for k, n in names})

    monkeypatch.setattr(LossBalance, "_follow", watched)
    seen = {}
    for count in (0.2, 1.0):
        made = config(guides_in_fusion=count)
        made.trainer.balance.weighting = "gradnorm"
        made.guided.epochs = made.trainer.epochs = 1
        made.guided.lr = made.trainer.lr = 0.0  # what is measured does not move
        steps.clear()
        method = NeuroBridge(made)
        method.fit(people(30, 0), people(12, 1), TASKS, context(tmp_path / str(count)))
        seen[count] = [s for s in steps if "dx3" in s][1:]  # after the dry run
    assert len(seen[1.0]) == 3
    for count, fused in seen.items():
        first = {n: loss for n, (loss, _) in fused[0].items()}
        assert len(first) == 5
        for k, losses in enumerate(fused):
            for name, (loss, start) in losses.items():
                assert start == pytest.approx(first[name])
                whole = seen[1.0][k][name][0]
                assert loss == pytest.approx(whole * (count if name in STREAMS else 1.0))


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
    rule = learned(train, tasks)
    known = train.targets(MASK).available
    stage = train.labels("dx3")[0]
    assert rule.covariates == ["head_size_mm3"]
    z = reference(train, train.tables["t1w"].to_numpy(), (stage == 0) & known)
    expected = np.where(known, z < -1.5, -1)
    np.testing.assert_array_equal(rule.labels(train, tasks), expected)
    assert expected[stage == 2].mean() > expected[stage == 0].mean()
    # People who are not healthy take no part in the regression.
    sick = np.flatnonzero((stage == 2) & known)
    again = learned(train.subset(np.setdiff1d(np.arange(60), sick)), tasks)
    np.testing.assert_allclose(again.coefficients, rule.coefficients, rtol=1e-6)


def test_age_is_adjusted_for_where_it_is_a_label() -> None:
    train, tasks = people(60, 0), [get_task("brain_age")]
    rule = learned(train, tasks, -1.0)
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
    assert set(learned(train, conversion).labels(train, conversion)) == {-1}
    few = people(9, 0)
    assert set(learned(few, TASKS[:1]).labels(few, TASKS[:1])) == {-1}
