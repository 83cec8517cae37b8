"""Augmentation: geometry against numpy, batched against one by one, background kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmark.training.augment import Draws, augment, draw, mirror
from benchmark.training.batches import Batch
from benchmark.training.config import AugmentConfig
from benchmark.training.keys import generator

OFF = AugmentConfig(flip=0.0, shift_voxels=0.0)
ALL = AugmentConfig(0.5, 2.0, 0.1, 10.0, 0.1, 0.1, 0.1, 0.1)


def _volumes(n: int = 3, shape: tuple[int, ...] = (6, 8, 7)) -> torch.Tensor:
    x = torch.rand(n, 1, *shape, generator=generator("volumes"))
    return torch.where(x > 0.3, x, 0.0)


def _still(n: int = 3) -> Draws:
    return draw(n, OFF, generator("still"))


def _apply(x: torch.Tensor, draws: Draws, config: AugmentConfig) -> torch.Tensor:
    return augment(Batch({"t1w": x.clone()}), draws, config, generator("noise")).inputs["t1w"]


def test_all_terms_off_is_the_identity() -> None:
    x = _volumes()
    assert torch.equal(_apply(x, _still(), OFF), x)
    assert torch.allclose(_apply(x, _still(), replace(OFF, scale=1e-9)), x, atol=1e-6)


def test_a_flip_reverses_the_left_right_axis_of_the_chosen() -> None:
    x = _volumes()
    draws = replace(_still(), flip=torch.tensor([True, False, True]))
    got = _apply(x, draws, replace(OFF, flip=0.5)).numpy()
    expected = x.numpy().copy()
    expected[0, 0] = expected[0, 0, ::-1]
    expected[2, 0] = expected[2, 0, ::-1]
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(mirror({"t1w": x})["t1w"].numpy(), x.numpy()[:, :, ::-1])


@pytest.mark.parametrize("scale", [0.0, 1e-9], ids=["copied", "resampled"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_by_whole_voxels_is_a_roll(axis: int, scale: float) -> None:
    x = torch.zeros(1, 1, 6, 8, 7)
    x[0, 0, 2, 3, 3] = 1.0
    shift = torch.zeros(1, 3)
    shift[0, axis] = 2.0
    config = replace(OFF, shift_voxels=2.0, scale=scale)
    got = _apply(x, replace(_still(1), shift=shift), config)
    assert torch.allclose(got, torch.roll(x, -2, dims=axis + 2), atol=1e-5)


def test_what_is_shifted_out_does_not_come_back_at_the_other_side() -> None:
    shift = torch.tensor([[1.0, 0.0, 0.0]])
    x = _volumes(1)
    got = _apply(x, replace(_still(1), shift=shift), replace(OFF, shift_voxels=1.0))
    assert torch.equal(got[0, 0, :-1], x[0, 0, 1:])
    assert (got[0, 0, -1] == 0).all()


@pytest.mark.parametrize(("axis", "plane"), [(0, (1, 2)), (1, (0, 2)), (2, (0, 1))])
def test_a_quarter_turn_matches_numpy(axis: int, plane: tuple[int, int]) -> None:
    x = _volumes(1, (7, 7, 7))
    turn = torch.eye(3)[None].clone()
    first, second = plane
    turn[0, first, first] = turn[0, second, second] = 0.0
    turn[0, first, second], turn[0, second, first] = -1.0, 1.0
    got = _apply(x, replace(_still(1), affine=turn), replace(OFF, rotate_degrees=90.0))
    turned = [np.rot90(x[0, 0].numpy(), k, axes=plane) for k in (1, -1)]
    assert any(np.allclose(got[0, 0].numpy(), t, atol=1e-4) for t in turned)


def test_rotations_keep_lengths_on_a_grid_that_is_no_cube() -> None:
    draws = draw(4, AugmentConfig(rotate_degrees=20.0), generator("turn"))
    eye = torch.eye(3).expand(4, 3, 3)
    assert torch.allclose(draws.affine @ draws.affine.transpose(1, 2), eye, atol=1e-5)
    x = torch.zeros(1, 1, 16, 32, 24)
    x[0, 0, 8, 28, 12] = 1.0  # 12.5 voxels from the centre along j
    angle = torch.tensor(0.4)
    turn = torch.eye(3)[None].clone()
    turn[0, 1, 1] = turn[0, 2, 2] = angle.cos()
    turn[0, 1, 2], turn[0, 2, 1] = -angle.sin(), angle.sin()
    got = _apply(x, replace(_still(1), affine=turn), replace(OFF, rotate_degrees=30.0))
    weights = got[0, 0].numpy()
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in weights.shape), indexing="ij")
    centre = [float((a * weights).sum() / weights.sum()) for a in axes]
    assert np.hypot(centre[1], centre[2]) == pytest.approx(np.hypot(12.5, 0.5), abs=0.3)


def test_the_whole_batch_equals_one_by_one() -> None:
    x = _volumes()
    config = replace(ALL, noise=0.0)
    draws = draw(3, config, generator("draws"))
    together = _apply(x, draws, config)
    for row in range(3):
        alone = _apply(x[row : row + 1], draws.rows(row, 3), config)
        assert torch.allclose(alone, together[row : row + 1], atol=1e-5)
    assert not torch.allclose(together, x)


def test_background_stays_empty_under_intensity_terms() -> None:
    x = _volumes()
    config = replace(ALL, flip=0.0, shift_voxels=0.0, scale=0.0, rotate_degrees=0.0)
    got = _apply(x, draw(3, config, generator("draws")), config)
    assert torch.equal(got == 0, x == 0)
    assert (got != x)[x != 0].float().mean() > 0.99


def test_targets_move_with_the_volumes_and_keep_their_values() -> None:
    x = (_volumes() > 0).float()
    config = replace(ALL, intensity=0.0, contrast=0.0, bias=0.0, noise=0.0)
    batch = Batch({"t1w": x.clone()}, targets={"mask": x.clone()})
    got = augment(batch, draw(3, config, generator("draws")), config, generator("noise"))
    assert set(got.targets["mask"].unique().tolist()) <= {0.0, 1.0}
    agree = (got.targets["mask"] == (got.inputs["t1w"] > 0.5)).float().mean()
    assert agree > 0.9


def test_the_same_key_gives_the_same_draws() -> None:
    one, same, other = (draw(4, ALL, generator("a", 0, s)) for s in (1, 1, 2))
    assert torch.equal(one.shift, same.shift)
    assert not torch.equal(one.shift, other.shift)
