"""Encoders of volumes: shapes on several grids, positions, attention, decoders, strict loading."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from benchmark.encoders import (
    PrepareVolumes,
    ReconstructionDecoder,
    SegmentationDecoder,
    SwinEncoder,
    SwinEncoderConfig,
    VolumeEncoder,
    build_encoder,
)
from benchmark.encoders.transformer import PositionEmbedding, sine_positions
from benchmark.encoders.volume import cropped, from_patches, pad_to_multiple, to_patches
from benchmark.errors import ConfigError, MethodError, UnknownNameError
from benchmark.training.volumes import head_scale, white_level

GRID = (16, 24, 16)
SMALL = {
    "volume_vit": {"width": 24, "patch": [8, 8, 8]},
    "dense_vit": {"width": 24, "stem": 4, "blocks": [1, 1], "growth": 4, "bottleneck": 2},
    "conv": {"widths": [2, 4, 8, 12], "blocks": [1, 1, 1, 1]},
}


def small(name: str, seed: int = 0, **others: object) -> VolumeEncoder:
    torch.manual_seed(seed)
    return build_encoder(name, {**SMALL[name], **others}, GRID).eval()


def volumes(n: int, shape: tuple[int, ...] = GRID, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 1, *shape, generator=torch.Generator().manual_seed(seed))


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# Shapes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SMALL))
@pytest.mark.parametrize(
    ("shape", "grid"), [(GRID, (2, 3, 2)), ((24, 16, 16), (3, 2, 2)), ((17, 20, 9), (3, 3, 2))]
)
def test_one_token_per_patch_on_any_grid(name: str, shape: tuple, grid: tuple) -> None:
    encoder = small(name)
    assert encoder.token_grid(shape) == grid
    encoded = encoder(volumes(2, shape))
    tokens = grid[0] * grid[1] * grid[2]
    assert encoded.tokens.shape == (2, tokens, encoder.width)
    assert encoded.pooled.shape == (2, encoder.width)
    assert encoded.mask is None
    assert encoded.tokens.isfinite().all()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_person_is_encoded_whoever_shares_the_batch(name: str) -> None:
    encoder, x = small(name), volumes(3)
    together, alone = encoder(x).tokens[1:2], encoder(x[1:2]).tokens
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["volume_vit", "dense_vit"])
def test_tokens_lie_in_the_order_of_the_grid(name: str) -> None:
    """A change in the volume's first and last patch moves the first and last token most."""
    encoder, x = small(name, depth=0), volumes(1)
    changed = x.clone()
    changed[..., :8, :8, :8] += 3
    moved = (encoder(x).tokens - encoder(changed).tokens).abs().sum(dim=2)[0]
    assert moved.argmax() == 0
    changed = x.clone()
    changed[..., 8:, 16:, 8:] += 3
    moved = (encoder(x).tokens - encoder(changed).tokens).abs().sum(dim=2)[0]
    assert moved.argmax() == len(moved) - 1


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    one, two, other = (small(name, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert not all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_parameter_gets_a_gradient(name: str) -> None:
    encoder = small(name)
    encoded = encoder(volumes(2))
    (encoded.tokens.square().sum() + encoded.pooled.square().sum()).backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []


def test_pooled_is_the_mean_of_patch_tokens_or_the_cls_token() -> None:
    mean = small("volume_vit")(volumes(2))
    torch.testing.assert_close(mean.pooled, mean.tokens.mean(dim=1))
    cls = small("volume_vit", pooled="cls")(volumes(2))
    assert cls.tokens.shape == mean.tokens.shape
    assert not torch.allclose(cls.pooled, cls.tokens.mean(dim=1))


# Padding and patches -----------------------------------------------------------------------------


def test_padding_is_symmetric_with_the_odd_slab_at_the_end() -> None:
    x = torch.ones(1, 1, 3, 4, 2)
    padded = pad_to_multiple(x, (4, 4, 5))
    assert padded.shape[2:] == (4, 4, 5)
    assert padded[0, 0, :, 0, 1].tolist() == [1, 1, 1, 0]
    assert padded[0, 0, 0, 0].tolist() == [0, 1, 1, 0, 0]
    assert torch.equal(cropped(padded, (3, 4, 2)), x)
    assert pad_to_multiple(x, (3, 2, 1)) is x


def test_patches_hold_neighbours_and_join_to_the_volume_again() -> None:
    x = torch.arange(4 * 2 * 6.0).reshape(1, 1, 4, 2, 6)
    cut = to_patches(x, (2, 1, 3))
    assert cut.shape == (1, 2 * 2 * 2, 6)
    assert torch.equal(cut[0, 1], x[0, 0, :2, :1, 3:].flatten())
    assert torch.equal(cut[0, 2], x[0, 0, :2, 1:, :3].flatten())
    assert torch.equal(from_patches(cut, (2, 1, 3), (2, 2, 2)), x)


def test_a_padded_volume_is_the_volume_with_background_around_it() -> None:
    encoder, x = small("volume_vit"), volumes(1, (14, 22, 16))
    wider = nn.functional.pad(x, (0, 0, 1, 1, 1, 1))
    assert torch.equal(encoder(x).tokens, encoder(wider).tokens)


def test_preparing_normalises_and_averages() -> None:
    prepare = PrepareVolumes(5.0, (2, 1, 1))
    x = torch.rand(2, 1, 8, 6, 6) + 0.5
    out = prepare(x)
    whole = prepare.normalise(x)
    assert prepare.shape((8, 6, 6)) == tuple(out.shape[2:]) == (4, 6, 6)
    torch.testing.assert_close(out, (whole[:, :, ::2] + whole[:, :, 1::2]) / 2)
    assert torch.equal(PrepareVolumes(5.0)(x), whole)
    with pytest.raises(ConfigError, match=r"pool \[2, 1, 1\] does not divide"):
        prepare.shape((7, 6, 6))


@pytest.mark.parametrize("fit", ["pad", "resample"])
def test_volumes_come_to_another_grid(fit: str) -> None:
    prepare = PrepareVolumes(5.0, grid=(12, 6, 7), fit=fit)
    x = torch.rand(2, 1, 8, 9, 6) + 0.5
    out, whole = prepare(x), prepare.normalise(x)
    assert prepare.shape((8, 9, 6)) == tuple(out.shape[2:]) == (12, 6, 7)
    if fit == "pad":
        assert torch.equal(out[:, :, 2:10, :, :6], whole[:, :, :, 1:7])
        assert not out[:, :, :2].any()
        assert not out[:, :, 10:].any()
        assert not out[..., 6:].any()
    else:
        even = interpolate(whole, size=(12, 6, 7), mode="trilinear", align_corners=False)
        assert torch.equal(out, even)
    with pytest.raises(UnknownNameError, match="'resample'"):
        PrepareVolumes(5.0, grid=(8, 8, 8), fit="resampled")


@pytest.mark.parametrize(
    ("settings", "blur"),
    [
        ({}, 0.1),
        ({"pool": (2, 2, 2)}, 0.4),
        ({"grid": (40, 36, 32)}, 0.1),
        ({"grid": (48, 60, 48), "fit": "resample"}, 0.2),
    ],
)
def test_maps_over_prepared_volumes_return_to_their_place(settings: dict, blur: float) -> None:
    i, j, k = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in (32, 40, 32)), indexing="ij")
    smooth = 0.9 + 0.1 * torch.sin(9 * i + 3) * torch.cos(9 * k)
    head = torch.zeros(2, 1, 32, 40, 32)
    head[0, 0] = torch.where(i**2 + j**2 + k**2 < 0.95, smooth, 0.0)
    head[1, 0] = torch.where(i**2 + j**2 + k**2 < 0.4, smooth, 0.0)
    prepare = PrepareVolumes(5.0, **settings)
    back = prepare.restored(prepare(head), head)
    assert back.shape == head.shape
    expected = (head / white_level(head)[:, None, None, None, None] - 0.6) / 0.5
    inside = (i**2 + j**2 + k**2 < 0.3).expand_as(head)
    assert (back - expected)[inside].abs().mean() < blur * expected[inside].std()
    moved = prepare.normalise(head)
    assert (moved - expected)[inside].abs().mean() > 0.2 * expected[inside].std()


