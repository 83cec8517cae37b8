"""Maps of evidence against closed forms, and in the store's space."""

import numpy as np
import pytest
import torch
from saliency_toys import (
    AGE,
    Frozen,
    Given,
    MeanOf,
    OnVolumes,
    WithOwn,
    axes_of,
    head,
    mapper,
    people,
)
from sklearn.linear_model import LogisticRegression
from torch import nn

from benchmark.encoders import PrepareVolumes
from benchmark.errors import MethodError, UnknownNameError
from benchmark.saliency.evidence import Evidence, depends_on
from benchmark.saliency.space import LayerGrid, layer_grids, upsampled
from benchmark.training.volumes import NormaliseVolumes, head_scale, white_level

SHAPE = (4, 5, 3)
VOXELS = 60


@pytest.fixture
def volumes() -> np.ndarray:
    return np.random.default_rng(0).normal(1, 0.2, (3, *SHAPE)).astype(np.float32)


@pytest.fixture
def linear() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(VOXELS, 1))


def weights(linear: nn.Sequential) -> np.ndarray:
    return linear[1].weight.detach().numpy().reshape(SHAPE)


# Integrated gradients and occlusion ------------------------------------------------------------


def test_integrated_gradients_of_a_linear_network(volumes, linear) -> None:
    baseline = np.full(SHAPE, 0.7, dtype=np.float32)
    found = mapper(linear, baseline, steps=3).maps("integrated_gradients", people(volumes))
    assert found == pytest.approx(weights(linear) * (volumes - baseline), abs=1e-6)


def test_integrated_gradients_add_up_to_the_change_in_evidence(volumes) -> None:
    torch.manual_seed(1)
    body = nn.Sequential(nn.Flatten(), nn.Linear(VOXELS, 8), nn.Tanh(), nn.Linear(8, 1))
    baseline = np.zeros(SHAPE, dtype=np.float32)
    maker = mapper(body, baseline, steps=32, batch=2)
    found = maker.maps("integrated_gradients", people(volumes))
    with torch.no_grad():
        start = body(torch.zeros(1, 1, *SHAPE)).item()
    change = maker.evidence(people(volumes)) - start
    assert found.sum(axis=(1, 2, 3)) == pytest.approx(change, abs=1e-4)
    assert maker.completeness.shape == (3,)
    assert maker.completeness.max() < 1e-3


def test_occlusion_of_a_linear_network_voxel_by_voxel(volumes, linear) -> None:
    baseline = np.full(SHAPE, 0.7, dtype=np.float32)
    maker = mapper(linear, baseline, window_mm=5.0, stride_mm=5.0)
    found = maker.maps("occlusion", people(volumes))
    assert found == pytest.approx(weights(linear) * (volumes - baseline), abs=1e-5)


def test_occlusion_of_a_linear_network_by_cubes(volumes, linear) -> None:
    """Cubes that do not overlap hold the sum of what their voxels contribute."""
    baseline = np.zeros(SHAPE, dtype=np.float32)
    maker = mapper(linear, baseline, window_mm=10.0, stride_mm=10.0)
    found = maker.maps("occlusion", people(volumes))
    expected = (weights(linear) * volumes)[:, :2, :2, :2].sum(axis=(1, 2, 3))
    assert found[:, 0, 0, 0] == pytest.approx(expected, abs=1e-5)
    assert found[:, 1, 1, 1] == pytest.approx(expected, abs=1e-5)


def test_maps_of_a_person_do_not_depend_on_the_batch(volumes, linear) -> None:
    maker = mapper(linear, np.zeros(SHAPE), batch=2)
    for kind in ("integrated_gradients", "occlusion"):
        alone = maker.maps(kind, people(volumes[2:]))
        assert maker.maps(kind, people(volumes))[2:] == pytest.approx(alone, abs=1e-6)


# Evidence ----------------------------------------------------------------------------------------


def test_evidence_is_the_log_odds_against_the_first_class() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))

    class Fixed(nn.Module):
        def forward(self, inputs):
            return {"dx3": logits + 0 * inputs["t1w"].flatten(1)[:, :1]}

    probabilities = logits.softmax(dim=1)
    expected = ((1 - probabilities[:, 0]) / probabilities[:, 0]).log()
    found = Evidence(Fixed(), "dx3")(torch.zeros(5, 1, 2, 2, 2))
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


# GradCAM -----------------------------------------------------------------------------------------


def one_channel(weight: float) -> nn.Sequential:
    conv = nn.Conv3d(1, 1, 1, bias=False)
    nn.init.constant_(conv.weight, weight)
    return nn.Sequential(conv, MeanOf(3.0))


