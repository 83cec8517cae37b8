"""Masked autoencoding: nothing leaks, the loss is what it says, a cut pretraining continues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_encoders_volume import GRID, SMALL, small, volumes
from training_toy import context, toy_people

from benchmark.config import CONFIGS, load_profile
from benchmark.encoders import (
    MaskedAutoencoder,
    MaskedConfig,
    PretrainingConfig,
    build_encoder,
    pretrain,
)
from benchmark.encoders.masked import image_mask, keyed_mask, masked_loss
from benchmark.encoders.pretraining import preparation
from benchmark.encoders.transformer import TransformerConfig
from benchmark.encoders.volume_vit import VolumeViT, VolumeViTConfig
from benchmark.errors import BenchmarkError, ConfigError, MethodError, UnknownNameError
from benchmark.runs.pretraining import resolve_pretraining
from benchmark.training.config import TrainerConfig

DECODER = TransformerConfig(width=16, depth=1, heads=2)


def autoencoder(name: str, **settings: object) -> MaskedAutoencoder:
    torch.manual_seed(0)
    config = MaskedConfig(decoder=DECODER, **settings)
    return MaskedAutoencoder(small(name), config, GRID).eval()


def mask(n: int = 2, seed: int = 0) -> torch.Tensor:
    return image_mask(n, (2, 3, 2), (1, 1, 1), 0.75, torch.Generator().manual_seed(seed))


def scrambled(x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Other content in hidden patches."""
    voxels = hidden.view(len(x), 1, 2, 3, 2)
    for axis in (2, 3, 4):
        voxels = voxels.repeat_interleave(8, dim=axis)
    return torch.where(voxels, 100 * torch.randn_like(x), x)


# Masks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "block", "ratio", "hidden"),
    [
        ((2, 3, 2), (1, 1, 1), 0.75, 9),
        ((4, 4, 2), (2, 2, 2), 0.5, 16),
        ((2, 1, 1), (1, 1, 1), 0.01, 1),
        ((2, 1, 1), (1, 1, 1), 0.99, 1),
    ],
)
def test_a_mask_hides_the_share_asked_for(grid, block, ratio, hidden: int) -> None:
    drawn = image_mask(5, grid, block, ratio, torch.Generator().manual_seed(1))
    assert drawn.shape == (5, grid[0] * grid[1] * grid[2])
    assert drawn.sum(dim=1).tolist() == [hidden] * 5


def test_blocks_are_hidden_whole_and_cut_at_the_far_side() -> None:
    drawn = image_mask(20, (3, 2, 2), (2, 2, 2), 0.5, torch.Generator().manual_seed(0))
    drawn = drawn.view(20, 3, 2, 2)
    assert torch.equal(drawn[:, :2].flatten(1).float().var(dim=1), torch.zeros(20))
    assert torch.equal(drawn[:, 0, 0, 0], ~drawn[:, 2, 0, 0])


def test_masks_differ_between_people_and_follow_the_global_generator() -> None:
    torch.manual_seed(3)
    one = image_mask(8, (4, 5, 4), (1, 1, 1), 0.75)
    torch.manual_seed(3)
    assert torch.equal(one, image_mask(8, (4, 5, 4), (1, 1, 1), 0.75))
    assert len(one.unique(dim=0)) == 8


def test_a_keyed_mask_is_the_persons_own() -> None:
    x = volumes(4)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    masks = keyed_mask(x, (2, 3, 2), (1, 1, 1), 0.5)
    assert torch.equal(torch.get_rng_state(), state)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(keyed_mask(x[order], (2, 3, 2), (1, 1, 1), 0.5), masks[order])
    assert len(masks.unique(dim=0)) > 1


def test_a_single_block_cannot_be_masked() -> None:
    with pytest.raises(ConfigError, match="use smaller blocks"):
        image_mask(1, (2, 2, 2), (2, 2, 2), 0.5)


# Nothing leaks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["replaced", "dropped"])
@pytest.mark.parametrize("name", sorted(SMALL))
def test_hidden_content_changes_no_output_bit_for_bit(name: str, kind: str) -> None:
    model, x, hidden = autoencoder(name, context="both", hidden=kind), volumes(2), mask()
    other = scrambled(x, hidden)
    assert not torch.equal(x, other)
    one, two = model.encode(x, hidden), model.encode(other, hidden)
    assert torch.equal(one.tokens, two.tokens)
    assert torch.equal(one.pooled, two.pooled)
    assert torch.equal(model.reconstruct(x, hidden), model.reconstruct(other, hidden))
    other[:] = torch.where(other == x, x, torch.inf)
    assert torch.equal(model.reconstruct(x, hidden), model.reconstruct(other, hidden))


@pytest.mark.parametrize("name", sorted(SMALL))
def test_visible_content_changes_the_reconstruction_of_hidden_patches(name: str) -> None:
    model, x, hidden = autoencoder(name), volumes(2), mask()
    other = scrambled(x, ~hidden)
    before, after = model.reconstruct(x, hidden), model.reconstruct(other, hidden)
    assert (before != after)[hidden].any()