def test_masks_move_as_the_volumes_that_they_belong_to() -> None:
    axes = (torch.linspace(-1, 1, n) for n in (32, 40, 32))
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    head = torch.zeros(2, 1, 32, 40, 32)
    head[0, 0], head[1, 0] = (i**2 + j**2 + k**2 < 0.9).float(), (i**2 + j**2 + k**2 < 0.4).float()
    ball = ((i - 0.1) ** 2 + j**2 + k**2 < 0.1).float().expand_as(head).clone()
    marked = head + ball  # a bright ball, whose mask must stay on it
    prepare = PrepareVolumes(5.0)
    level = white_level(marked)[:, None, None, None, None]
    found = (prepare(marked) > (1.5 / level - 0.6) / 0.5).float()
    carried = prepare.carried(ball, marked)
    assert 0 <= carried.min() <= carried.max() <= 1
    scale = head_scale(marked / level, 5.0)
    assert scale[0] > 1 > scale[1]
    shares = carried.sum(dim=(1, 2, 3, 4)) / ball.sum(dim=(1, 2, 3, 4))
    torch.testing.assert_close(shares, scale**-3, rtol=0.05, atol=0)
    for one, other in zip(found, (carried > 0.5).float(), strict=True):
        both = (one * other).sum()
        assert 2 * both / (one.sum() + other.sum()) > 0.85
    assert torch.equal(PrepareVolumes(0.0).carried(ball, marked), ball)


