"""Loaders of released weights: every name and shape, and errors that name what differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from released_names import (
    CASES,
    Shapes,
    brainiac,
    filled,
    jepa,
    m3d,
    swin,
    uniformer,
    write,
)

from benchmark.encoders import VolumeViT, VolumeViTConfig
from benchmark.encoders.released import (
    M3DCLIP,
    READS,
    RELEASED,
    BrainIAC,
    BrainJEPA,
    BrainMVP,
    BrainSegFounder,
    build,
    names_that_read,
)
from benchmark.encoders.released.files import ReleasedEncoder
from benchmark.errors import MethodError, UnknownNameError
from benchmark.tasks import get_task
from methods.brain_adapter.info import BrainAdapterConfig
from methods.brain_adapter.network import Network


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ReleasedEncoder, Shapes, Path]:
    kind, settings, shapes, wrappers = CASES[request.param]
    file = write(tmp_path, filled(shapes), wrappers)
    return kind(**settings).eval(), shapes, file


def test_every_tensor_is_loaded(case: tuple[ReleasedEncoder, Shapes, Path]) -> None:
    encoder, shapes, file = case
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    encoder.load_pretrained(file)
    after = encoder.state_dict()
    same = [n for n, t in after.items() if n != "gradients" and torch.equal(t, before[n])]
    assert not same
    total = sum(int(np.prod(s)) for s in shapes.values())
    assert sum(t.numel() for n, t in after.items() if n != "gradients") <= total


def test_a_missing_and_an_unknown_tensor_are_named(
    case: tuple[ReleasedEncoder, Shapes, Path], tmp_path: Path
) -> None:
    encoder, shapes, _ = case
    kept = {n: s for n, s in shapes.items() if not n.startswith(("lm_head", "language"))}
    gone = next(n for n in kept if n.endswith(("qkv.weight", "query.weight", "conv2.weight")))
    bare = gone.removeprefix("module.").removeprefix("swinViT.").removeprefix("backbone.")
    bare = bare.removeprefix("encoder.uniformer.").removeprefix("vision_encoder.")
    state = filled({n: s for n, s in shapes.items() if n != gone})
    state[f"{gone}_other"] = torch.zeros(1)
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    with pytest.raises(MethodError) as error:
        encoder.load_pretrained(write(tmp_path, state, ()))
    assert f"1 missing: {bare}; 1 not known here: {bare}_other" in str(error.value)
    now = encoder.state_dict()
    assert all(torch.equal(before[n], now[n]) for n in before if n != "gradients")


def test_another_shape_is_named(case: tuple[ReleasedEncoder, Shapes, Path], tmp_path: Path) -> None:
    encoder, shapes, _ = case
    name = next(n for n in shapes if n.endswith(("qkv.weight", "query.weight", "conv2.weight")))
    state = filled(shapes)
    expected = tuple(state[name].shape)
    state[name] = torch.zeros(5, 7)
    with pytest.raises(MethodError) as error:
        encoder.load_pretrained(write(tmp_path, state, ()))
    assert "1 of another shape" in str(error.value)
    assert f"(5, 7), expected {expected}" in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(
    case: tuple[ReleasedEncoder, Shapes, Path], tmp_path: Path, value: float
) -> None:
    encoder, shapes, _ = case
    state = filled(shapes)
    names = [n for n, t in state.items() if t.is_floating_point() and t.numel() > 1]
    for name in names[2:4]:
        state[name].view(-1)[-1] = value
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    with pytest.raises(MethodError) as error:
        encoder.load_pretrained(write(tmp_path, state, ()))
    total = state[names[2]].numel()
    assert f"1 of {total} numbers of {names[2]} are NaN or infinite" in str(error.value)
    now = encoder.state_dict()
    assert all(torch.equal(before[n], now[n]) for n in before if n != "gradients")


def test_own_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    encoder = VolumeViT(VolumeViTConfig(grid=[8, 8, 8], patch=[4, 4, 4], width=12, heads=2))
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    state["transformer.norm.bias"][3:5] = torch.nan
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(MethodError, match=r"2 of 12 numbers of transformer\.norm\.bias are NaN"):
        encoder.load_pretrained(tmp_path)
    assert encoder.state_dict()["transformer.norm.bias"].isfinite().all()


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("nucleotide-transformer", {"patch": [4, 8, 8]}, "reads DNA .*not patch"),
        ("nucleotide-transformer", {}, "reads DNA and takes the settings vocabulary, settings, no"),
        ("brain-jepa", {"patch": [4, 8, 8]}, "reads time series and takes the settings regions"),
        ("m3d-clip", {"mlp_ratio": 2.0}, "reads volumes and takes the settings shape, patch"),
    ],
)
def test_settings_of_another_kind_are_named_with_the_encoders_of_volumes(
    name: str, settings: dict, told: str
) -> None:
    with pytest.raises(MethodError, match=told) as error:
        build(name, **settings)
    volumes = "of volumes: m3d-clip, brainiac, brainiac-resnet50, brainsegfounder, brainmvp; of "
    assert volumes in str(error.value)


def test_a_method_that_wants_volumes_says_so() -> None:
    config = BrainAdapterConfig(pretrained="", encoder="nucleotide-transformer")
    with pytest.raises(MethodError, match="encoder 'nucleotide-transformer' reads DNA"):
        Network(config, [get_task("dx3")], 5.0, (8, 16, 16), 0)


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    kind, settings, shapes, _ = CASES["m3d"]
    from safetensors.torch import save_file

    save_file(filled(shapes), tmp_path / "model.safetensors")
    kind(**settings).load_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MethodError, match=r"expected one of model\.safetensors, pytorch_model"):
        kind(**settings).load_pretrained(tmp_path)
    with pytest.raises(MethodError, match="a file of weights, which is not there"):
        kind(**settings).load_pretrained(tmp_path / "other.bin")


def test_what_holds_more_than_tensors_is_refused(tmp_path: Path) -> None:
    kind, settings, shapes, _ = CASES["brainiac"]
    file = tmp_path / "BrainIAC.ckpt"
    torch.save({"state_dict": filled(shapes), "hyper_parameters": Path("x")}, file)
    with pytest.raises(MethodError, match="not a file of plain tensors"):
        kind(**settings).load_pretrained(tmp_path)


def test_published_sizes() -> None:
    with torch.device("meta"):
        made: dict[str, tuple[ReleasedEncoder, Shapes]] = {
            "m3d": (M3DCLIP(), m3d(12, 768, 3072, 2048, 1024)),
            "brainiac": (BrainIAC(), brainiac(12, 768, 3072, 216, 16)),
            "jepa": (BrainJEPA(), jepa(450, 10, 16, 30, 768, 12)),
            "brainmvp": (BrainMVP(), uniformer((64, 128, 320, 512), (3, 4, 8, 3))),
        }
    made["swin"] = (BrainSegFounder(), swin(2, 48, (2, 2, 2, 2), (3, 6, 12, 24)))
    for encoder, shapes in made.values():
        meta = {n: torch.empty(s, device="meta") for n, s in shapes.items()}
        selected = encoder.select(meta)
        theirs = {n: t.shape for n, t in selected.items() if not n.startswith(encoder.left_out)}
        names = {encoder.released_name(n): t.shape for n, t in encoder.state_dict().items()}
        names.pop(None, None)
        assert names == theirs
    count = {n: sum(p.numel() for p in e.parameters()) for n, (e, _) in made.items()}
    block = 4 * 768**2 + 768 + 2 * 768 * 3072 + 3072 + 768 + 4 * 768
    towers = 12 * block + 2 * 768
    assert count["m3d"] == towers + 1025 * 768 + 2048 * 768 + 768 + 769 * 768
    assert count["brainiac"] == towers + 4097 * 768 + 216 * 768


def test_the_registry() -> None:
    assert set(RELEASED) == {
        "m3d-clip",
        "brainiac",
        "brainiac-resnet50",
        "brainsegfounder",
        "brainmvp",
        "brain-jepa",
        "nucleotide-transformer",
    }
    assert set(READS) == set(RELEASED)
    assert names_that_read("time series") == ["brain-jepa"]
    assert [n for kind in dict.fromkeys(READS.values()) for n in names_that_read(kind)] == [*READS]
    assert isinstance(build("brainmvp", widths=(4, 4, 4, 4), head=4), BrainMVP)
    with pytest.raises(UnknownNameError, match="m3d-clip"):
        build("m3dclip")
