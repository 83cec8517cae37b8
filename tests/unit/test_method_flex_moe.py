"""Flex-MoE: what stands for a missing modality, who goes to which expert, who is learned first."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from flex_people import TASKS, small
from torch import Tensor

from benchmark.api import MethodError, Samples
from benchmark.encoders import Reader
from benchmark.encoders.gating import Choice
from benchmark.encoders.readers import Columns
from methods.flex_moe.combinations import assigned_experts, combination
from methods.flex_moe.experts import Experts, Gate, routing_loss
from methods.flex_moe.info import ExpertsConfig, FlexConfig, FusionConfig
from methods.flex_moe.model import FlexMoE
from methods.flex_moe.network import Network, Tokens
from methods.flex_moe.records import number_columns, numbers

NAMES = ("record", "smri", "fmri", "genetics")
SUBSETS = [there for there in itertools.product([True, False], repeat=4) if any(there)]


class Plain(Reader):
    """A modality that is a vector of five numbers."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.reads, self.width = (name,), 6
        self.layer = torch.nn.Linear(5, 6)

    def columns(self, samples: Samples) -> Columns:
        raise NotImplementedError

    def there(self, columns: Columns) -> np.ndarray:
        raise NotImplementedError

    def encode(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.layer(inputs[self.reads[0]])


def network(config: FlexConfig | None = None) -> Network:
    torch.manual_seed(0)
    return Network({m: Plain(m) for m in NAMES}, TASKS, config or small()).eval()


def batch(there: list[tuple[bool, ...]]) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1)
    inputs = {m: torch.randn(len(there), 5, generator=g) for m in NAMES}
    masks = torch.tensor(there)
    return inputs | {f"{m}_is_there": masks[:, k] for k, m in enumerate(NAMES)}


def scrambled(inputs: dict[str, Tensor], value: float) -> dict[str, Tensor]:
    """The same with other content wherever a modality is missing."""
    return inputs | {
        m: inputs[m].masked_fill(~inputs[f"{m}_is_there"][:, None], value) for m in NAMES
    }


# What is missing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["bank", "zeros"])
@pytest.mark.parametrize("training", [True, False])
def test_what_a_missing_modality_holds_changes_nothing(missing: str, training: bool) -> None:
    inputs = batch(SUBSETS * 2)
    model = network(small(missing)).train(training)
    answers = []
    for value in (0.0, 1e9, float("nan")):
        torch.manual_seed(3)  # noise of the gates
        answers.append(model(scrambled(inputs, value)))
    for name in answers[0]:
        assert all(torch.equal(answers[0][name], other[name]) for other in answers[1:]), name
    assert all(torch.isfinite(answers[0][task.name]).all() for task in TASKS)


def test_the_bank_stands_exactly_where_something_is_missing() -> None:
    model, inputs = network(), batch(SUBSETS)
    there = model.there(inputs)
    codes = combination(there)
    with torch.no_grad():
        tokens = model.embedded(inputs, there)  # b m p d
        whole = model.embedded(inputs, torch.ones_like(there))
    for person, code in enumerate(codes.tolist()):
        for m in range(4):
            expected = whole[person, m] if there[person, m] else model.bank.vectors[code, m]
            torch.testing.assert_close(tokens[person, m], expected)


def test_bank_vectors_learn_only_from_people_who_lack_the_modality() -> None:
    people = [(True, True, True, True), (True, False, True, True), (False, True, False, True)]
    model = network().train()
    outputs = model(batch(people * 2))
    (outputs["dx3"].square().sum() + outputs["conversion"].square().sum()).backward()
    gradient = model.bank.vectors.grad.abs().amax(dim=(2, 3))  # code m
    expected = torch.zeros(16, 4, dtype=torch.bool)
    expected[0b1101, 1] = True
    expected[0b1010, 0] = expected[0b1010, 2] = True
    assert torch.equal(gradient > 0, expected)


def test_without_a_bank_zeros_stand_for_the_missing() -> None:
    model, inputs = network(small("zeros")), batch(SUBSETS)
    assert not any("bank" in name for name in model.state_dict())
    there = model.there(inputs)
    with torch.no_grad():
        tokens = model.embedded(inputs, there)
    assert not tokens[~there].any()
    assert (tokens[there].flatten(1).abs().sum(dim=1) > 0).all()