@pytest.mark.parametrize("weight", [2.0, -2.0])
def test_gradcam_of_one_channel_by_hand(weight: float) -> None:
    """The channel's weight is the mean of d evidence / d map = 3 / voxels; negatives are cut."""
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 4)).astype(np.float32)
    maker = mapper(one_channel(weight), np.zeros((4, 4, 4)), layer="body.0")
    found = maker.maps("gradcam", people(x))
    assert found == pytest.approx(np.maximum(3.0 / 64 * weight * x, 0), abs=1e-7)
    assert maker.layer == "body.0"


def strided() -> nn.Conv3d:
    conv = nn.Conv3d(1, 1, 3, stride=2, padding=1, bias=False)
    nn.init.zeros_(conv.weight)
    conv.weight.data[0, 0, 1, 1, 1] = 1.0
    return conv


def test_gradcam_of_a_strided_layer_lies_where_the_layer_looked() -> None:
    """Two strides of 2 see every fourth voxel from the first one on, not the centres of blocks."""
    x = np.zeros((1, 16, 20, 16), dtype=np.float32)
    x[0, 8, 12, 4] = 1.0
    maker = mapper(nn.Sequential(strided(), strided(), MeanOf()), x[0] * 0, layer="body.1")
    found = maker.maps("gradcam", people(x))[0]
    assert np.unravel_index(found.argmax(), found.shape) == (8, 12, 4)
    assert found[6, 12, 4] == pytest.approx(found[8, 12, 4] / 2)
    assert found[10, 12, 4] == pytest.approx(found[8, 12, 4] / 2)


def test_grids_of_layers_follow_kernels_strides_and_paddings() -> None:
    body = nn.Sequential(
        nn.Conv3d(1, 2, 2, stride=2), nn.MaxPool3d(3, 2, 1), nn.Conv3d(2, 2, 3, padding="same")
    )
    grids = layer_grids(body, lambda: body(torch.zeros(1, 1, 16, 16, 16)))
    assert list(grids) == ["0", "1", "2"]
    assert grids["0"] == LayerGrid((8, 8, 8), (16, 16, 16), (0.5,) * 3, (2.0,) * 3)
    assert grids["1"] == LayerGrid((4, 4, 4), (16, 16, 16), (0.5,) * 3, (4.0,) * 3)
    assert grids["2"] == grids["1"]


def test_upsampling_is_linear_between_points_and_constant_beyond() -> None:
    grid = LayerGrid((2, 1, 1), (5, 1, 1), (1.0, 0.0, 0.0), (2.0, 1.0, 1.0))
    maps = torch.tensor([0.0, 4.0]).reshape(1, 1, 2, 1, 1)
    assert upsampled(maps, grid, (5, 1, 1)).flatten().tolist() == [0.0, 0.0, 2.0, 4.0, 4.0]


def test_patches_are_the_centres_of_blocks_and_padding_is_taken_off() -> None:
    grid = LayerGrid.even((2, 1, 1), (8, 1, 1))
    assert (grid.start[0], grid.step[0]) == (1.5, 4.0)
    maps = torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1, 1)
    assert upsampled(maps, grid, (6, 1, 1)).flatten().tolist() == pytest.approx(
        [0, 0.125, 0.375, 0.625, 0.875, 1]
    )


def test_the_layer_that_the_network_names_is_taken_and_a_coarse_one_is_not() -> None:
    body = nn.Sequential(nn.Conv3d(1, 1, 1), nn.AvgPool3d(4), MeanOf())
    x = people(np.ones((1, 8, 8, 8)))
    maker = mapper(body, np.zeros((8, 8, 8)))
    maker.maps("gradcam", x)
    assert maker.layer == "body.0"
    body.gradcam_layer = "1"
    maker.maps("gradcam", x)
    assert maker.layer == "body.1"


# The store's space -------------------------------------------------------------------------------

LESION = (24, 31, 10)


def with_lesion() -> np.ndarray:
    """A large head in which 27 voxels far from the centre are bright."""
    volume = head(16.0, (40, 48, 40))
    i, j, k = LESION
    volume[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2] = 1.8
    return volume


def bright_detector(prepare: nn.Module) -> nn.Sequential:
    """What is brighter than white matter, and neither the head nor its blurred rim."""
    conv = nn.Conv3d(1, 1, 1)
    nn.init.constant_(conv.weight, 1.0)
    nn.init.constant_(conv.bias, -1.0)
    return nn.Sequential(prepare, conv, nn.ReLU(), MeanOf())


