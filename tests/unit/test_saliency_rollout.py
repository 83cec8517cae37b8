"""Attention rollout: against closed forms, in its place, and along the answer's path only."""

import numpy as np
import pytest
import torch
from saliency_toys import MeanOf, axes_of, mapper, people
from torch import nn

from benchmark.encoders.volume_vit import VolumeViT, VolumeViTConfig
from benchmark.errors import MethodError
from benchmark.saliency.rollout import rolled_out
from benchmark.saliency.space import LayerGrid


def test_rollout_of_identity_attention_is_the_identity() -> None:
    eye = torch.eye(4).expand(2, 3, 4, 4)
    assert torch.equal(rolled_out([eye, eye]), torch.eye(4).expand(2, 4, 4))


def test_rollout_of_two_blocks_by_hand() -> None:
    first = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    second = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    mixed = [(a + torch.eye(2)) / 2 for a in (first, second)]
    found = rolled_out([first[None, None], second[None, None]])
    assert torch.allclose(found[0], mixed[1] @ mixed[0])
    assert torch.allclose(found.sum(dim=2), torch.ones(1, 2))


@pytest.mark.parametrize("pooled", ["cls", "mean"])
def test_rollout_of_a_transformer_shares_one_among_the_patches(pooled: str) -> None:
    torch.manual_seed(0)
    config = VolumeViTConfig(
        width=12, depth=2, heads=2, grid=[8, 8, 8], patch=[4, 4, 4], pooled=pooled
    )

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = VolumeViT(config)
            self.last = nn.Linear(12, 1)

        def forward(self, x):
            return self.last(self.encoder(x).pooled)

    body = Pooled()
    x = people(np.random.default_rng(0).normal(size=(3, 8, 8, 8)))
    found = mapper(body, np.zeros((8, 8, 8)), batch=2).maps("rollout", x)
    assert found.shape == (3, 8, 8, 8)
    assert (found > 0).all()
    assert not body.encoder.save_attention
    body.encoder.save_attention = True
    body.encoder(torch.from_numpy(x.volumes())[:, None])
    rolled = rolled_out(body.encoder.attention_maps)
    share = rolled[:, 0, 1:] if pooled == "cls" else rolled.mean(dim=1)
    corners = share.reshape(3, 2, 2, 2).detach().numpy()
    assert found[:, ::7, ::7, ::7] == pytest.approx(corners, abs=1e-6)


class Looking(nn.Module):
    """A transformer of patches of two voxels whose tokens all look at one of them."""

    save_attention = False
    patch = (2, 2, 2)

    def __init__(self, where: tuple[int, int, int]) -> None:
        super().__init__()
        self.where, self.kept, self.last = where, [], MeanOf()

    @property
    def attention_maps(self) -> list[torch.Tensor]:
        return self.kept

    def token_grid(self, shape):
        return tuple(-(-side // step) for side, step in zip(shape, self.patch, strict=True))

    def forward(self, x):
        grid = self.token_grid(x.shape[2:])
        count, seen = int(np.prod(grid)), np.ravel_multi_index(self.where, grid)
        attention = torch.zeros(len(x), 1, count, count)
        attention[..., seen] = 1.0
        self.kept = [attention] if self.save_attention else []
        return self.last(x)


def test_rollout_of_what_enters_coarser_lies_where_the_patch_looked() -> None:
    """Means over (3, 2, 1) voxels enter: patch (2, 1, 3) covers voxels 12-17, 4-7 and 6-7."""
    shape = (24, 12, 10)
    body = nn.Sequential(nn.AvgPool3d((3, 2, 1)), Looking((2, 1, 3)))
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    found = mapper(body, np.zeros(shape)).maps("rollout", people(x))
    for one in found:
        above = one - one.min()
        top = np.argwhere(above > 0.99 * above.max())
        assert top.mean(axis=0) == pytest.approx((14.5, 5.5, 6.5))
        centre = [(above.sum(axis=o) @ np.arange(n)) / above.sum() for n, o in axes_of(above)]
        assert centre == pytest.approx((14.5, 5.5, 6.5), abs=1e-3)


def test_patches_of_a_padded_coarser_volume() -> None:
    """10 coarse voxels, padded by one on each side, in patches of 4: centres 0.5, 4.5, 8.5."""
    grid = LayerGrid.patches((3, 1, 1), (4, 1, 1), (10, 1, 1), (20, 1, 1))
    coarse = np.array([0.5, 4.5, 8.5])
    assert grid.start[0] + grid.step[0] * np.arange(3) == pytest.approx(2 * coarse + 0.5)
    plain = LayerGrid.patches((2, 1, 1), (4, 1, 1), (8, 1, 1), (8, 1, 1))
    assert plain == LayerGrid.even((2, 1, 1), (8, 1, 1))


class Beside(nn.Module):
    """Two transformers; the answer reads those that it is told to."""

    def __init__(self, *read: str) -> None:
        super().__init__()
        self.read = read
        self.first, self.second = Looking((0, 0, 0)), Looking((1, 1, 1))

    def forward(self, x):
        found = {"first": self.first(x), "second": self.second(x)}
        return sum(found[name] for name in self.read) + x.mean(dim=(2, 3, 4))


def test_rollout_follows_the_transformer_that_answers() -> None:
    x = people(np.random.default_rng(0).normal(size=(1, 4, 4, 4)))
    found = mapper(Beside("second"), np.zeros((4, 4, 4))).maps("rollout", x)[0]
    assert np.unravel_index(found.argmax(), found.shape) == (3, 3, 3)
    with pytest.raises(MethodError, match=r"does not come from the attention .*body\.first"):
        mapper(Beside(), np.zeros((4, 4, 4))).maps("rollout", x)
    with pytest.raises(MethodError, match=r"several transformers .*body\.first, body\.second"):
        mapper(Beside("first", "second"), np.zeros((4, 4, 4))).maps("rollout", x)


def test_tokens_of_other_modalities_have_no_place() -> None:
    class Odd(nn.Module):
        save_attention = False
        patch = (1, 1, 1)

        def __init__(self) -> None:
            super().__init__()
            self.last = MeanOf()

        def token_grid(self, shape):
            return tuple(shape)

        def attention_maps(self):
            return [torch.full((3, 1, 65, 65), 1 / 65)]

        def forward(self, x):
            return self.last(x)

    with pytest.raises(MethodError, match="between 65 tokens was kept, expected 60"):
        mapper(Odd(), np.zeros((4, 5, 3))).maps("rollout", people(np.ones((3, 4, 5, 3))))