# Positions and attention -------------------------------------------------------------------------


def test_positions_are_not_interpolated_on_their_own_grid() -> None:
    position = PositionEmbedding((2, 3, 4), 12)
    assert position((2, 3, 4)) is position.weight
    finer = position((4, 6, 8))
    assert finer.shape == (4 * 6 * 8, 12)


def test_interpolated_positions_keep_a_linear_course() -> None:
    position = PositionEmbedding((4, 1, 1), 1)
    position.weight.data = torch.arange(4.0)[:, None]
    assert position((8, 1, 1))[1:-1, 0].tolist() == [0.25, 0.75, 1.25, 1.75, 2.25, 2.75]


def test_sine_positions_tell_every_place_apart() -> None:
    table = sine_positions((4, 5, 4), 32)
    assert table.shape == (80, 32)
    assert torch.equal(table[:, 30:], torch.zeros(80, 2))
    assert torch.pdist(table).min() > 0.1
    assert table[0, :5].tolist() == [0.0] * 5
    assert sine_positions((2, 1, 1), 6)[1, :2].tolist() == pytest.approx([0.841471, 0.540302])


@pytest.mark.parametrize("name", ["volume_vit", "dense_vit"])
@pytest.mark.parametrize(("pooled", "more"), [("mean", 0), ("cls", 1)])
def test_attention_is_kept_on_request(name: str, pooled: str, more: int) -> None:
    encoder, x = small(name, pooled=pooled), volumes(2)
    without = encoder(x)
    assert encoder.attention_maps == []
    encoder.save_attention = True
    kept = encoder(x)
    maps = encoder.attention_maps
    assert [m.shape for m in maps] == [(2, 4, 12 + more, 12 + more)] * 2
    torch.testing.assert_close(maps[0].sum(dim=-1), torch.ones(2, 4, 12 + more))
    torch.testing.assert_close(kept.tokens, without.tokens, rtol=1e-4, atol=1e-5)
    assert not maps[0].requires_grad
    encoder.save_attention = False
    assert encoder.attention_maps == []


def test_dropout_is_off_in_evaluation() -> None:
    encoder, x = small("volume_vit", dropout=0.5), volumes(1)
    assert torch.equal(encoder(x).tokens, encoder(x).tokens)
    encoder.train()
    assert not torch.equal(encoder(x).tokens, encoder(x).tokens)


@pytest.mark.parametrize(("name", "channels"), [("dense_vit", 24), ("conv", 12)])
def test_the_module_for_gradcam_gives_the_last_map(name: str, channels: int) -> None:
    encoder, shapes = small(name), []
    module = dict(encoder.named_modules())[encoder.gradcam_layer]
    module.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    encoder(volumes(2))
    assert shapes == [(2, channels, 2, 3, 2)]