def test_without_a_bank_zeros_enter_the_first_block() -> None:
    read = {}
    for missing in ("zeros", "bank"):
        model, inputs = network(small(missing)), batch(SUBSETS)
        torch.nn.init.normal_(model.place)

        def note(_: torch.nn.Module, given: tuple[Tensor, ...], kind: str = missing) -> None:
            read[kind] = given[0].unflatten(1, (4, -1))  # b m p d

        model.blocks[0].register_forward_pre_hook(note)
        there = model.there(inputs)
        with torch.no_grad():
            model(inputs)
            own = model.embedded(inputs, there) + model.place
        assert torch.equal(read[missing][there], own[there])
        assert torch.equal(read[missing][~there], own[~there]) == (missing == "bank")
    assert not read["zeros"][~there].any()


def test_another_bank_moves_those_who_lack_something_and_nobody_else() -> None:
    model, inputs = network(), batch(SUBSETS)
    with torch.no_grad():
        before = model(inputs)["dx3"]
        model.bank.vectors.add_(torch.randn_like(model.bank.vectors))
        moved = (model(inputs)["dx3"] != before).any(dim=1)
    assert torch.equal(moved, ~model.there(inputs).all(dim=1))


def test_whoever_has_nothing_gets_even_odds() -> None:
    model, inputs = network(), batch([(False,) * 4, (True, False, False, False)])
    with torch.no_grad():
        p = model(inputs)["dx3"].softmax(dim=1)
    assert torch.equal(p[0], torch.full((3,), 1 / 3))
    assert not torch.allclose(p[1], p[0])


# Tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_a_modality_is_normed_as_it_says(norm: str) -> None:
    torch.manual_seed(0)
    config = FusionConfig(norm=norm, tokens=2, width=8, dropout=0.0)
    tokens, x = Tokens(Plain("fmri"), config).train(), torch.randn(7, 5)
    vector = tokens.reader.encode({"fmri": x})
    if norm != "none":
        over = 0 if norm == "batch" else 1
        centred = vector - vector.mean(dim=over, keepdim=True)
        vector = centred / (centred.square().mean(dim=over, keepdim=True) + 1e-5).sqrt()
    expected = (vector @ tokens.project.weight.T + tokens.project.bias).reshape(7, 2, 8)
    torch.testing.assert_close(tokens({"fmri": x}), expected)


def test_pieces_of_a_vector_go_through_one_layer() -> None:
    torch.manual_seed(0)
    config = FusionConfig(norm="none", tokens_from="pieces", tokens=4, width=8, dropout=0.0)
    tokens, x = Tokens(Plain("fmri"), config), torch.randn(3, 5)
    assert tokens.project.weight.shape == (8, 2)  # six features in pieces of two, one of zeros
    vector, (weight, bias) = tokens.reader.encode({"fmri": x}), tokens.project.parameters()
    made = tokens({"fmri": x})
    for p in range(3):
        torch.testing.assert_close(made[:, p], vector[:, 2 * p : 2 * p + 2] @ weight.T + bias)
    torch.testing.assert_close(made[:, 3], bias.expand(3, 8))


# Experts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("chosen", [1, 3, 16])
def test_gates_take_exactly_k_experts_and_sum_to_one(training: bool, chosen: int) -> None:
    torch.manual_seed(0)
    gate = Gate(8, ExpertsConfig(chosen=chosen)).train(training)
    weights = gate(torch.randn(5, 7, 8)).weights
    assert torch.equal((weights > 0).sum(dim=-1), torch.full((5, 7), chosen))
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(5, 7))


def test_sparse_experts_are_the_weighed_sum_of_all() -> None:
    torch.manual_seed(0)
    experts = Experts(8, ExpertsConfig(number=5, chosen=2, hidden=4), dropout=0.0).eval()
    x = torch.randn(3, 4, 8)
    with torch.no_grad():
        out, routing = experts(x, torch.ones(3, dtype=torch.bool))
        every = torch.stack([expert(x) for expert in experts.members], dim=-2)  # b t e d
        torch.testing.assert_close(out, (routing.weights[..., None] * every).sum(dim=-2))


@pytest.mark.parametrize("modalities", [1, 2, 3, 4])
def test_each_combination_has_its_own_expert_while_they_suffice(modalities: int) -> None:
    combinations = 2**modalities - 1
    target = assigned_experts(modalities, max(2, combinations))[1:].tolist()
    assert len(set(target)) == combinations
    assert target[-1] == 0  # of everything
    few = assigned_experts(modalities, 2)[1:-1]
    assert (few == 1).all()  # the first stays that of everything
    assert max(assigned_experts(4, 5)) == 4


