"""GradCAM of encoders: against one written out, and in its place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.encoders import VolumeEncoder, build_encoder, gradcam_maps, over_volumes
from benchmark.saliency.space import layer_grids, upsampled

SHAPE = (32, 40, 32)
CASES = {
    "conv": {"widths": [2, 4, 6], "blocks": [0, 1, 1], "stride": 2, "norm": "batch"},
    "conv, full resolution": {"widths": [2, 4, 4, 6], "blocks": [0, 1, 1, 1]},
    "dense_vit": {"stem": 2, "stem_pool": True, "blocks": [1], "growth": 2, "width": 12},
    "dense_vit, two blocks": {"stem": 2, "blocks": [1, 1], "growth": 2, "width": 12},
    "dense_vit, paper's stem": {"stem": 2, "stem_pool": True, "blocks": [1, 1], "width": 12},
    "swin": {"feature_size": 12},
}


def encoder(case: str, shape: tuple[int, ...] = SHAPE) -> VolumeEncoder:
    torch.manual_seed(0)
    return build_encoder(case.split(",", maxsplit=1)[0], CASES[case], shape).eval()


class Answers(nn.Module):
    """Two tasks that read the tokens of an encoder in different ways."""

    def __init__(self, inner: VolumeEncoder) -> None:
        super().__init__()
        self.encoder = inner
        self.classes = nn.Linear(inner.width, 3)
        self.value = nn.Linear(inner.width, 1)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        pooled = self.encoder(inputs["t1w"]).pooled
        value = self.value(pooled)
        return {"classes": self.classes(pooled), "value": value, "opposite": -value}


@pytest.mark.parametrize("case", [case for case in CASES if case != "swin"])
def test_points_lie_where_kernels_strides_and_paddings_put_them(case: str) -> None:
    made, x = encoder(case), torch.rand(1, 1, *SHAPE)
    grid = layer_grids(made, lambda: made(x))[made.gradcam_layer]
    assert grid.start == made.map_start
    assert grid.step == made.patch
    maps = torch.rand(2, *grid.shape)
    expected = upsampled(maps[:, None], grid, SHAPE)
    torch.testing.assert_close(over_volumes(maps, made, SHAPE), expected)


def test_points_of_swin_lie_in_the_middle_of_the_voxels_that_move_them() -> None:
    """Without attention and with kernels of one voxel, what a position sees has two ends."""
    pytest.importorskip("einops")
    shape = (64, 32, 96)
    made = encoder("swin", shape)
    for name, module in made.named_modules():
        if name.endswith("attn.proj"):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    for module in made.encoder10.modules():
        if isinstance(module, nn.Conv3d) and module.kernel_size == (3, 3, 3):
            middle = module.weight.detach()[..., 1:2, 1:2, 1:2].clone()
            nn.init.zeros_(module.weight)
            module.weight.data[..., 1:2, 1:2, 1:2] = middle
    made.encoder10.layer.norm1 = made.encoder10.layer.norm2 = nn.Identity()
    x = torch.rand(1, 1, *shape, requires_grad=True)
    h = made.encode_maps(x).h
    assert h.shape[2:] == (2, 1, 3)
    for number in ((0, 0, 0), (1, 0, 2)):
        (slope,) = torch.autograd.grad(h[(0, slice(None), *number)].square().sum(), x, [None], True)
        seen = slope[0, 0].nonzero().float()
        middle = (seen.amin(dim=0) + seen.amax(dim=0)) / 2
        points = zip(made.map_start, made.patch, number, strict=True)
        assert middle.tolist() == [start + step * n for start, step, n in points]


@pytest.mark.parametrize("case", ["conv", "dense_vit"])
@pytest.mark.parametrize("shape", [SHAPE, (28, 36, 27)])
def test_a_single_bright_voxel_is_found_in_its_place(case: str, shape: tuple[int, ...]) -> None:
    """Kernels pass on their middle alone, so that the map is bright where the voxel is seen."""
    made = encoder(case, shape)
    for module in made.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.zeros_(module.weight)
            middle = tuple(side // 2 for side in module.kernel_size)
            module.weight.data[(slice(None), slice(None), *middle)] = 1 / module.in_channels
    seen: list[Tensor] = []
    made.get_submodule(made.gradcam_layer).register_forward_hook(lambda _, __, y: seen.append(y))
    added = [(-side % step) // 2 for side, step in zip(shape, made.patch, strict=True)]
    place = [
        int(start) + step * n - before
        for start, step, n, before in zip(made.map_start, made.patch, (1, 2, 1), added, strict=True)
    ]
    x = torch.zeros(2, 1, *shape)
    x[(1, 0, *place)] = 1.0
    with torch.no_grad():
        made(x)
        bright = (seen[0][1] - seen[0][0]).abs().sum(dim=0)[None]
        found = over_volumes(bright, made, shape)[0, 0]
    assert found.shape == shape
    peaks = (found >= found.max() * (1 - 1e-6)).nonzero().float().mean(dim=0)
    assert peaks.tolist() == place


@pytest.mark.parametrize("case", ["conv", "dense_vit", "swin"])
@pytest.mark.parametrize("enabled", [True, False])
def test_autograd_keeps_nothing_of_what_comes_before_the_map(case: str, enabled: bool) -> None:
    if case == "swin":
        pytest.importorskip("einops")
    network, x = Answers(encoder(case)).eval(), torch.rand(1, 1, *SHAPE)
    kept, before = [0], []

    def keep(tensor: Tensor) -> Tensor:
        kept[0] += tensor.numel()
        return tensor

    layer = network.encoder.get_submodule(network.encoder.gradcam_layer)
    handle = layer.register_forward_hook(lambda *_: before.append(kept[0]))
    tasks = ["classes", "value"]
    with (
        torch.set_grad_enabled(enabled),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t),
    ):
        gradcam_maps(network, network.encoder, {"t1w": x}, tasks)
        assert torch.is_grad_enabled() == enabled
    handle.remove()
    assert before == [0]
    assert kept[0] > 0


@pytest.mark.parametrize("case", ["conv", "dense_vit"])
def test_maps_equal_those_written_out_and_leave_nothing_behind(case: str) -> None:
    network, x = Answers(encoder(case)).eval(), torch.rand(3, 1, *SHAPE)
    with torch.no_grad():  # as expose() calls it
        found = gradcam_maps(network, network.encoder, {"t1w": x}, ["classes", "value", "opposite"])
    assert all(p.grad is None for p in network.parameters())
    assert not network.encoder.get_submodule(network.encoder.gradcam_layer)._forward_hooks

    layer: list[Tensor] = []
    handle = network.encoder.get_submodule(network.encoder.gradcam_layer).register_forward_hook(
        lambda _, __, y: (y.retain_grad(), layer.append(y))[0]
    )
    probabilities = network({"t1w": x})["classes"].softmax(dim=1)
    odds = ((1 - probabilities[:, 0]) / probabilities[:, 0]).log().sum()
    handle.remove()
    odds.backward()
    weights = layer[0].grad.mean(dim=(2, 3, 4))
    expected = torch.einsum("bc,bcijk->bijk", weights, layer[0].detach()).relu()
    torch.testing.assert_close(found["classes"], expected, rtol=1e-3, atol=1e-6)
    for name in ("value", "opposite"):
        assert found[name].shape == expected.shape
        assert (found[name] >= 0).all()
    assert (found["value"] + found["opposite"]).all()
    assert not (found["value"] * found["opposite"]).any()