@pytest.mark.parametrize("name", ["volume_vit", "dense_vit"])
def test_hidden_tokens_are_the_mask_token_before_the_first_block(name: str) -> None:
    model, x, hidden = autoencoder(name), volumes(2), mask()
    seen = []
    model.encoder.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.encode(x, hidden)
    expected = model.mask_token.expand(int(hidden.sum()), -1)
    assert torch.equal(seen[0][hidden], expected)
    assert not (seen[0][~hidden] == model.mask_token).all(dim=1).any()


@pytest.mark.parametrize("pooled", ["mean", "cls"])
def test_dropped_tokens_leave_the_others_as_if_they_were_alone(pooled: str) -> None:
    """The blocks see visible tokens alone: attention has as many rows as there are of them."""
    torch.manual_seed(0)
    config = MaskedConfig(decoder=DECODER, hidden="dropped")
    model = MaskedAutoencoder(small("volume_vit", pooled=pooled), config, GRID).eval()
    model.encoder.save_attention = True
    x, hidden = volumes(2), mask()
    encoded = model.encode(x, hidden)
    assert {m.shape[2] for m in model.encoder.attention_maps} == {3 + (pooled == "cls")}
    assert torch.equal(encoded.tokens[hidden], model.mask_token.expand(18, -1))
    if pooled == "mean":
        seen = encoded.tokens[~hidden].view(2, 3, -1)
        torch.testing.assert_close(encoded.pooled, seen.mean(dim=1))
    nothing = torch.zeros_like(hidden)
    torch.testing.assert_close(model.encode(x, nothing).tokens, model.encoder(x).tokens)


def test_dropped_tokens_need_as_many_in_every_volume() -> None:
    model, uneven = autoencoder("volume_vit", hidden="dropped"), mask()
    uneven[0] = True
    with pytest.raises(ConfigError, match="blocks that divide the grid"):
        model.encode(volumes(2), uneven)


def test_validation_masks_are_fixed_and_training_masks_are_drawn() -> None:
    model, x = autoencoder("volume_vit"), volumes(3)
    one, two = (model({"t1w": x})["hidden"] for _ in range(2))
    assert torch.equal(one, two)
    model.train()
    one, two = (model({"t1w": x})["hidden"] for _ in range(2))
    assert not torch.equal(one, two)


# The loss ----------------------------------------------------------------------------------------


def test_the_loss_has_no_gradient_from_visible_patches_and_from_background() -> None:
    target = volumes(2).reshape(2, 12, -1)
    target[:, 5] = 0
    hidden = mask()
    hidden[:, 5] = True
    prediction = torch.randn(target.shape, requires_grad=True)
    masked_loss(prediction, target, hidden, MaskedConfig()).backward()
    gradient = prediction.grad.abs().sum(dim=2)
    learned = hidden.clone()
    learned[:, 5] = False
    assert torch.equal(gradient > 0, learned)


@pytest.mark.parametrize("norm_patch", [True, False])
@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_the_loss_equals_one_written_out(norm_patch: bool, loss: str) -> None:
    g = np.random.default_rng(0)
    prediction, target = g.normal(size=(2, 3, 5, 8))
    target[0, 1, :6] = 0  # a quarter is brain
    target[1, 4] = 0
    hidden = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1], [0, 0, 0, 0, 1]], dtype=bool)
    config = MaskedConfig(loss=loss, norm_patch=norm_patch, brain_share=0.3)
    people = []
    for p, t, m in zip(prediction, target, hidden, strict=True):
        errors = []
        for patch in np.flatnonzero(m):
            if (t[patch] != 0).mean() <= 0.3:
                continue
            wanted = t[patch]
            if norm_patch:
                wanted = (wanted - wanted.mean()) / np.sqrt(wanted.var(ddof=1) + 1e-6)
            error = p[patch] - wanted
            errors.append((error**2).mean() if loss == "mse" else np.abs(error).mean())
        people.append(np.mean(errors) if errors else 0.0)
    arrays = (torch.from_numpy(a) for a in (prediction, target, hidden))
    assert float(masked_loss(*arrays, config)) == pytest.approx(np.mean(people), rel=1e-9)


def test_a_volume_without_brain_adds_nothing() -> None:
    target = torch.zeros(1, 4, 8)
    prediction = torch.randn(1, 4, 8, requires_grad=True)
    loss = masked_loss(prediction, target, torch.ones(1, 4, dtype=torch.bool), MaskedConfig())
    loss.backward()
    assert loss.detach() == 0
    assert not prediction.grad.any()


def test_a_cls_token_is_trained_only_if_the_decoder_sees_it() -> None:
    recipe = resolve_pretraining("t1w_dense_vit_paper", load_profile("mini")).config
    assert recipe.settings["pooled"] == "cls"
    trained = {}
    for sees in ("tokens", recipe.masked.context):
        torch.manual_seed(0)
        encoder = VolumeViT(VolumeViTConfig(width=16, depth=1, heads=2, pooled="cls", grid=[*GRID]))
        model = MaskedAutoencoder(encoder, MaskedConfig(decoder=DECODER, context=sees), GRID)
        encoded = model.encode(volumes(2), mask())
        encoded.pooled.retain_grad()
        model.decoder(encoded, (2, 3, 2)).square().sum().backward()
        trained[sees] = encoded.pooled.grad is not None and bool(encoded.pooled.grad.any())
    assert trained == {"tokens": False, "both": True}


