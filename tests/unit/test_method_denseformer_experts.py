"""The experts of DenseFormer-MoE: gates, and what keeps experts in use."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.encoders.gating import top_weights
from methods.denseformer_moe.experts import Gate, Routing, balance_loss, switch_balance
from methods.denseformer_moe.info import ExpertsConfig


@pytest.mark.parametrize("chosen", [1, 2, 3, 8])
def test_rows_sum_to_one_with_exactly_k_non_zeros(chosen: int) -> None:
    torch.manual_seed(1)
    gate = Gate(12, ExpertsConfig(number=8, chosen=chosen))
    nn.init.normal_(gate.clean.weight)
    for training in (True, False):
        weights = gate.train(training)(torch.randn(50, 12)).weights
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(50))
        assert ((weights > 0).sum(dim=1) == chosen).all()


def test_equal_logits_still_choose_k_and_noise_is_drawn_in_training_only() -> None:
    gate = Gate(12, ExpertsConfig())  # its matrices are 0
    f = torch.randn(400, 12)
    assert ((gate.eval()(f).weights > 0).sum(dim=1) == 2).all()
    assert torch.equal(gate(f).weights, gate(f).weights)
    torch.manual_seed(0)
    noisy = gate.train()(f)
    assert not torch.equal(noisy.weights, gate(f).weights)
    share = (noisy.weights > 0).float().mean(dim=0)
    torch.testing.assert_close(share, torch.full((4,), 0.5), atol=0.1, rtol=0)


def test_a_soft_gate_weighs_every_expert() -> None:
    gate = Gate(12, ExpertsConfig(gate="soft"))
    nn.init.normal_(gate.clean.weight)
    weights = gate(torch.randn(20, 12)).weights
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(20))


@pytest.mark.parametrize("over", ["together", "each"])
def test_the_balance_of_a_soft_gate_is_that_of_importance_alone(over: str) -> None:
    torch.manual_seed(0)
    gates, f = [Gate(12, ExpertsConfig(gate="soft")) for _ in range(2)], torch.randn(20, 12)
    for gate in gates:
        nn.init.normal_(gate.clean.weight)
    routings, masks = [gate(f) for gate in gates], [torch.ones(20), torch.ones(20)]
    used = [routing.weights.sum(dim=0) for routing in routings]
    parts = [used[0] + used[1]] if over == "together" else used
    expected = torch.stack([p.var() / p.mean() ** 2 for p in parts]).mean()
    torch.testing.assert_close(balance_loss(routings, masks, "cv2", over), expected)


def test_the_switch_loss_is_one_if_uniform_and_e_if_one_expert_has_all() -> None:
    uniform = torch.full((16, 8), 1 / 8)
    assert switch_balance(torch.eye(8).repeat(2, 1), uniform) == pytest.approx(1.0)
    one = torch.eye(8)[:1].repeat(16, 1)
    assert switch_balance(one, one) == pytest.approx(8.0)


@pytest.mark.parametrize("kind", ["cv2", "switch"])
def test_balance_counts_those_who_have_the_label(kind: str) -> None:
    torch.manual_seed(0)

    def routing() -> Routing:
        logits = torch.randn(6, 4)
        weights = top_weights(logits, 2)
        return Routing(weights, logits.sigmoid(), logits.softmax(dim=1))

    one, two = routing(), routing()
    mask = torch.tensor([1.0, 1, 0, 1, 0, 0])
    loss = balance_loss([one, two], [mask, 1 - mask], kind, "together")
    unseen = Routing(*(torch.where(mask[:, None] > 0, a, 9.0) for a in one))
    assert torch.equal(balance_loss([unseen, two], [mask, 1 - mask], kind, "together"), loss)
    assert balance_loss([one, two], [0 * mask, 0 * mask], kind, "together") == 0


def test_without_noise_training_chooses_as_prediction_does() -> None:
    gate = Gate(12, ExpertsConfig(noise="none"))
    nn.init.normal_(gate.clean.weight)
    assert [name for name, _ in gate.named_parameters()] == ["clean.weight"]
    f = torch.randn(20, 12)
    state = torch.get_rng_state()
    assert torch.equal(gate.train()(f).weights, gate.eval()(f).weights)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["noisy-topk", "soft"])
def test_gates_start_at_zero_unless_asked(kind: str) -> None:
    for zero in (True, False):
        gate = Gate(12, ExpertsConfig(gate=kind, gate_zero_start=zero))
        assert all(bool(p.any()) != zero for p in gate.parameters())


@pytest.mark.parametrize("kind", ["cv2", "switch"])
def test_each_task_may_be_held_to_even_use_by_itself(kind: str) -> None:
    """Two tasks with an expert of their own each: even together, uneven by task."""
    one, two = (Routing(*(torch.eye(2)[k].repeat(6, 1) for _ in range(3))) for k in range(2))
    masks = [torch.ones(6), torch.ones(6)]
    together = balance_loss([one, two], masks, kind, "together")
    apart = balance_loss([one, two], masks, kind, "each")
    least, most = (1.0, 2.0) if kind == "switch" else (0.0, 4.0)
    assert float(together) == pytest.approx(least)
    assert float(apart) == pytest.approx(most)
    pairs = zip((one, two), masks, strict=True)
    alone = [balance_loss([r], [m], kind, "together") for r, m in pairs]
    torch.testing.assert_close(apart, torch.stack(alone).mean())
