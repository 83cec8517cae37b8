"""Groups of parameters: who shares a rate, who decays, and in which order."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.api import parameter_groups


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.position = nn.Parameter(torch.ones(2, 3))
        self.body = nn.Linear(3, 3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.heads = nn.ModuleDict({"dx3": nn.Linear(3, 3)})


def named(model: nn.Module, groups: list[dict]) -> list[tuple[list[str], dict]]:
    names = {id(p): name for name, p in model.named_parameters()}
    return [
        ([names[id(p)] for p in g["params"]], {k: v for k, v in g.items() if k != "params"})
        for g in groups
    ]


def test_by_default_vectors_do_not_decay_and_what_is_frozen_is_left_out() -> None:
    model = Net()
    vectors = ["scale", "body.bias", "heads.dx3.bias"]
    matrices = ["position", "body.weight", "heads.dx3.weight"]
    seen = named(model, parameter_groups(model))
    assert seen == [(vectors, {"weight_decay": 0.0}), (matrices, {})]
    assert named(model, parameter_groups(model, order=(None,))) == seen[::-1]


def test_parts_have_rates_of_their_own_in_the_order_asked_for() -> None:
    model = Net()

    def made(order: tuple[str, ...] | None) -> list[tuple[list[str], dict]]:
        groups = parameter_groups(
            model,
            lambda name: "heads" if name.startswith("heads.") else "body",
            rate={"heads": 0.5, "body": None}.get,
            decays=lambda name: name != "position",
            order=order,
        )
        return named(model, groups)

    still = (["scale", "position", "body.bias"], {"weight_decay": 0.0})
    body, head = (["body.weight"], {}), (["heads.dx3.weight"], {"lr": 0.5})
    bias = (["heads.dx3.bias"], {"lr": 0.5, "weight_decay": 0.0})
    assert made(None) == [still, body, head, bias]
    assert made(("heads", "body")) == [head, body, bias, still]


def test_equal_rates_of_two_parts_stay_two_groups_and_none_is_empty() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    groups = parameter_groups(model, lambda name: name[0], rate=lambda _: 0.1)
    assert named(model, groups) == [(["0.weight"], {"lr": 0.1}), (["1.weight"], {"lr": 0.1})]
    assert len(parameter_groups(model)) == 1