@pytest.mark.parametrize(
    ("prepare", "most"),
    [
        (NormaliseVolumes(5.0), 1.0),
        (PrepareVolumes(5.0), 1.0),
        (PrepareVolumes(5.0, grid=(32, 48, 40)), 1.0),
        (PrepareVolumes(5.0, pool=(2, 2, 2)), 2.0),
    ],
)
def test_a_lesion_shows_where_it_lies_in_the_stored_volume(prepare, most) -> None:
    volume = with_lesion()
    stored = torch.from_numpy(volume)[None, None]
    scale = head_scale(stored / white_level(stored), 5.0).item()
    assert scale == pytest.approx(1.25, abs=0.2)
    assert scale > 1.05
    body = bright_detector(prepare)
    intact = head(16.0, volume.shape)
    maker = mapper(body, intact, layer="body.2", steps=6)
    for kind in ("gradcam", "integrated_gradients"):
        found = maker.maps(kind, people(volume[None]))[0]
        size = np.abs(found)
        size[size < 0.5 * size.max()] = 0
        centre = [(size.sum(axis=o) @ np.arange(n)) / size.sum() for n, o in axes_of(size)]
        distance = np.linalg.norm(np.array(centre) - LESION)
        assert distance <= most, (kind, centre)


# Gradients ---------------------------------------------------------------------------------------


class Switched(nn.Module):
    """Twice the mean, without gradients, or cut off from them."""

    def __init__(self, cut: bool = False) -> None:
        super().__init__()
        self.cut, self.last = cut, MeanOf(2.0)

    @torch.no_grad()
    def frozen(self, x):
        return x * 1.0

    def forward(self, x):
        x = self.frozen(x)
        return self.last(x.detach() if self.cut else x)


def test_gradients_reach_the_volume_where_the_network_switches_them_off(volumes) -> None:
    maker = mapper(Switched(), np.zeros(SHAPE))
    found = maker.maps("integrated_gradients", people(volumes))
    assert found == pytest.approx(volumes * 2 / VOXELS, abs=1e-6)
    body = Switched()
    x = torch.ones(1, 1, *SHAPE, requires_grad=True)
    assert not depends_on(body(x)[:, 0], {"x": x})  # the network itself is left as it is


def test_a_network_that_cuts_gradients_off_is_refused(volumes) -> None:
    maker = mapper(Switched(cut=True), np.zeros(SHAPE))
    with pytest.raises(MethodError, match="no gradient leads from the answer of Given back"):
        maker.maps("integrated_gradients", people(volumes))
    assert maker.maps("occlusion", people(volumes)).any()


# What cannot be given ----------------------------------------------------------------------------


def test_what_a_network_cannot_give_is_refused_with_the_reason(volumes, linear) -> None:
    maker = mapper(linear, np.zeros(SHAPE))
    with pytest.raises(MethodError, match=r"'rollout': no module .* keeps attention"):
        maker.maps("rollout", people(volumes))
    with pytest.raises(MethodError, match=r"'own': Given has no explain\(\) of its own"):
        maker.maps("own", people(volumes))
    with pytest.raises(MethodError, match=r"'gradcam': no layer of the network of Given"):
        maker.maps("gradcam", people(volumes))
    with pytest.raises(UnknownNameError, match=r"'grad_cam'.*gradcam"):
        maker.maps("grad_cam", people(volumes))
    frozen = mapper(linear, np.zeros(SHAPE), kind=Frozen)
    with pytest.raises(MethodError, match="is given features, not the volumes themselves"):
        frozen.maps("integrated_gradients", people(volumes))


def test_a_layer_that_is_not_there_is_named_with_those_that_are() -> None:
    maker = mapper(one_channel(1.0), np.zeros((4, 4, 4)), layer="body.7")
    with pytest.raises(MethodError, match=r"layer 'body.7' has no map .* body.0"):
        maker.maps("gradcam", people(np.ones((1, 4, 4, 4))))


def test_a_method_without_a_network_gives_its_own_maps_only() -> None:
    maker = mapper(nn.Identity(), np.zeros(SHAPE))
    maker.method.model = LogisticRegression()
    assert "no network" in maker.refusal("occlusion", people(np.ones((1, *SHAPE))))


def test_maps_of_a_methods_own_are_its_explain(volumes, linear) -> None:
    found = mapper(linear, np.zeros(SHAPE), kind=WithOwn).maps("own", people(volumes))
    assert np.array_equal(found, volumes * 2)


def test_a_map_that_is_not_finite_is_refused(volumes, linear) -> None:
    linear[1].weight.data[0, 0] = torch.nan
    with pytest.raises(MethodError, match="all finite; 3 values are not"):
        mapper(linear, np.zeros(SHAPE)).maps("integrated_gradients", people(volumes))


def test_toys_are_what_they_say() -> None:
    assert OnVolumes(MeanOf()).task == AGE.name
    assert Given.explain is WithOwn.__mro__[1].explain
