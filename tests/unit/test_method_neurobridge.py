"""NeuroBridge: its gates and streams, its two trainings, what it shows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from neurobridge_people import SHAPE, TASKS, config, fitted, people, prepared
from training_toy import context

from benchmark.encoders import over_volumes
from benchmark.errors import MethodError
from benchmark.runs.rows import resolve_row
from benchmark.tasks import get_task
from methods.neurobridge.info import INFO, NeuroBridgeConfig, paper_config
from methods.neurobridge.model import _MOST_VOXELS, NeuroBridge
from methods.neurobridge.network import STREAMS, GatedFusion, Network


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> NeuroBridge:
    return fitted(tmp_path_factory.mktemp("neurobridge"))


# Gates and streams -------------------------------------------------------------------------------


def test_gates_sum_to_one_in_each_channel_and_start_even() -> None:
    fusion, streams = GatedFusion(3, 5, "channel", zero_start=True), torch.randn(4, 3, 5)
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


@pytest.mark.parametrize(
    ("norm", "training"), [("batch", False), ("group", False), ("group", True)]
)
def test_the_first_stream_ignores_voxels_of_probability_zero(norm: str, training: bool) -> None:
    made = network(norm=norm).train(training)
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


def test_a_norm_of_positions_is_that_of_the_channels_of_each() -> None:
    batch, group = network(norm="batch"), network(norm="group")
    shapes = [{n: p.shape for n, p in made.named_parameters()} for made in (batch, group)]
    assert {n: s for n, s in shapes[0].items() if n.startswith("branches.")} == {
        n: s for n, s in shapes[1].items() if n.startswith("branches.")
    }
    for name in STREAMS:
        assert type(batch.branches[name][1]) is torch.nn.BatchNorm3d
        norm, x = group.branches[name][1], torch.randn(2, 8, 2, 3, 2)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
        scaled = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True, correction=0)
        expected = scaled * norm.weight.view(-1, 1, 1, 1) + norm.bias.view(-1, 1, 1, 1)
        torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-4)


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


# Fits --------------------------------------------------------------------------------------------


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("weighting", ["fixed", "gradnorm"])
def test_a_fit_that_is_killed_in_either_phase_goes_on_to_the_same_bits(
    weighting: str, tmp_path: Path
) -> None:
    made = config()
    made.trainer.balance.weighting = weighting
    whole = fitted(tmp_path / "whole", made).model.state_dict()
    for stage in ("guided", "fit"):

        def die(record, stage=stage) -> None:
            if record.get("stage") == stage and record.get("epoch") == 2:
                raise KilledError

        with pytest.raises(KilledError):
            fitted(tmp_path / stage, made, log=die)
        again = fitted(tmp_path / stage, made).model.state_dict()
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
        "hippocampus_map": (5, *SHAPE),
        "gradcam_dx3": (5, 2, 3, 2),
        "gradcam_brain_age": (5, 2, 3, 2),
    }
    np.testing.assert_allclose(shown["gate"].sum(axis=1), 1, rtol=1e-5)
    found = method.hippocampus_map(seen)
    assert found.shape == (5, *SHAPE)
    assert 0 <= found.min() <= found.max() <= 1
    assert shown["hippocampus_map"].dtype == np.uint8
    np.testing.assert_allclose(shown["hippocampus_map"] / 100, found, atol=0.00501)
    np.testing.assert_allclose(shown["hippocampus_mm3"], found.sum(axis=(1, 2, 3)) * 125, rtol=1e-4)
    for task in TASKS:
        maps = method.explain(seen, task)
        assert maps.shape == (5, *SHAPE)
        assert maps.min() >= 0
        alone = method.explain(seen.subset([3]), task)
        np.testing.assert_allclose(alone[0], maps[3], rtol=1e-3, atol=1e-6)
    with pytest.raises(MethodError, match="pd_hc"):
        method.explain(seen, get_task("pd_hc"))


def test_exposed_maps_are_those_of_explain_on_the_coarse_grid(tmp_path: Path) -> None:
    made = config()
    made.trainer.balance.weights = {}
    method = fitted(tmp_path, made)
    for head in method.model.heads.values():  # both signs, so that something is above zero
        torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(1))
    seen = people(5, 2).without_labels()
    nobody = replace(seen, available={"t1w": np.arange(5) != 3})
    shown, model = method.expose(seen), method.model
    for task in TASKS:
        coarse = shown[f"gradcam_{task.name}"]
        assert coarse.dtype == np.float16
        assert coarse.any()
        x = torch.from_numpy(seen.arrays["t1w"].take(np.arange(5)).astype(np.float32))[:, None]
        maps = over_volumes(torch.from_numpy(coarse).float(), model.encoder, SHAPE)
        expected = model.prepare.restored(maps, x)[:, 0].numpy()
        np.testing.assert_allclose(method.explain(seen, task), expected, rtol=2e-3, atol=1e-6)
        assert not method.expose(nobody)[f"gradcam_{task.name}"][3].any()
    assert not method.expose(nobody)["hippocampus_map"][3].any()


def test_the_hippocampus_found_is_kept_beside_a_run_up_to_a_size(
    method: NeuroBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 32 * 40 * 32 <= _MOST_VOXELS < 80 * 100 * 80  # 5 mm and 2 mm
    seen = people(3, 2).without_labels()
    shown = {}
    for most in (math.prod(SHAPE), math.prod(SHAPE) - 1):
        monkeypatch.setattr("methods.neurobridge.model._MOST_VOXELS", most)
        shown[most] = method.expose(seen)
    whole, less = shown.values()
    assert whole.keys() - less.keys() == {"hippocampus_map"}
    assert all(np.array_equal(values, whole[name]) for name, values in less.items())
    assert method.hippocampus_map(seen).shape == (3, *SHAPE)


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