def routing_of(logits: Tensor) -> Choice:
    top = torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    return Choice(top, top, logits)


def test_the_s_router_learns_the_expert_of_a_combination_and_only_there() -> None:
    config = ExpertsConfig(number=16, chosen=1, balance_weight=0.0, specialise_weight=1.0)
    target, code = assigned_experts(4, 16), torch.tensor([15, 0, 6, 3])
    logits = torch.zeros(4, 2, 16, requires_grad=True)
    loss = routing_loss(routing_of(logits), code, target, config)
    torch.testing.assert_close(loss, torch.tensor(16.0).log())
    loss.backward()
    assert not logits.grad[:2].any()  # who has everything, and who has nothing
    for person in (2, 3):
        falls = (logits.grad[person] < 0).nonzero()[:, 1].unique().tolist()
        assert falls == [target[code[person]]]


def test_the_g_router_is_even_over_all_experts_for_the_complete() -> None:
    config = ExpertsConfig(number=4, chosen=1, balance_weight=1.0, specialise_weight=0.0)
    target = assigned_experts(2, 4)
    even = 5.0 * torch.eye(4)[:, None]  # 4 people, one expert each
    one = 5.0 * torch.eye(4)[[2, 2, 2, 2]][:, None]
    complete = torch.full((4,), 3)
    assert routing_loss(routing_of(even), complete, target, config) == 0
    assert routing_loss(routing_of(one), complete, target, config) == pytest.approx(8)
    nobody = torch.zeros(4, dtype=torch.int64)
    assert routing_loss(routing_of(one), nobody, target, config) == 0


def test_two_routers_part_by_whether_everything_is_there() -> None:
    torch.manual_seed(0)
    config = ExpertsConfig(number=6, chosen=2, hidden=4, shared_router=False)
    experts, x = Experts(8, config, 0.0).eval(), torch.randn(2, 3, 8)
    routing = experts(x, torch.tensor([True, False]))[1]
    assert torch.equal(routing.logits[0], experts.general(x).logits[0])
    assert torch.equal(routing.logits[1], experts.special(x).logits[1])


@pytest.mark.parametrize(("shared", "hidden"), [(0, 3 * 8), (5, 5)])
def test_the_shared_mlp_is_as_wide_as_chosen_experts_or_as_it_says(
    shared: int, hidden: int
) -> None:
    block = network(small(number=0, shared_hidden=shared)).blocks[0]
    assert block.mlp[0].weight.shape == (hidden, 8)


@pytest.mark.parametrize("decays", [False, True])
def test_weight_decay_spares_bank_and_places_unless_it_says(decays: bool) -> None:
    config = small()
    config.fusion.bank_decays = decays
    model, made = network(config), FlexMoE(config)
    groups = made.parameter_groups(model)
    spared = {id(p) for g in groups if g.get("weight_decay") == 0.0 for p in g["params"]}
    assert (id(model.bank.vectors) in spared) == (id(model.place) in spared) == (not decays)
    assert id(model.heads["dx3"].weight) not in spared


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("missing", "mean"), ("norm", "group"), ("tokens_from", "words"), ("tokens", 0)),
        *(("heads", 3), ("number", 1), ("chosen", 17), ("shared_hidden", -1)),
    ],
)
def test_settings_that_cannot_work_are_named(setting: str, value: object) -> None:
    config = FlexConfig()
    part = "fusion" if hasattr(config.fusion, setting) else "experts"
    setattr(config, part, replace(getattr(config, part), **{setting: value}))
    with pytest.raises(MethodError, match=rf"{part}\.{setting}"):
        network(config)


# Records -----------------------------------------------------------------------------------------


def test_numbers_keep_their_gaps_and_sex_is_a_number() -> None:
    demographics = pd.DataFrame({"age_years": [60.0, np.nan], "sex": ["F", None]})
    samples = Samples(
        n=2, tables={"demographics": demographics, "clinical": pd.DataFrame({"faq_total": [3, 4]})}
    )
    columns = number_columns(samples)
    assert columns == ["age_years", "sex", "faq_total"]
    np.testing.assert_array_equal(numbers(samples, columns), [[60, 1, 3], [np.nan, np.nan, 4]])
