"""GradNorm against its formula, written out in numpy on a network of one layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.training.balance import LossBalance
from benchmark.training.config import BalanceConfig

NAMES = ("a", "b", "c")
X = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])  # what each task sees
COST = np.array([2.0, 0.5, 1.0])
FIXED = np.array([1.0, 1.0, 0.5])
LAYERS = np.array(  # the layer at three steps: the first task stays behind, the last one runs ahead
    [[[1.0, 0.4], [-0.3, 0.9]], [[0.95, 0.3], [-0.3, 0.4]], [[0.9, 0.2], [-0.25, 0.1]]]
)


def losses(layer: np.ndarray) -> np.ndarray:
    """Each task costs its own multiple of the squared length of what the layer makes of it."""
    return COST * ((X @ layer.T) ** 2).sum(axis=1)


def gradient_lengths(layer: np.ndarray) -> np.ndarray:
    """Of ``FIXED`` times each loss: d |W x|^2 / dW = 2 (W x) x^T."""
    each = [2 * c * np.outer(layer @ x, x) for c, x in zip(COST, X, strict=True)]
    return FIXED * np.array([np.sqrt((g**2).sum()) for g in each])


def by_formula(alpha: float, lr: float) -> list[np.ndarray]:
    """Weights after each step (Chen et al. 2018, arXiv 1711.02257, equations 1 and 2, algorithm 1).

    L_grad = sum_i |w_i G_i - mean_j(w_j G_j) r_i^alpha|, the second term held constant; steps are
    measured in units of the mean of that term, and weights then sum to the number of tasks.
    """
    w, first, history = np.ones(3), losses(LAYERS[0]), []
    for layer in LAYERS:
        lengths, rate = gradient_lengths(layer), losses(layer) / first
        target = (w * lengths).mean() * (rate / rate.mean()) ** alpha

        def l_grad(v: np.ndarray, lengths: np.ndarray = lengths, target: np.ndarray = target):
            return np.abs(v * lengths - target).sum()

        near = 1e-6 * np.eye(3)
        slope = np.array([l_grad(w + h) - l_grad(w - h) for h in near]) / 2e-6
        w = w - lr * slope / target.mean()
        w = w * 3 / w.sum()
        history.append(w)
    return history


def by_code(alpha: float, lr: float, scale: float = 1.0) -> list[np.ndarray]:
    net = nn.Linear(2, 2, bias=False)
    config = BalanceConfig("gradnorm", {"c": 0.5}, gradnorm_alpha=alpha, gradnorm_lr=lr)
    balance, history = LossBalance(NAMES, config), []
    for layer in LAYERS:
        net.weight.data = torch.tensor(layer, dtype=torch.float32)
        out = net(torch.tensor(X, dtype=torch.float32)).square().sum(dim=1)
        each = {name: float(COST[k]) * out[k] for k, name in enumerate(NAMES)}
        balance.backward(each, dict.fromkeys(NAMES, True), [net.weight], lambda loss: scale * loss)
        history.append(balance.learned.numpy().astype(float))
    return history


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("lr", [0.025, 0.1])
def test_weights_follow_the_slope_of_the_published_loss(alpha: float, lr: float) -> None:
    np.testing.assert_allclose(by_code(alpha, lr), by_formula(alpha, lr), rtol=1e-4)


def test_alpha_decides_whether_a_loss_that_lags_behind_gains_weight() -> None:
    """The first task has the longest gradient, and is the last to train."""
    rate = losses(LAYERS[1]) / losses(LAYERS[0])
    assert gradient_lengths(LAYERS[1]).argmax() == rate.argmax() == 0
    steps = {alpha: np.diff(by_code(alpha, 0.025), axis=0)[0] for alpha in (0.0, 3.0)}
    assert steps[0.0][0] < 0 < steps[3.0][0]


def test_a_scaled_loss_gives_the_same_weights() -> None:
    np.testing.assert_array_equal(by_code(1.5, 0.1, scale=1024.0), by_code(1.5, 0.1))


def in_float16(scale: float) -> tuple[LossBalance, torch.Tensor]:
    """A step of losses whose gradients are 5e-9 and 2e-8 in float16, whose least number is 6e-8."""
    x = nn.Parameter(torch.ones(2))
    half = x.half().float()  # what mixed precision makes of a layer
    each = {"a": 5e-9 * half.sum(), "b": 2e-8 * half.sum()}
    balance = LossBalance(["a", "b"], BalanceConfig("gradnorm"))
    balance.backward(each, dict.fromkeys(each, True), [x], lambda loss: scale * loss)
    return balance, x.grad


def test_small_gradients_do_not_vanish_in_float16() -> None:
    assert not in_float16(1.0)[1].any()
    a, b = in_float16(2.0**16)[0].learned.tolist()
    assert a == pytest.approx(1.025, rel=1e-3)  # the shorter gradient gains
    assert b == pytest.approx(0.975, rel=1e-3)


def test_an_overflow_leaves_the_weights_as_they_are() -> None:
    balance, gradient = in_float16(2.0**60)
    assert not gradient.isfinite().any()
    assert balance.learned.tolist() == [1.0, 1.0]
