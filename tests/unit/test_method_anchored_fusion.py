"""Anchored Q-formers: what a Q-former writes, what is shown of it, and who learns when."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from anchored_settings import small
from people_without_scans import people
from torch import Tensor, nn

from benchmark.api import MethodError, RunContext, Samples
from benchmark.encoders import SeriesReader, TimeSeriesEncoder
from benchmark.samples.hide import hide
from benchmark.tasks import get_task
from methods.anchored_qformer.info import FusionConfig
from methods.anchored_qformer.modalities import GENETICS, TEXT, make_readers
from methods.anchored_qformer.model import AnchoredQFormer
from methods.anchored_qformer.network import Network, Parts, Round, Unimodal
from methods.anchored_qformer.qformer import QFormer

TASKS = [get_task("dx3"), get_task("conversion")]


def some(widths: dict[str, int], n: int = 3, seed: int = 0) -> dict[str, Parts]:
    g = torch.Generator().manual_seed(seed)
    made = {}
    for count, (m, width) in enumerate(widths.items(), start=3):
        tokens, features = (torch.randn(n, count, width, generator=g) for _ in range(2))
        made[m] = Parts(tokens, features, torch.ones(n, count, dtype=torch.bool))
    return made


def encoder(width: int) -> TimeSeriesEncoder:
    return TimeSeriesEncoder(5, width=width, heads=2, patch=2)


def fitted(folder: Path, **fusion: object) -> AnchoredQFormer:
    made = AnchoredQFormer(small(**fusion))
    made.fit(people(30, 0), people(12, 1), TASKS, RunContext(seed=0, folder=folder))
    return made


def alone(samples: Samples, left: tuple[str, ...]) -> Samples:
    """The same people with nothing but some modalities."""
    everyone = np.ones(samples.n, dtype=bool)
    return hide(samples, {m: everyone for m in samples.available if m not in left})


# What is written ---------------------------------------------------------------------------------


def test_a_q_former_is_two_readings_and_two_projections() -> None:
    torch.manual_seed(0)
    widths = {"smri": 6, "fmri": 4, "genetics": 5}
    q = QFormer(widths, 10, n_queries=2, dim=8, heads=2, sd=0.5, norm_place="post").eval()
    parts = some(widths)
    parts["fmri"].mask[1] = False
    parts["smri"].mask[:, -1] = False
    masks = {m: part.mask for m, part in parts.items()}
    written = q({m: part.features for m, part in parts.items()}, masks)
    assert written.tokens.shape == (3, 4 * 2, 10)  # N_q of each of three, and N_q of all

    def read(layer: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:  # one person, by hand
        weight, bias = layer.attention.in_proj_weight, layer.attention.in_proj_bias
        asked, w = layer.queries, (*weight.chunk(3), *bias.chunk(3))
        heads = [
            (x @ w[k].T + w[k + 3]).unflatten(-1, (2, 4)).transpose(0, 1)
            for k, x in enumerate((asked, tokens, tokens))
        ]
        share = (heads[0] @ heads[1].transpose(1, 2) / 2).softmax(-1)  # head, query, token
        mixed = layer.attention.out_proj((share @ heads[2]).transpose(0, 1).flatten(1))
        return layer.norm(asked + mixed), share.mean(dim=(0, 1))

    with torch.no_grad():
        for person in range(3):
            there = [m for m in widths if masks[m][person].any()]
            one = {}
            for m in there:
                real = masks[m][person]
                z = q.project[m](parts[m].features[person, real])
                one[m], look = read(q.uni[m], z)
                torch.testing.assert_close(written.attention[m][person, real], look)
            crossed, mass = read(q.cross, torch.cat([one[m] for m in there]))
            zeros = torch.zeros(2, 10)
            expected = [q.out(one[m]) if m in there else zeros for m in widths]
            expected.append(q.out(crossed))
            torch.testing.assert_close(written.tokens[person], torch.cat(expected))
            for k, m in enumerate(there):
                torch.testing.assert_close(written.mass[m][person], mass[2 * k : 2 * k + 2].sum())
    assert written.mask.tolist()[1] == [True, True, False, False, True, True, True, True]


def test_the_answer_is_read_from_all_tokens_or_from_the_anchors_own() -> None:
    torch.manual_seed(0)
    parts = some({"fmri": 8, "genetics": 6})
    anchor = encoder(8)
    for pool in ("all", "own"):
        config = FusionConfig(n_queries=2, dim=4, heads=2, pool=pool)
        each = Round(anchor, {"genetics": 6}, TASKS, config).eval()
        with torch.no_grad():
            joined = each.join(parts)
            both = torch.cat([joined.tokens, parts["fmri"].tokens], dim=1)
            mask = torch.ones(both.shape[:2], dtype=torch.bool)
            out = each.encoder.run_blocks(both, mask)
            kept = out if pool == "all" else out[:, joined.tokens.shape[1] :]
            torch.testing.assert_close(each(parts["fmri"], joined)[0], kept.mean(dim=1))


def test_auxiliaries_are_hidden_at_the_rate_asked_for_and_while_training_alone() -> None:
    torch.manual_seed(0)
    parts = some({"fmri": 8, "genetics": 6}, n=2000)
    each = Round(encoder(8), {"genetics": 6}, TASKS, FusionConfig(n_queries=1, dim=4, heads=2))
    with torch.no_grad():
        hidden = 1 - each.train().join(parts).mask.any(dim=1).float().mean()
        assert float(hidden) == pytest.approx(0.2, abs=0.03)
        assert each.eval().join(parts).mask.all()


def test_low_rank_updates_have_the_rank_and_the_scale_asked_for() -> None:
    torch.manual_seed(0)
    config = FusionConfig(n_queries=0, lora_rank=3, lora_alpha=12.0, lora_dropout=0.25)
    each = Round(encoder(8), {}, TASKS, config)
    layers = [m for m in each.encoder.modules() if hasattr(m, "lora_A")]
    assert layers
    for layer in layers:
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        assert {down.shape[0], up.shape[1]} == {3}
        assert layer.lora_dropout["default"].p == 0.25
    nn.init.normal_(up)
    x = torch.randn(5, layer.in_features)
    with torch.no_grad():
        update = 12 / 3 * (x @ down.T @ up.T)
        torch.testing.assert_close(layer.eval()(x), layer.base_layer(x) + update)
        each.train()  # as the training loop does
        assert not torch.equal(layer(x), layer(x))
        each.eval()
        torch.testing.assert_close(layer(x), layer.base_layer(x) + update)


# Who learns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["anchored", "concat"])
@pytest.mark.parametrize("tunes", [False, True])
def test_the_first_stage_learns_the_same_of_a_text_whatever_the_fusion(
    tmp_path: Path, kind: str, tunes: bool
) -> None:
    config = small(kind=kind)
    config.text = replace(config.text, tune_embeddings=tunes)
    made = AnchoredQFormer(config)
    fresh = make_readers(config, people(30, 0))[TEXT].encoder
    before = {name: t.clone() for name, t in fresh.named_parameters()}
    made.fit(people(30, 0), people(12, 1), TASKS, RunContext(seed=0, folder=tmp_path))
    after = dict(made.model.unimodal[TEXT].reader.encoder.named_parameters())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    words = {name for name in before if "embed" in name}
    assert words
    assert moved - words
    assert bool(moved & words) == tunes


def test_an_encoder_at_rate_0_keeps_weights_and_statistics_and_drops_nothing() -> None:
    reader = SeriesReader(encoder(8))
    reader.encoder.add_module("norm", nn.BatchNorm1d(8))
    each = Unimodal(reader, TASKS, FusionConfig(), dropout=0.0).train()
    assert not any(p.requires_grad for p in reader.parameters())
    each.begin(learns=False)
    each.train()
    assert not any(p.requires_grad for p in reader.parameters())
    assert not any(module.training for module in reader.encoder.modules())
    assert all(p.requires_grad for p in each.heads.parameters())
    other = Unimodal(SeriesReader(encoder(8)), TASKS, FusionConfig(), dropout=0.0)
    other.begin(learns=True)
    assert all(p.requires_grad for p in other.parameters())


def test_heads_and_tasks_have_rates_and_weights_of_their_own(tmp_path: Path) -> None:
    made = fitted(tmp_path)
    config = replace(made.config, fusion=replace(made.config.fusion, head_rate=0.25))
    other = copy.copy(made)
    other.config = replace(config, task_weights={"conversion": 3.0})
    groups = other.parameter_groups(other.model)
    names = {id(p): n for n, p in other.model.named_parameters()}
    for group in groups:
        heads = {"heads" in names[id(p)].split(".") for p in group["params"]}
        assert heads in ({True}, {False})
        lr = other.trainer.lr * (0.25 if True in heads else 1.0)
        assert group["lr"] == pytest.approx(lr)
    source = made.source(people(9, 2), TASKS)
    batch = source.read(np.arange(9))
    outputs = {"dx3": torch.randn(9, 3), "conversion": torch.randn(9, 2)}
    plain = replace(made.config, task_weights={})
    unweighed = copy.copy(made)
    unweighed.config = plain
    one, two = unweighed.weighed_losses(outputs, batch), other.weighed_losses(outputs, batch)
    torch.testing.assert_close(two["conversion"], 3 * one["conversion"])
    torch.testing.assert_close(two["dx3"], one["dx3"])


def test_concatenation_has_a_hidden_layer_of_the_width_asked_for() -> None:
    readers = {"fmri": SeriesReader(encoder(8)), "genetics": SeriesReader(encoder(4))}
    config = FusionConfig(kind="concat", hidden=7)
    made = Network(readers, TASKS, dict.fromkeys(readers, 0.0), config)
    linear = made.concat.body[0]
    assert (linear.in_features, linear.out_features) == (8 + 4 + 2, 7)


# Who is learned from -----------------------------------------------------------------------------


def test_complete_people_have_all_that_is_read_and_need_nothing_else() -> None:
    config = small()
    config.complete_only = True
    made = AnchoredQFormer(config)
    made._tasks = ("dx3",)
    samples = people(20, 0)
    proteins = np.arange(20) == 0  # a table that no encoder reads
    nobody = np.zeros(20, dtype=bool)
    samples = replace(
        samples, available={**samples.available, "biomarker": proteins, "t1w": nobody}
    )
    complete = samples.available["fmri"] & samples.available["genetic"]
    np.testing.assert_array_equal(made.usable(samples), complete)
    made.config.complete_only = False
    assert made.usable(samples).all()


# What is shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "left", [("clinical",), ("fmri",), ("genetic",), ("clinical", "genetic"), ()]
)
def test_what_is_shown_has_the_same_shape_whoever_is_there(
    tmp_path_factory: pytest.TempPathFactory, left: tuple[str, ...]
) -> None:
    made = _kept(tmp_path_factory)
    samples = people(6, 2).without_labels()
    everything, some_left = made.expose(samples), made.expose(alone(samples, left))
    assert {k: v.shape for k, v in some_left.items()} == {k: v.shape for k, v in everything.items()}
    assert all(np.isfinite(v).all() for v in some_left.values())
    names = {"clinical": 0, "fmri": 1, "genetic": 2}
    gone = [k for name, k in names.items() if name not in left]
    assert not some_left["votes_dx3"][:, gone].any()
    assert not some_left["cross_mass"][:, gone].any()


_FITS: list[AnchoredQFormer] = []


def _kept(factory: pytest.TempPathFactory) -> AnchoredQFormer:
    if not _FITS:
        _FITS.append(fitted(factory.mktemp("shown")))
    return _FITS[0]


def test_mass_and_attention_are_means_over_the_anchors_that_a_person_has(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    made = _kept(tmp_path_factory)
    samples = people(6, 2).without_labels()
    shown = made.expose(samples)
    model, source = made.model, made.source(people(6, 2), TASKS)
    with torch.no_grad():
        parts = model.parts(source.read(np.arange(6)).inputs)
        for person in range(6):
            one = {m: Parts(*(x[person : person + 1] for x in p)) for m, p in parts.items()}
            own = [m for m, part in one.items() if part.mask.any()]
            joins = {m: model.rounds[m].join(one) for m in own}
            for k, m in enumerate(model.names):
                mass = [float(joins[a].mass[m][0]) if m != a else 0.0 for a in own]
                assert shown["cross_mass"][person, k] == pytest.approx(np.mean(mass), abs=1e-5)
                looks = [joins[a].attention[m][0].numpy() for a in own if a != m]
                mean = np.mean(looks, axis=0) if looks else np.zeros(1)
                row = shown[f"attention_{m}"][person]
                np.testing.assert_allclose(row[: len(mean)], mean, atol=1e-5)
                assert not row[len(mean) :].any()


# Genotypes ---------------------------------------------------------------------------------------


def test_published_odds_are_the_weights_of_the_score() -> None:
    config = small()
    config.genetics.log_odds = {f"rs{k}": 0.1 * k for k in reversed(range(7))}  # more than asked
    made = make_readers(config, people(30, 0))[GENETICS].encoder
    np.testing.assert_allclose(made.weights.numpy(), [0.0, 0.1, 0.2, 0.3, 0.4], atol=1e-7)
    assert "weights" not in dict(made.named_parameters())
    config.genetics.log_odds = {"rs0": 0.1}
    with pytest.raises(MethodError, match=r"no weight for 4 of 5 SNPs: rs1, rs2, rs3, rs4"):
        make_readers(config, people(30, 0))
    config.genetics.encoder = "nucleotide-transformer"
    with pytest.raises(MethodError, match=r"genetics\.log_odds is not read with .*encoder=nucleo"):
        make_readers(config, people(30, 0))
