"""Anchored Q-formers: what could have been chosen otherwise does what its key says."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from anchored_settings import small
from people_without_scans import people
from torch import Tensor

from benchmark.api import MethodError, RunContext
from benchmark.config import Profile
from benchmark.encoders import SeriesReader, TimeSeriesEncoder
from benchmark.runs.rows import resolve_row
from benchmark.tasks import get_task
from benchmark.tracks import get_track
from methods.anchored_qformer.info import FusionConfig
from methods.anchored_qformer.model import AnchoredQFormer
from methods.anchored_qformer.network import Heads, Network, averaged
from methods.anchored_qformer.qformer import CrossAttention

TASKS = [get_task("dx3"), get_task("conversion")]


def test_logits_may_vote() -> None:
    logits = torch.randn(3, 4, 3)
    present = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()
    logits[~present] = torch.nan
    p = averaged(logits, present, "logits").exp()
    torch.testing.assert_close(p[0], logits[0, [0, 2]].mean(0).softmax(0))
    torch.testing.assert_close(p[1], torch.full((3,), 1 / 3))
    torch.testing.assert_close(p[2], logits[2, 1].softmax(0))


def test_queries_have_the_spread_that_is_asked_for_and_a_norm_before_or_after() -> None:
    def made(sd: float, norm: str) -> CrossAttention:
        torch.manual_seed(3)
        return CrossAttention(8, 2, 500, sd, norm).eval()

    default, wide, pre = made(0.02, "post"), made(0.5, "post"), made(0.5, "pre")
    assert float(default.queries.detach().std()) == pytest.approx(0.02, rel=0.05)
    torch.testing.assert_close(wide.queries, default.queries * 25)
    tokens, mask = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)

    def read(x: Tensor) -> Tensor:  # multi-head attention by hand
        weight, bias = pre.attention.in_proj_weight, pre.attention.in_proj_bias
        q, k, v = (
            (part @ w.T + b).unflatten(-1, (2, 4)).transpose(-2, -3)
            for part, w, b in zip((x, tokens, tokens), weight.chunk(3), bias.chunk(3), strict=True)
        )
        mixed = ((q @ k.transpose(-1, -2)) / 2).softmax(-1) @ v
        return pre.attention.out_proj(mixed.transpose(-2, -3).flatten(-2))

    def normed(x: Tensor) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) / (
            x.var(-1, correction=0, keepdim=True) + 1e-5
        ).sqrt()

    with torch.no_grad():
        asked = wide.queries
        torch.testing.assert_close(wide(tokens, mask)[0], normed(asked + read(asked)))
        torch.testing.assert_close(pre(tokens, mask)[0], asked + read(normed(asked)))


def test_heads_may_see_features_as_they_are_and_start_at_random() -> None:
    x = 3 + torch.randn(6, 5)
    plain = Heads(5, TASKS, FusionConfig(standardise=False, heads_zero_start=False)).train()
    weight = plain.tasks["dx3"].weight
    assert weight.abs().min() > 0
    torch.testing.assert_close(plain(x)["dx3"], x @ weight.T + plain.tasks["dx3"].bias)
    scaled = Heads(5, TASKS, FusionConfig(heads_zero_start=False)).train()
    z = (x - x.mean(0)) / x.std(0, correction=0)
    head = scaled.tasks["dx3"]
    torch.testing.assert_close(scaled(x)["dx3"], z @ head.weight.T + head.bias, rtol=0, atol=1e-4)
    assert not Heads(5, TASKS, FusionConfig())(x)["dx3"].any()


def test_the_loss_is_of_the_anchors_or_of_the_answer(tmp_path: Path) -> None:
    method = AnchoredQFormer(small())
    method.fit(people(30, 0), people(12, 1), TASKS, RunContext(seed=0, folder=tmp_path))
    source = method.source(people(9, 2), TASKS)
    batch = replace(source.read(np.arange(9)), training=True)
    inputs = {
        f"{m}_mask": torch.tensor(r.reader.there(source.inputs))[:, None]
        for m, r in method.model.unimodal.items()
    }
    batch = replace(batch, inputs=inputs)
    g = torch.Generator().manual_seed(4)
    names = [*method.model.rounds]
    outputs = {f"{m}/dx3": torch.randn(9, 3, generator=g) for m in names}
    outputs["dx3"] = torch.randn(9, 3, generator=g).log_softmax(1)
    outputs |= {f"{m}/conversion": torch.zeros(9, 2) for m in names}
    outputs["conversion"] = torch.zeros(9, 2)
    y = torch.tensor(np.arange(9) % 3)
    each = [
        torch.nn.functional.cross_entropy(outputs[f"{m}/dx3"], y, reduction="none")
        * inputs[f"{m}_mask"][:, 0]
        for m in names
    ]
    mean = torch.stack(each).mean()
    assert method.config.fusion.loss == "anchors"
    torch.testing.assert_close(method.losses(outputs, batch)["dx3"], mean)
    other = copy.copy(method)
    other.config = replace(method.config, fusion=replace(method.config.fusion, loss="answer"))
    expected = torch.nn.functional.cross_entropy(outputs["dx3"], y)
    torch.testing.assert_close(other.losses(outputs, batch)["dx3"], expected)


def test_a_fit_with_every_choice_made_otherwise(tmp_path: Path) -> None:
    others = {
        "norm_place": "pre",
        "query_sd": 0.1,
        "vote": "logits",
        "loss": "answer",
        "pool": "own",
        "standardise": False,
        "heads_zero_start": False,
    }
    made = AnchoredQFormer(small(**others))
    made.fit(people(30, 0), people(12, 1), TASKS, RunContext(seed=0, folder=tmp_path / "fit"))
    unseen = people(6, 2).without_labels()
    p = made.predict(unseen, TASKS)["dx3"].probabilities
    votes = made.expose(unseen)["votes_dx3"]
    there = votes.any(axis=2)
    logs = np.log(np.where(there[..., None], votes, 1.0))
    mean = np.exp(logs.sum(axis=1) / there.sum(axis=1)[:, None])
    np.testing.assert_allclose(p, mean / mean.sum(axis=1, keepdims=True), atol=1e-5)


def test_rows_that_read_no_volume_start_from_nothing() -> None:
    profile = Profile(name="any")
    rows = {
        name: resolve_row(name, profile)
        for name in ("qformer_text", "qformer_fmri", "qformer_genetics", "qformer_smri")
    }
    for row in rows.values():
        assert bool(row.pretrained) == ("t1w" in get_track(row.track)), row.name
    single = resolve_row("qformer_single", profile)
    joint = resolve_row("anchored_qformer", profile)
    assert (single.multitask, joint.multitask) == (False, True)
    assert (single.track, single.tasks) == (joint.track, joint.tasks)
    weights = {"conversion": 1.0}  # alone it has nothing to be weighed against
    assert single.config == {**joint.config, "task_weights": weights}
    assert joint.config["task_weights"] == {"conversion": 0.2}


@pytest.mark.parametrize(
    "fusion",
    [
        {"kind": "sum"},
        {"pool": "max"},
        {"n_queries": -1},
        {"query_sd": 0.0},
        {"norm_place": "none"},
        {"vote": "median"},
        {"loss": "all"},
    ],
)
def test_settings_that_cannot_work_are_named(fusion: dict[str, object]) -> None:
    readers = {"fmri": SeriesReader(TimeSeriesEncoder(5, width=8, heads=2, patch=2))}
    with pytest.raises(MethodError, match=rf"fusion\.{next(iter(fusion))}"):
        Network(readers, TASKS, {"fmri": 0.0}, replace(FusionConfig(), **fusion))