# Maps and decoders -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [GRID, (15, 20, 12)])
def test_decoders_return_to_the_volumes_grid(shape: tuple) -> None:
    encoder, x = small("conv"), volumes(2, shape)
    h, skips = encoder.encode_maps(x)
    assert h.shape == (2, 12, *encoder.token_grid(shape))
    assert [s.shape[1] for s in skips] == [2, 4, 8]
    assert SegmentationDecoder(encoder.widths)(h, skips, shape).shape == (2, 2, *shape)
    assert ReconstructionDecoder(encoder.widths)(h, shape).shape == (2, 1, *shape)


def test_tokens_are_the_coarsest_map() -> None:
    encoder, x = small("conv"), volumes(1)
    h = encoder.encode_maps(x).h
    encoded = encoder(x)
    assert torch.equal(encoded.tokens[0, 3], h[0, :, 0, 1, 1])
    torch.testing.assert_close(encoded.pooled, h.mean(dim=(2, 3, 4)))


def test_segmentation_uses_skips_and_reconstruction_the_coarsest_map_alone() -> None:
    encoder = small("conv")
    h, skips = encoder.encode_maps(volumes(1))
    others = [torch.zeros_like(s) for s in skips]
    segment, rebuild = SegmentationDecoder(encoder.widths), ReconstructionDecoder(encoder.widths)
    assert not torch.equal(segment(h, skips), segment(h, others))
    assert list(inspect.signature(rebuild.forward).parameters) == ["h", "shape"]
    coarsest = h.detach().requires_grad_()
    rebuild(coarsest).square().sum().backward()
    assert coarsest.grad.any()
    assert [n for n, p in rebuild.named_parameters() if p.grad is None] == []


@pytest.mark.slow
def test_the_swin_encoder_gives_maps_for_the_same_decoders() -> None:
    encoder = SwinEncoder(SwinEncoderConfig(feature_size=12)).eval()
    shape = (32, 40, 32)
    with torch.no_grad():
        h, skips = encoder.encode_maps(volumes(1, shape))
        assert h.shape == (1, 192, 1, 2, 1)
        assert [s.shape[1] for s in skips] == list(encoder.widths[:-1])
        logits = SegmentationDecoder(encoder.widths)(h, skips, shape)
        assert logits.shape == (1, 2, *shape)
        assert encoder(volumes(1, shape)).tokens.shape == (1, 2, 192)


# Loading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SMALL))
def test_weights_come_back(name: str, tmp_path: Path) -> None:
    one, two = small(name), small(name, seed=1)
    torch.save(one.state_dict(), tmp_path / "weights.pt")
    two.load_pretrained(tmp_path)
    x = volumes(1)
    assert torch.equal(one(x).tokens, two(x).tokens)


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    state = small("volume_vit").state_dict()
    state["head.weight"] = state.pop("patch_embedding.weight")
    state["transformer.norm.weight"] = torch.zeros(7)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(MethodError) as caught:
        small("volume_vit").load_pretrained(tmp_path)
    for part in ("patch_embedding.weight", "head.weight", "transformer.norm.weight (7,)"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("volume-vit", {}, UnknownNameError, "'volume_vit'"),
        ("volume_vit", {"grid": [8, 8, 8]}, ConfigError, "the grid is that of the volumes"),
        ("volume_vit", {"widht": 8}, ConfigError, "Did you mean 'width'"),
        ("volume_vit", {"width": 10, "heads": 4}, ConfigError, "4 heads do not divide width 10"),
        ("volume_vit", {"dropout": 1.0}, ConfigError, r"dropout in \[0, 1\)"),
        ("volume_vit", {"patch": [8, 8]}, ConfigError, "expected three numbers"),
        ("volume_vit", {"pooled": "max"}, UnknownNameError, "'mean'"),
        ("dense_vit", {"norm": "batches"}, UnknownNameError, "'batch'"),
        ("conv", {"widths": [4]}, ConfigError, "at least two widths"),
        ("conv", {"blocks": [1, 1]}, ConfigError, "as many blocks"),
        ("swin", {"feature_size": 10}, ConfigError, "multiple of 12"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    name: str, settings: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        build_encoder(name, settings, (16, 16, 16))