def test_positions_and_vectors_do_not_decay() -> None:
    model = autoencoder("volume_vit", context="both")
    decaying, others = model.parameter_groups(model)
    assert {p.ndim for p in decaying["params"]} == {2}
    kept = {id(p) for p in others["params"]}
    names = {n for n, p in model.named_parameters() if id(p) in kept}
    assert {"mask_token", "encoder.transformer.position.weight"} <= names
    total = len(decaying["params"]) + len(others["params"])
    assert total == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"ratio": 1.0}, ConfigError, r"ratio must be in \(0, 1\)"),
        ({"brain_share": 1.0}, ConfigError, r"brain_share must be in \[0, 1\)"),
        ({"hidden": "drop"}, UnknownNameError, "'dropped'"),
        ({"loss": "l2"}, UnknownNameError, "'l1'"),
        ({"context": "token"}, UnknownNameError, "'tokens'"),
        ({"block": [0, 1, 1]}, ConfigError, "at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: dict, error: type[BenchmarkError], message: str
) -> None:
    with pytest.raises(error, match=message):
        autoencoder("volume_vit", **settings)


# Pretraining -------------------------------------------------------------------------------------

CONFIG = PretrainingConfig(
    encoder="volume_vit",
    settings={"width": 12, "heads": 2, "depth": 1, "patch": [2, 2, 2], "dropout": 0.1},
    masked=MaskedConfig(decoder=replace(DECODER, width=12)),
    trainer=TrainerConfig(epochs=6, batch_size=8, lr=3e-3, predict_batch_size=8),
)


def weights(folder: Path, config: PretrainingConfig = CONFIG, **others: object) -> dict:
    run = context(folder, **others)
    return pretrain(toy_people(24, 0), toy_people(9, 1), config, run).state_dict()


def same(one: dict, two: dict) -> bool:
    return all(torch.equal(one[n], two[n]) for n in one)


def test_pretraining_lowers_the_loss_of_others(tmp_path: Path) -> None:
    records = []
    longer = replace(CONFIG, trainer=replace(CONFIG.trainer, epochs=12))
    weights(tmp_path, longer, log=records.append)
    assert {r["stage"] for r in records} == {"pretraining"}
    assert records[-1]["validation_loss"] < 0.95 * records[0]["validation_loss"]


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = weights(tmp_path / "a")
    torch.manual_seed(2)
    assert same(one, weights(tmp_path / "b"))
    assert not same(one, weights(tmp_path / "c", seed=1))


def test_an_interrupted_pretraining_continues_to_the_same_bits(tmp_path: Path) -> None:
    def stop(record: dict) -> None:
        if record.get("epoch") == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights(tmp_path / "cut", log=stop)
    records = []
    resumed = weights(tmp_path / "cut", log=records.append)
    assert records[0] == {"stage": "pretraining", "resumed_after_epoch": 3}
    assert same(weights(tmp_path / "whole"), resumed)


def test_people_without_a_volume_and_without_company_are_no_obstacle(tmp_path: Path) -> None:
    nobody = toy_people(3, 1).subset(np.zeros(0, dtype=int))
    encoder = pretrain(toy_people(9, 0), nobody, CONFIG, context(tmp_path))
    assert not encoder.training
    with pytest.raises(MethodError, match="no training person"):
        pretrain(nobody, nobody, CONFIG, context(tmp_path))
    with pytest.raises(MethodError, match="do not hold"):
        pretrain(replace(nobody, arrays={}), nobody, CONFIG, context(tmp_path))


def test_pooling_comes_before_the_encoder(tmp_path: Path) -> None:
    pooled = replace(CONFIG, pool=[2, 1, 1], trainer=replace(CONFIG.trainer, epochs=1))
    encoder = pretrain(toy_people(9, 0), toy_people(3, 1), pooled, context(tmp_path))
    assert encoder.transformer.position.grid == (2, 4, 3)


RECIPES = sorted((CONFIGS / "pretraining").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_whole(path: Path) -> None:
    config = resolve_pretraining(path.stem, load_profile("mini")).config
    config.masked.check()
    config.trainer.check()
    shape = preparation(config, 5.0).shape((32, 40, 32))
    is_small = not path.stem.endswith(("_paper", "_swin"))
    encoder = build_encoder(config.encoder, config.settings, shape)
    device = torch.device("cpu" if is_small else "meta")  # a paper's scale: shapes alone
    pooled = encoder.to(device)(torch.zeros(1, 1, *shape, device=device)).pooled
    assert pooled.shape == (1, encoder.width)
    assert (sum(p.numel() for p in encoder.parameters()) < 600_000) == is_small


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {"t1w_conv", "t1w_dense_vit", "t1w_vit"}
