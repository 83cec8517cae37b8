"""Weights of several losses: each rule against its formula, by hand or by autograd."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_toy import TASKS, ToyConfig, ToyMethod, context, fitted, toy_people

from benchmark.errors import ConfigError, MethodError, UnknownNameError
from benchmark.training.balance import LossBalance, project_conflicts
from benchmark.training.config import WEIGHTINGS, AugmentConfig, BalanceConfig, TrainerConfig
from benchmark.training.torch_method import TorchMethod

NAMES = ("dx3", "brain_age")
LEARNED = [name for name in WEIGHTINGS if name != "fixed"]
PLAIN = TrainerConfig(epochs=4, batch_size=8, lr=1e-2, augment=AugmentConfig(noise=0.05))


def balanced(weighting: str, **others: object) -> ToyConfig:
    balance = BalanceConfig(weighting=weighting, **others)
    return ToyConfig(dropout=0.3, trainer=replace(PLAIN, balance=balance))


def states_equal(one: TorchMethod, two: TorchMethod) -> bool:
    a, b = one.model.state_dict(), two.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def step(
    balance: LossBalance,
    losses: dict[str, Tensor],
    shared: list[nn.Parameter],
    absent: str = "",
    scale: Callable[[Tensor], Tensor] = lambda loss: loss,
) -> Tensor:
    return balance.backward(losses, {n: n != absent for n in losses}, shared, scale)


# Uncertainty -------------------------------------------------------------------------------------


def test_the_gradient_of_a_log_variance_is_one_minus_the_weighted_loss() -> None:
    balance = LossBalance(NAMES, BalanceConfig("uncertainty"))
    with torch.no_grad():
        balance.log_variance.copy_(torch.tensor([0.7, -0.4]))
    x = nn.Parameter(torch.tensor(1.5))
    losses = {"dx3": x.square(), "brain_age": 3 * x}
    total = step(balance, losses, [x])
    s = [0.7, -0.4]
    values = [1.5**2, 4.5]
    expected = [1 - math.exp(-a) * b for a, b in zip(s, values, strict=True)]
    np.testing.assert_allclose(balance.log_variance.grad, expected, rtol=1e-6)
    wanted = sum(math.exp(-a) * b + a for a, b in zip(s, values, strict=True))
    assert float(total) == pytest.approx(wanted, rel=1e-6)
    assert not total.requires_grad
    assert float(x.grad) == pytest.approx(math.exp(-0.7) * 3.0 + math.exp(0.4) * 3.0, rel=1e-6)


def test_a_log_variance_settles_where_it_equals_the_log_of_its_loss() -> None:
    balance = LossBalance(["one", "two"], BalanceConfig("uncertainty"))
    optimiser = torch.optim.SGD(balance.parameters(), lr=0.3)
    for _ in range(200):
        optimiser.zero_grad()
        losses = {n: torch.tensor(v, requires_grad=True) for n, v in (("one", 0.2), ("two", 5.0))}
        step(balance, losses, [])
        optimiser.step()
    np.testing.assert_allclose(balance.log_variance.detach(), np.log([0.2, 5.0]), atol=1e-4)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_an_absent_label_gives_no_gradient_to_its_head_nor_to_its_weight(weighting: str) -> None:
    body, heads = nn.Linear(3, 2), [nn.Linear(2, 1), nn.Linear(2, 1)]
    z = body(torch.arange(12.0).reshape(4, 3) / 10)
    losses = {n: h(z).square().mean() + 1 for n, h in zip(NAMES, heads, strict=True)}
    balance = LossBalance(NAMES, BalanceConfig(weighting))
    alone = LossBalance(NAMES[:1], BalanceConfig(weighting))
    before = {n: t.clone() for n, t in balance.named_buffers()}
    total = step(balance, losses, [*body.parameters()], absent="brain_age")
    assert all(not p.grad.any() for p in heads[1].parameters())
    assert all(p.grad.any() for p in heads[0].parameters())
    got = [p.grad.clone() for p in body.parameters()]
    if weighting == "uncertainty":
        assert balance.log_variance.grad[1] == 0
        assert balance.log_variance.grad[0] != 0
    assert all(torch.equal(t, before[n]) for n, t in balance.named_buffers())

    body.zero_grad()
    z = body(torch.arange(12.0).reshape(4, 3) / 10)
    only = step(alone, {"dx3": heads[0](z).square().mean() + 1}, [*body.parameters()])
    assert float(only) == float(total)
    assert all(torch.equal(g, p.grad) for g, p in zip(got, body.parameters(), strict=True))


# GradNorm ----------------------------------------------------------------------------------------


def train_two_quadratics(rates: tuple[float, float], steps: int = 60) -> list[Tensor]:
    """Two tasks that share a point; each pulls its own coordinate to 0 at its own rate."""
    x = nn.Parameter(torch.tensor([1.0, 1.0]))
    balance = LossBalance(["a", "b"], BalanceConfig("gradnorm"))
    history = []
    for _ in range(steps):
        x.grad = None
        losses = {n: rates[k] * x[k].square() for k, n in enumerate(("a", "b"))}
        step(balance, losses, [x])
        with torch.no_grad():
            x -= 0.02 * x.grad
        history.append(balance.learned.clone())
    return history


def test_gradnorm_lowers_the_weight_of_the_loss_that_trains_faster() -> None:
    fast_first = train_two_quadratics((4.0, 0.4))
    fast_last = train_two_quadratics((0.4, 4.0))
    for history in (fast_first, fast_last):
        sums = torch.stack(history).sum(dim=1)
        np.testing.assert_allclose(sums, 2.0, rtol=1e-5)
        assert all((w > 0).all() for w in history)
    assert fast_first[-1][0] < 0.8
    assert fast_first[-1][1] > 1.2
    np.testing.assert_allclose(fast_first[-1], fast_last[-1].flip(0), rtol=1e-4)


def test_equal_tasks_keep_equal_weights() -> None:
    np.testing.assert_allclose(train_two_quadratics((1.0, 1.0))[-1], [1.0, 1.0], atol=1e-5)


def test_gradnorm_remembers_the_first_loss_of_each() -> None:
    balance = LossBalance(["a", "b", "c"], BalanceConfig("gradnorm"))
    x = nn.Parameter(torch.tensor(2.0))
    step(balance, {"a": x, "b": 2 * x, "c": 5 * x}, [x], absent="c")
    assert balance.first.tolist() == [2, 4, 0]
    with torch.no_grad():
        x -= 1
    step(balance, {"a": x, "b": 2 * x, "c": 5 * x}, [x])
    assert balance.first.tolist() == [2, 4, 5]
    assert float(balance.learned.sum()) == pytest.approx(3.0)


# PCGrad ------------------------------------------------------------------------------------------


def test_conflicting_gradients_are_projected_as_by_hand() -> None:
    # g1 = (1, 0), g2 = (-1, 1): inner product -1. g1 - (-1/2) g2 = (0.5, 0.5);
    # g2 - (-1/1) g1 = (0, 1); together (0.5, 1.5).
    x = nn.Parameter(torch.zeros(2))
    y = nn.Parameter(torch.zeros(()))  # a head: of the first task alone
    losses = {"dx3": x[0] + 3 * y, "brain_age": -x[0] + x[1]}
    balance = LossBalance(NAMES, BalanceConfig("pcgrad"))
    step(balance, losses, [x], scale=lambda loss: 2 * loss)
    assert x.grad.tolist() == [1.0, 3.0]
    assert float(y.grad) == 6.0


def test_gradients_that_agree_are_summed() -> None:
    both = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    assert project_conflicts(both, [[0, 1], [1, 0]]).tolist() == [2.0, 2.0]


def test_the_order_of_three_tasks_counts_as_by_hand() -> None:
    g = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])
    others = [[0, 1, 2], [0, 1, 2]]
    # g1 meets g2: (0.5, 0.5), whose product with g3 is -1: minus (-1/2) g3 gives (0, 0).
    # g1 meets g3 first: (0.5, -0.5), whose product with g2 is -1: minus (-1/2) g2 gives (0, 0).
    # g2 meets g1: (0, 1), product with g3 -1: (0, 1) + 0.5 (-1, -1) = (-0.5, 0.5).
    # g3 meets g1: (0, -1), product with g2 -1: (0, -1) + 0.5 (-1, 1) = (-0.5, -0.5).
    assert project_conflicts(g, [[1, 2, 0], *others]).tolist() == [-1.0, 0.0]
    # g2 meets g3 first: product 0, nothing; then g1: (0, 1). g3 as before: (-0.5, -0.5).
    assert project_conflicts(g, [[1, 2, 0], [2, 0, 1], others[0]]).tolist() == [-0.5, 0.5]


def test_a_shared_parameter_that_no_loss_reaches_stays_without_gradient() -> None:
    x, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    balance = LossBalance(NAMES, BalanceConfig("pcgrad"))
    step(balance, {"dx3": x[0], "brain_age": -x[0] + x[1]}, [idle, x])
    assert idle.grad is None
    assert x.grad.tolist() == [0.5, 1.5]


# In a method -------------------------------------------------------------------------------------


def test_fixed_weights_of_one_are_the_plain_sum_to_the_bit(tmp_path: Path) -> None:
    plain = fitted(tmp_path / "a", ToyConfig(dropout=0.3, trainer=PLAIN))
    ones = fitted(tmp_path / "b", balanced("fixed", weights={"dx3": 1.0, "brain_age": 1.0}))
    a, b = plain.model.state_dict(), ones.model.state_dict()
    assert set(b) - set(a) == {"loss_balance.fixed"}
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_weight_of_nought_switches_a_loss_off(tmp_path: Path) -> None:
    start = fitted(tmp_path / "a", ToyConfig(trainer=replace(PLAIN, epochs=1, lr=0.0)))
    off = BalanceConfig(weights={"brain_age": 0.0})
    still = replace(PLAIN, epochs=1, weight_decay=0.0, balance=off)
    method = fitted(tmp_path / "b", ToyConfig(trainer=still))
    before, after = (m.model.state_dict() for m in (start, method))
    assert torch.equal(before["heads.brain_age.weight"], after["heads.brain_age.weight"])
    assert not torch.equal(before["heads.dx3.weight"], after["heads.dx3.weight"])


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_resumed_fit_equals_an_uninterrupted_one(tmp_path: Path, weighting: str) -> None:
    class CutError(Exception):
        pass

    def cut(record) -> None:
        if record.get("epoch") == 3:
            raise CutError

    config = balanced(weighting, weights={"dx3": 0.5})
    whole = fitted(tmp_path / "whole", config)
    with pytest.raises(CutError):
        fitted(tmp_path / "cut", config, log=cut)
    records = []
    resumed = fitted(tmp_path / "cut", config, log=records.append)
    assert records[0]["resumed_after_epoch"] == 2
    assert states_equal(whole, resumed)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_weights_are_saved_and_loaded(tmp_path: Path, weighting: str) -> None:
    method = fitted(tmp_path / "fit", balanced(weighting, weights={"brain_age": 2.0}))
    method.save(tmp_path)
    loaded = ToyMethod.load(tmp_path)
    assert states_equal(method, loaded)
    people = toy_people(7, 5).without_labels()
    one, two = (m.predict(people, TASKS)["dx3"].probabilities for m in (method, loaded))
    assert np.array_equal(one, two)
    if weighting == "uncertainty":
        assert loaded.model.loss_balance.log_variance.detach().abs().max() > 0
    if weighting == "gradnorm":
        assert not torch.equal(loaded.model.loss_balance.learned, torch.ones(2))


def test_the_learned_weights_learn_but_do_not_decay(tmp_path: Path) -> None:
    method = fitted(tmp_path, balanced("uncertainty"))
    groups = method.parameter_groups(method.model)
    s = method.model.loss_balance.log_variance
    (home,) = [group for group in groups if any(p is s for p in group["params"])]
    assert home["weight_decay"] == 0
    assert not any(p is s for p in method.shared_parameters())
    names = {
        n for n, p in method.model.named_parameters() for q in method.shared_parameters() if p is q
    }
    assert names == {"conv.weight", "conv.bias", "norm.weight", "norm.bias"}


@pytest.mark.parametrize("weighting", LEARNED)
def test_a_validation_loss_does_not_move_with_the_learned_weights(
    tmp_path: Path, weighting: str
) -> None:
    """Else the kept epoch would be the one with the smallest weights."""
    method = fitted(tmp_path, balanced(weighting))
    batch = method.source(toy_people(9, 3), TASKS).read(np.arange(9))
    with torch.no_grad():
        outputs = method.model(batch.inputs)
        expected = sum(method.task_losses(outputs, batch).values())
        assert torch.allclose(method.loss(outputs, batch), expected)


class WithShape(ToyMethod):
    """Learns from one loss more than its tasks have."""

    def losses(self, outputs, batch):
        return {**super().losses(outputs, batch), "size": outputs["brain_age"].square().mean()}


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_loss_without_labels_is_weighed_too(tmp_path: Path, weighting: str) -> None:
    class Announced(WithShape):
        def loss_names(self, tasks):
            return [*super().loss_names(tasks), "size"]

    method = Announced(balanced(weighting, weights={"size": 0.1}))
    method.fit(toy_people(30, 0), toy_people(9, 1), TASKS, context(tmp_path))
    assert method.model.loss_balance.names == (*NAMES, "size")


def test_a_loss_that_was_not_announced_is_refused(tmp_path: Path) -> None:
    method = WithShape(balanced("uncertainty"))
    with pytest.raises(MethodError, match=r"gave brain_age, dx3, size; loss_names\(\) announced"):
        method.fit(toy_people(30, 0), toy_people(9, 1), TASKS, context(tmp_path))


def test_a_loss_of_ones_own_cannot_be_weighed(tmp_path: Path) -> None:
    class Own(ToyMethod):
        def loss(self, outputs, batch):
            return super().loss(outputs, batch) * 2

    people = toy_people(30, 0), toy_people(9, 1)
    Own().fit(*people, TASKS, context(tmp_path / "plain"))
    with pytest.raises(ConfigError, match=r"override losses\(\) and loss_names\(\)"):
        Own(balanced("pcgrad")).fit(*people, TASKS, context(tmp_path / "weighed"))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_losses_that_reach_nothing_are_refused(tmp_path: Path, weighting: str) -> None:
    class Constant(ToyMethod):
        def losses(self, outputs, batch):
            return {name: loss.detach() for name, loss in super().losses(outputs, batch).items()}

    method = Constant(balanced(weighting))
    with pytest.raises(MethodError, match="does not depend on any trainable parameter"):
        method.fit(toy_people(30, 0), toy_people(9, 1), TASKS, context(tmp_path))


@pytest.mark.parametrize(
    ("balance", "others", "error", "message"),
    [
        ({"weighting": "uncertain"}, {}, UnknownNameError, "'uncertainty'"),
        ({"weights": {"dx3": -1.0}}, {}, ConfigError, r"weights\.dx3 must be >= 0, got -1"),
        ({"weights": {"dx3": math.nan}}, {}, ConfigError, "must be >= 0, got nan"),
        ({"weights": {"dx": 1.0}}, {}, UnknownNameError, "'dx3'"),
        ({"gradnorm_lr": 0.0}, {}, ConfigError, "gradnorm_lr must be > 0"),
        ({"gradnorm_alpha": -1.0}, {}, ConfigError, "gradnorm_alpha must be >= 0"),
        ({"weighting": "gradnorm"}, {"distributed": True}, ConfigError, "within one process"),
        ({"weighting": "pcgrad"}, {"distributed": True}, ConfigError, "fixed or uncertainty"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, balance: dict, others: dict, error: type[Exception], message: str
) -> None:
    trainer = replace(PLAIN, balance=BalanceConfig(**balance), **others)
    with pytest.raises(error, match=message):
        fitted(tmp_path, ToyConfig(trainer=trainer))


def test_the_weight_of_a_loss_is_set_by_its_dotted_key() -> None:
    from benchmark.config import method_config, typed

    flat = {"trainer.balance.weighting": "gradnorm", "trainer.balance.weights.dx3": 2}
    config = typed(ToyConfig, method_config(ToyConfig, flat, "toy"), "toy")
    assert config.trainer.balance == BalanceConfig("gradnorm", {"dx3": 2.0})


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_penalty_is_added_as_it_is(weighting: str) -> None:
    gradients = []
    for factor in (0.0, 5.0):
        x = nn.Parameter(torch.tensor([0.5, 1.5]))
        balance = LossBalance(NAMES, BalanceConfig(weighting))
        losses = {"dx3": x[0] + 2, "brain_age": x[1] - x[0] + 2}
        penalty = factor * x.square().sum()
        balance.backward(losses, dict.fromkeys(NAMES, True), [x], lambda t: 2 * t, penalty)
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[1] - gradients[0], 20 * torch.tensor([0.5, 1.5]))
