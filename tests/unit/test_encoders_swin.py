"""The encoder of SwinUNETR in masked autoencoding, at a tiny size."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from neurobridge_people import TASKS, people
from training_toy import context, toy_people

from benchmark.cli.compose import compose_request
from benchmark.config import load_profile
from benchmark.encoders import (
    MaskedAutoencoder,
    MaskedConfig,
    PretrainingConfig,
    build_encoder,
    pretrain,
)
from benchmark.encoders.masked import image_mask
from benchmark.encoders.transformer import TransformerConfig
from benchmark.errors import MethodError
from benchmark.runs.pretraining import resolve_pretraining
from benchmark.runs.rows import resolve_row
from benchmark.training.config import TrainerConfig
from methods.neurobridge.info import NeuroBridgeConfig, paper_config
from methods.neurobridge.model import NeuroBridge

pytest.importorskip("einops")

GRID = (64, 32, 32)  # two patches: a single one could not be masked
SETTINGS = {"feature_size": 12}
MASKED = MaskedConfig(
    ratio=0.5,
    loss="l1",
    norm_patch=False,
    decoder=TransformerConfig(width=16, depth=1, heads=2),
)
RECIPE = PretrainingConfig(
    encoder="swin",
    settings=SETTINGS,
    grid=list(GRID),
    fit="resample",
    masked=MASKED,
    trainer=TrainerConfig(epochs=2, batch_size=4, lr=1e-3, keep="last"),
)


def config(**others: object) -> NeuroBridgeConfig:
    made = NeuroBridgeConfig(
        encoder="swin",
        settings=dict(SETTINGS),
        grid=list(GRID),
        decoder_blocks=[],
        norm="group",
        width=8,
        **others,
    )
    for trainer in (made.guided, made.trainer):
        trainer.epochs, trainer.batch_size = 1, 4
    return made


def test_hidden_content_changes_nothing_of_what_the_encoder_sees() -> None:
    torch.manual_seed(0)
    model = MaskedAutoencoder(build_encoder("swin", SETTINGS, GRID), MASKED, GRID).eval()
    x, hidden = torch.randn(2, 1, *GRID), image_mask(2, (2, 1, 1), (1, 1, 1), 0.5)
    voxels = hidden.view(2, 1, 2, 1, 1)
    for axis in (2, 3, 4):
        voxels = voxels.repeat_interleave(32, dim=axis)
    seen: list[torch.Tensor] = []
    model.encoder.swinViT.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    other = torch.where(voxels, torch.full_like(x, 1e6), x)
    with torch.no_grad():
        one, two = (model.reconstruct(v, hidden) for v in (x, other))
        shown = model.reconstruct(torch.where(voxels, x, x + 1), hidden)
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], x.masked_fill(voxels, 0.0))
    assert torch.equal(one, two)
    assert not torch.equal(one, shown)


def test_tokens_are_the_coarsest_map() -> None:
    encoder, x = build_encoder("swin", SETTINGS, GRID).eval(), torch.randn(1, 1, *GRID)
    with torch.no_grad():
        encoded, h = encoder(x), encoder.encode_maps(x).h
    assert torch.equal(encoded.tokens, h.flatten(2).transpose(1, 2))
    assert torch.equal(encoded.pooled, encoded.tokens.mean(dim=1))


@pytest.mark.slow
def test_neurobridge_starts_from_pretrained_weights_and_from_no_others(tmp_path: Path) -> None:
    run = context(tmp_path / "pretraining")
    shape = (16, 16, 16)
    encoder = pretrain(toy_people(8, 0, shape), toy_people(4, 1, shape), RECIPE, run)
    learned = encoder.state_dict()
    start = pretrain(
        toy_people(8, 0, shape),
        toy_people(4, 1, shape),
        replace(RECIPE, trainer=replace(RECIPE.trainer, lr=0.0)),
        context(tmp_path / "start"),
    ).state_dict()
    moved = {n.split(".")[0] for n in learned if not torch.equal(learned[n], start[n])}
    assert moved == {"swinViT", "encoder10"}  # what the coarsest map is made by
    torch.save(learned, tmp_path / "weights.pt")

    method, train = NeuroBridge(config()), people(12, 0)
    method.fit(train, people(5, 1), TASKS, context(tmp_path / "fit", pretrained=tmp_path))
    fresh = method.build(train, TASKS)
    assert not torch.equal(
        fresh.encoder.encoder10.layer.conv1.conv.weight,
        learned["encoder10.layer.conv1.conv.weight"],
    )
    method.initialise(fresh, context(tmp_path / "again", pretrained=tmp_path))
    ours = fresh.encoder.state_dict()
    assert ours.keys() == learned.keys()
    assert all(torch.equal(ours[n], learned[n]) for n in learned)

    torch.save({n: t for n, t in learned.items() if "encoder10" not in n}, tmp_path / "weights.pt")
    with pytest.raises(MethodError, match=r"missing: encoder10\."):
        method.initialise(fresh, context(tmp_path / "again", pretrained=tmp_path))


@pytest.mark.parametrize("made", [NeuroBridgeConfig(), paper_config()], ids=["mini", "paper"])
def test_recipe_and_method_have_one_encoder(made: NeuroBridgeConfig) -> None:
    recipe = resolve_pretraining(made.pretrained, load_profile("mini")).config
    assert recipe.encoder == made.encoder
    assert recipe.settings == made.settings
    assert recipe.grid == made.grid
    assert not made.grid or recipe.fit == made.fit


def test_the_papers_settings_come_through_the_command_line_whole() -> None:
    words = ["method=neurobridge", "profile=mini", "scale=paper", "config.settings.feature_size=24"]
    request = compose_request(words)
    row = resolve_row(request.method, request.profile, request.config, scale=request.scale)
    wanted = asdict(paper_config())
    wanted["settings"]["feature_size"] = 24
    assert row.config == wanted
    assert all(wanted[phase]["predict_batch_size"] <= 4 for phase in ("guided", "trainer"))
