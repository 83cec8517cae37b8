"""Brain-Adapter: what the paper leaves open, released weights, and maps."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from brain_adapter_people import (
    SHAPE,
    TASK,
    TRAINER,
    batch,
    config,
    count_letters,
    fitted,
    network,
    people,
)
from released_names import filled, m3d
from safetensors.torch import save_file
from torch.nn import functional
from training_toy import context

from benchmark.config import load_profile
from benchmark.encoders import FeatureStore
from benchmark.encoders.released import build
from benchmark.errors import MethodError
from benchmark.runs.rows import resolve_row
from benchmark.samples.hide import hide
from benchmark.training.config import AugmentConfig, BalanceConfig
from methods.brain_adapter.adapter import Adapter
from methods.brain_adapter.contrast import Temperature
from methods.brain_adapter.evidence import stored_maps
from methods.brain_adapter.info import ContrastConfig, TextConfig
from methods.brain_adapter.model import BrainAdapter
from methods.brain_adapter.reports import report_features

M3D = {"shape": [8, 8, 8], "patch": [2, 4, 4], "width": 16, "depth": 2, "heads": 2, "hidden": 24}
STILL = replace(TRAINER, augment=AugmentConfig(flip=0.0, shift_voxels=0.0))


@pytest.fixture(autouse=True)
def text_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    count_letters(monkeypatch)


# What is not known is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"adapter": {"activation": "tanh"}}, r"adapter\.activation: .*gelu, relu, got 'tanh'"),
        (
            {"projection_start": "zero"},
            "projection_start: expected one of uniform, orthogonal, got 'zero'",
        ),
        ({"contrast": ContrastConfig(scale="log")}, r"contrast\.scale: .*exp, raw, got 'log'"),
        (
            {"contrast": ContrastConfig(first_scale=200.0)},
            r"first_scale is 200\.0, expected above 0 .* at most contrast\.largest_scale, 100",
        ),
        ({"contrast": ContrastConfig(first_scale=0.0)}, r"first_scale is 0\.0, expected above 0"),
        (
            {"contrast": ContrastConfig(scale="raw", first_scale=1.0)},
            r"first_scale is 1\.0, expected above 1 with contrast\.scale=raw",
        ),
    ],
)
def test_a_value_that_is_not_known_is_refused(settings: dict, told: str) -> None:
    with pytest.raises(MethodError, match=told):
        network(**settings)


def test_the_contrastive_loss_has_one_weight(tmp_path: Path) -> None:
    balance = BalanceConfig(weights={"contrastive": 0.5})
    settings = config(trainer=replace(TRAINER, balance=balance))
    with pytest.raises(MethodError, match=r"contrastive is not used; set contrastive_weight"):
        fitted(tmp_path, settings)


# The adapter -------------------------------------------------------------------------------------


def test_an_adapter_whose_last_layer_is_drawn_is_no_average_pool_at_first() -> None:
    torch.manual_seed(0)
    zero = Adapter(4, 2, (4, 3, 3), (2, 1, 1), groups=2)
    torch.manual_seed(0)
    drawn = Adapter(4, 2, (4, 3, 3), (2, 1, 1), groups=2, zero_start=False)
    x = torch.randn(2, 1, 8, 5, 6)
    assert torch.equal(zero(x), zero.pool(x))
    assert not torch.allclose(drawn(x), drawn.pool(x), atol=1e-2)
    differ = {
        name
        for name, weight in zero.state_dict().items()
        if not torch.equal(weight, drawn.state_dict()[name])
    }
    assert differ == {"out.weight", "out.bias"}
    assert not network(adapter={"zero_start": True}).adapter.out.weight.any()
    assert network(adapter={"zero_start": False}).adapter.out.weight.all()


@pytest.mark.parametrize("name", ["gelu", "relu"])
def test_the_adapters_activation(name: str) -> None:
    adapter = network(adapter={"activation": name}).adapter
    x, act = torch.randn(2, 1, *SHAPE), getattr(functional, name)
    weight, bias = adapter.convolution.weight, adapter.convolution.bias
    y = functional.conv3d(x, weight, bias, stride=(2, 1, 1), padding=(1, 1, 1))
    y = act(functional.group_norm(y, 2, adapter.norm.weight, adapter.norm.bias))
    y = act(functional.conv3d(y, adapter.narrow.weight, adapter.narrow.bias))
    y = act(functional.conv3d(y, adapter.widen.weight, adapter.widen.bias))
    assert torch.allclose(adapter.maps(x), y, atol=1e-6)


# Projections and classifier ----------------------------------------------------------------------


@pytest.mark.parametrize("standardise", [True, False])
def test_features_are_standardised_or_stay_as_they_are(tmp_path: Path, standardise: bool) -> None:
    method = fitted(tmp_path, config(standardise=standardise))
    mean, spread = method.model.text.mean, method.model.text.spread
    if not standardise:
        assert not mean.any()
        assert (spread == 1).all()
        return
    train = people(24, 0)
    there = method.usable(train) & train.has("report")
    seen = method.inputs(train)["report"][there].astype(float)
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(spread, seen.std(axis=0), rtol=1e-5)


def test_projections_start_within_bounds_or_orthogonal_with_a_bias_or_without() -> None:
    plain = network().image.linear
    assert plain.weight.abs().max() <= 1 / math.sqrt(plain.in_features)
    assert plain.bias is not None
    other = network(projection_start="orthogonal", projection_bias=False).image.linear
    assert torch.allclose(other.weight @ other.weight.T, torch.eye(6), atol=1e-5)
    assert other.bias is None


def test_the_reports_part_of_the_classifier_may_be_drawn() -> None:
    assert not network().heads["dx3"].parts["text"].weight.any()
    assert network(report_zero_start=False).heads["dx3"].parts["text"].weight.all()


def test_the_classifier_may_see_vectors_as_projected() -> None:
    unit, plain = network().eval(), network(classify_unit_vectors=False).eval()
    seen = {**batch(), "report_available": torch.tensor([True, False, True, True])}
    raw = {
        "image": plain.image.linear(plain.encode(seen["t1w"])),
        "text": plain.text.linear(seen["report"]) * seen["report_available"][:, None],
    }
    parts = plain.heads["dx3"].parts
    expected = parts["image"](raw["image"]) + parts["text"](raw["text"])
    outputs, compared = plain(seen), unit(seen)
    assert torch.allclose(outputs["dx3"], expected, atol=1e-6)
    assert not torch.allclose(outputs["dx3"], compared["dx3"], atol=1e-3)
    for name in ("image", "text"):  # what the contrastive loss compares stays as it is
        assert torch.allclose(outputs[name], compared[name], atol=1e-6)
    assert torch.allclose(outputs["image"].norm(dim=1), torch.ones(4), atol=1e-6)


@pytest.mark.parametrize("weighed", [True, False])
def test_similarity_is_a_cosine_whatever_is_classified(tmp_path: Path, weighed: bool) -> None:
    method = fitted(tmp_path, config(classify_unit_vectors=weighed))
    test = people(10, 2).without_labels()
    volume, report = np.split(method.embed(test).astype(float), 2, axis=1)
    lengths = np.linalg.norm(volume, axis=1) * np.linalg.norm(report, axis=1)
    cosine = (volume * report).sum(axis=1) / np.maximum(lengths, 1e-12)
    np.testing.assert_allclose(method.expose(test)["similarity"], cosine, atol=1e-6)


def test_tau_starts_and_ends_where_the_settings_say() -> None:
    scale = Temperature(ContrastConfig(first_scale=10.0, largest_scale=20.0))
    raw = Temperature(ContrastConfig(scale="raw"))
    assert scale().item() == pytest.approx(10.0)
    assert raw().item() == pytest.approx(math.log(1 / 0.07))  # as the code of M3D
    with torch.no_grad():
        scale.tau.fill_(9.0)
        raw.tau.fill_(9.0)
    assert scale().item() == pytest.approx(20.0)
    assert raw().item() == pytest.approx(math.log(100))


def test_what_is_read_of_a_text_follows_the_settings() -> None:
    assert report_features(TextConfig(), FeatureStore()).pooling == "mean"
    assert report_features(TextConfig(pooling="last"), FeatureStore()).pooling == "last"
    with pytest.raises(MethodError, match="pooling: expected one of mean, first, last, got 'max'"):
        report_features(TextConfig(pooling="max"), FeatureStore())


# Released weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["adapter", "lora", "finetune", "none"])
def test_released_weights_are_what_every_kind_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tmp_path / "released"
    folder.mkdir()
    save_file(filled(m3d(2, 16, 24, 16, 32)), folder / "model.safetensors")
    started: dict[str, torch.Tensor] = {}
    train = type(fitted(tmp_path / "scratch", config("none"))).train

    def watched(self, *args) -> None:
        started.update({n: t.clone() for n, t in self.model.encoder.state_dict().items()})
        train(self, *args)

    monkeypatch.setattr("methods.brain_adapter.model.BrainAdapter.train", watched)
    settings = config(kind, encoder="m3d-clip", settings=M3D, read_out="pooled")
    method = fitted(tmp_path / kind, settings, pretrained=folder)
    released = build("m3d-clip", **M3D)
    released.load_pretrained(folder)
    found = {n.replace(".base_layer", ""): t for n, t in started.items() if "lora_" not in n}
    assert found.keys() == released.state_dict().keys()
    assert all(torch.equal(found[n], t) for n, t in released.state_dict().items())
    now = method.model.encoder.state_dict()
    moved = {n for n, t in started.items() if not torch.equal(t, now[n])}
    assert all("lora_" in n for n in moved) or kind == "finetune"
    assert bool(moved) == (kind in ("lora", "finetune"))
    test = people(10, 2).without_labels()
    method.save(tmp_path / kind)
    loaded = type(method).load(tmp_path / kind)
    one, two = (m.predict(test, [TASK])["dx3"].probabilities for m in (method, loaded))
    assert np.array_equal(one, two)


def test_what_is_built_after_the_fit_has_learned_nothing(tmp_path: Path) -> None:
    """The randomisation check of maps compares with such a network."""
    torch.save(network("none").encoder.state_dict(), tmp_path / "weights.pt")
    method = fitted(tmp_path, config(), pretrained=tmp_path)
    loaded = torch.load(tmp_path / "weights.pt")["patch_embedding.weight"]
    torch.manual_seed(1)
    fresh = method.build(people(), [TASK])
    assert torch.equal(method.model.encoder.patch_embedding.weight, loaded)
    assert not torch.equal(fresh.encoder.patch_embedding.weight, loaded)


@pytest.mark.parametrize("kind", ["adapter", "lora", "none"])
def test_a_released_encoder_is_not_frozen_as_it_was_drawn(tmp_path: Path, kind: str) -> None:
    settings = config(kind, encoder="m3d-clip", settings=M3D, read_out="pooled")
    told = rf"m3d-clip is frozen \(adapter\.kind={kind}\).*no weights; set config\.pretrained"
    with pytest.raises(MethodError, match=told):
        fitted(tmp_path, settings)


def test_a_released_encoder_that_is_trained_or_not_built_needs_no_weights(tmp_path: Path) -> None:
    settings = config("finetune", encoder="m3d-clip", settings=M3D, read_out="pooled")
    assert fitted(tmp_path / "all", settings).model.has_image
    settings = replace(settings, adapter=replace(settings.adapter, kind="adapter"))
    (tmp_path / "report").mkdir()
    method = BrainAdapter(settings)
    train, val = (replace(people(n, s), arrays={}) for n, s in ((24, 0), (10, 1)))
    method.fit(train, val, [TASK], context(tmp_path / "report"))
    assert not method.model.has_image


# Maps --------------------------------------------------------------------------------------------


def test_exposed_maps_are_those_of_explain_on_the_adapters_grid(tmp_path: Path) -> None:
    method = fitted(tmp_path, config())
    test = people(10, 2).without_labels()
    missing = np.arange(10) == 3
    seen = hide(test, {"t1w": missing})
    shown = method.expose(seen)
    maps, scale = shown["gradcam_dx3"], shown["gradcam_scale_dx3"]
    assert maps.dtype == np.float16
    assert maps.shape == (10, 4, 16, 16)  # the stride is 2, 1, 1
    assert not maps[missing].any()
    greatest = maps.reshape(10, -1).max(axis=1)
    assert (greatest[scale > 0] == 1).all()
    assert (scale > 0).any()
    whole = torch.from_numpy(maps.astype(np.float32) * scale[:, None, None, None])[:, None]
    stored = torch.from_numpy(test.volumes())[:, None]
    there = ~missing
    found = stored_maps(method.model, whole[there], stored[there]).numpy()
    expected = method.explain(seen, TASK)[there]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 * expected.max())


@pytest.mark.parametrize("kind", ["lora", "none"])
def test_rows_without_an_adapter_expose_no_map(tmp_path: Path, kind: str) -> None:
    shown = fitted(tmp_path, config(kind)).expose(people(5, 2).without_labels())
    assert not any(name.startswith("gradcam") for name in shown)


def test_maps_of_a_large_grid_are_not_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("methods.brain_adapter.model._MOST_VOXELS", 4 * 16 * 16 - 1)
    shown = fitted(tmp_path, config()).expose(people(5, 2).without_labels())
    assert "similarity" in shown
    assert "gradcam_dx3" not in shown


@pytest.mark.parametrize("reports", [True, False])
def test_explained_volumes_are_answered_as_their_kept_features(
    tmp_path: Path, reports: bool
) -> None:
    settings = config("none", trainer=STILL, cache_image=True)
    method = fitted(tmp_path, settings, reports=reports)
    test = people(9, 2, reports=reports).without_labels()
    assert "t1w" not in method.inputs(test)
    seen = method.explained_inputs(test)
    assert "image" not in seen
    assert seen["t1w"] is test.arrays["t1w"]
    by_volume = copy.copy(method)
    by_volume.inputs = method.explained_inputs
    kept, read = (m.predict(test, [TASK])["dx3"].probabilities for m in (method, by_volume))
    np.testing.assert_allclose(read, kept, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "reads"), [("brain-jepa", "time series"), ("nucleotide-transformer", "DNA")]
)
def test_released_encoders_of_something_else_are_refused(encoder: str, reads: str) -> None:
    with pytest.raises(MethodError, match=f"{encoder}' reads {reads}; .*volumes: m3d-clip, brain"):
        network("none", encoder=encoder, settings={})


def test_the_linear_probe_is_linear_and_keeps_its_best_epoch() -> None:
    settings = resolve_row("adapter_linear_probe", load_profile("mini")).config
    found = (settings["trainer"]["keep"], settings["classify_unit_vectors"])
    assert found == ("best", False)
    others = [
        resolve_row(row, load_profile("mini")).config
        for row in ("adapter_lora", "brain_adapter_mri")
    ]
    assert {(c["trainer"]["keep"], c["classify_unit_vectors"]) for c in others} == {("last", True)}
    unit = settings["classify_unit_vectors"]
    probe = network("none", text=0, classify_unit_vectors=unit).eval()
    x, there = torch.randn(3, probe.image.linear.in_features), torch.ones(3, dtype=torch.bool)

    def logits(features: torch.Tensor) -> torch.Tensor:
        return probe({"image": features, "t1w_available": there})["dx3"]

    with torch.no_grad():
        none = logits(torch.zeros_like(x))
        torch.testing.assert_close(logits(2 * x) - none, 2 * (logits(x) - none))
