"""DAFT: scale and shift by hand, what the table reaches, what a missing table changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from training_toy import context, toy_people

from benchmark.api import MethodError, NormaliseVolumes, Samples
from benchmark.config import load_profile
from benchmark.runs.rows import resolve_row
from benchmark.samples.hide import hide
from benchmark.tasks import get_task
from methods.daft.info import INFO, DaftConfig
from methods.daft.model import Daft
from methods.daft.network import CONDITIONINGS, LOCATIONS, Affine, Network
from methods.daft.table import StandardiseTable, read_table

SHAPE = (16, 16, 16)
DX3 = [get_task("dx3")]


def people(n: int, seed: int) -> Samples:
    """Toy people with a clinical table; every third lacks all of ``clinical``."""
    made, g = toy_people(n, seed, SHAPE), np.random.default_rng(seed + 100)
    has = np.arange(n) % 3 != 0
    faq = np.where(has, g.integers(0, 20, n), np.nan)
    sex = pd.Series(np.array(["F", "M"])[g.integers(0, 2, n)], dtype="str")
    return replace(
        made,
        tables={
            "demographics": pd.DataFrame({"age_years": g.normal(70, 8, n), "sex": sex}),
            "clinical": pd.DataFrame({"faq_total": faq}),
        },
        available={"t1w": np.ones(n, dtype=bool), "clinical": has},
        _labels={"dx3": made.labels("dx3")},
    )


def small(conditioning: str = "daft", **others: object) -> DaftConfig:
    config = DaftConfig(conditioning=conditioning, width=4, squeeze=2.0, **others)
    config.trainer = replace(config.trainer, epochs=2, batch_size=8)
    return config


def network(conditioning: str = "daft", **others: object) -> Network:
    torch.manual_seed(0)
    table = None if conditioning == "none" else read_table(people(24, 0))
    return Network(small(conditioning, **others), DX3, 5.0, table)


def inputs(n: int = 6, seed: int = 1) -> dict[str, torch.Tensor]:
    them = people(n, seed)
    volumes = torch.from_numpy(them.volumes())[:, None]
    return {"t1w": volumes, "table": torch.from_numpy(read_table(them))}


def another_table(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return x | {"table": x["table"].roll(1, dims=0)}


@pytest.fixture(scope="module", params=CONDITIONINGS)
def method(request, tmp_path_factory) -> Daft:
    made = Daft(small(request.param))
    made.fit(people(24, 0), people(9, 1), DX3, context(tmp_path_factory.mktemp(request.param)))
    return made


def answers(method: Daft, samples: Samples) -> np.ndarray:
    return method.predict(samples.without_labels(), DX3)["dx3"].probabilities


# The affine transform ----------------------------------------------------------------------------


def test_scale_and_shift_by_hand() -> None:
    affine = Affine(channels=2, table=1, hidden=2, config=DaftConfig())
    affine.squeeze.weight.data = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 0.0]])
    affine.expand.weight.data = torch.tensor([[1.0, 0.0], [0.5, 1.0], [2.0, 0.0], [-1.0, 3.0]])
    maps = torch.tensor([[1.0, 3.0], [4.0, 6.0]]).reshape(1, 2, 2, 1, 1)  # means 2 and 5
    scale, shift = affine(maps, torch.tensor([[0.5]]))
    # The bottleneck: relu(2 + 2 * 0.5, -5) = (3, 0).
    torch.testing.assert_close(scale, torch.tensor([[3.0, 1.5]]))
    torch.testing.assert_close(shift, torch.tensor([[6.0, -3.0]]))


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_the_activation_is_of_the_scale_alone(kind: str) -> None:
    plain, bent = (Affine(4, 3, 2, DaftConfig(activation=a)) for a in ("linear", kind))
    bent.load_state_dict(plain.state_dict())
    maps, table = torch.rand(5, 4, 2, 2, 2), torch.rand(5, 3)
    (scale, shift), (bent_scale, bent_shift) = plain(maps, table), bent(maps, table)
    torch.testing.assert_close(bent_scale, getattr(torch, kind)(scale))
    torch.testing.assert_close(bent_shift, shift)


@pytest.mark.parametrize(("conditioning", "added"), [("daft", 252), ("film", 188)])
def test_as_many_parameters_as_published(conditioning: str, added: int) -> None:
    """Of the paper's network: width 4, so 16 channels, 15 columns, a bottleneck of 31 / 7."""
    affine = Affine(16, 15, int((16 + 15) / 7), DaftConfig(conditioning=conditioning))
    assert sum(p.numel() for p in affine.parameters()) == added


@pytest.mark.parametrize("location", LOCATIONS)
def test_maps_are_scaled_and_shifted_where_it_says(location: str) -> None:
    """Against the block written out, with scale 0 and shift 0.5 for everybody."""
    made, x = network(location=location).eval(), inputs()
    channels = made.affine.expand.out_features // 2

    class Constant(nn.Module):
        def forward(self, maps: torch.Tensor, table: torch.Tensor):
            assert maps.shape[1] == channels
            assert table.shape[1] == 6
            zero = torch.zeros(len(maps), channels)
            return zero, zero + 0.5

    made.affine = Constant()
    body, block = made.body, made.body.layer4[0]
    stem = body.maxpool(body.act(body.bn1(body.conv1(NormaliseVolumes(5.0)(x["t1w"])))))
    seen = body.layer3(body.layer2(body.layer1(stem)))
    half, path = torch.full_like(seen, 0.5), block.bn1(block.conv1(seen))
    if location in ("block", "conv1"):
        path = block.bn1(block.conv1(half))
    path = torch.full_like(path, 0.5) if location in ("relu1", "conv2") else path.relu()
    shortcut = block.downsample(half if location in ("block", "shortcut") else seen)
    expected = (block.bn2(block.conv2(path)) + shortcut).relu().mean(dim=(2, 3, 4))
    torch.testing.assert_close(made.features(x), expected)


# What the table reaches --------------------------------------------------------------------------


@pytest.mark.parametrize("conditioning", ["daft", "film", "concat"])
def test_the_table_changes_the_answer(conditioning: str) -> None:
    made, x = network(conditioning).eval(), inputs()
    one, two = made(x)["dx3"], made(another_table(x))["dx3"]
    assert not torch.equal(one, two)
    torch.testing.assert_close(
        one.roll(1, dims=0), made({n: v.roll(1, 0) for n, v in x.items()})["dx3"]
    )


def test_scale_and_shift_follow_the_table_and_in_daft_the_image() -> None:
    for conditioning in ("daft", "film"):
        affine, table = network(conditioning).affine, torch.rand(5, 6)
        maps = torch.rand(5, 16, 2, 2, 2)
        for one, two in zip(affine(maps, table), affine(maps, table.roll(1, 0)), strict=True):
            assert not torch.equal(one, two)
        for one, two in zip(affine(maps, table), affine(2 * maps, table), strict=True):
            assert torch.equal(one, two) == (conditioning == "film")


def test_the_image_alone_is_the_plain_network_whatever_the_table_holds(tmp_path) -> None:
    made, x = network("none").eval(), inputs()
    assert torch.equal(made(x)["dx3"], made(another_table(x))["dx3"])
    plain = made.heads["dx3"](made.body(made.normalise(x["t1w"])))
    torch.testing.assert_close(made(x)["dx3"], plain)
    folds = [people(24, 0), people(9, 1)]
    fitted = []
    for name, parts in (("with", folds), ("without", [replace(p, tables={}) for p in folds])):
        method = Daft(small("none"))
        method.fit(*parts, DX3, context(tmp_path / name))
        fitted.append(answers(method, people(7, 2)))
    np.testing.assert_array_equal(*fitted)


@pytest.mark.parametrize("conditioning", ["daft", "film"])
def test_from_an_identity_start_the_network_is_the_image_alone(conditioning: str) -> None:
    x, plain = inputs(), network("none").eval()
    made = network(conditioning, identity_start=True).eval()
    assert torch.equal(made(x)["dx3"], plain(x)["dx3"])
    scale, shift = made.affine(torch.rand(3, 16, 2, 2, 2), torch.rand(3, 6))
    assert (scale == 1).all()
    assert (shift == 0).all()


def test_networks_differ_in_the_affine_transform_alone() -> None:
    plain = network("none").state_dict()
    for conditioning in ("daft", "film"):
        state = network(conditioning).state_dict()
        assert {n for n in state if n not in plain} == {
            *("table.mean", "table.sd", "table.fill", "table.varied"),
            *("affine.squeeze.weight", "affine.expand.weight"),
        }
        assert all(torch.equal(state[name], value) for name, value in plain.items())
    beside = network("concat").state_dict()
    assert beside["heads.dx3.weight"].shape[1] == plain["heads.dx3.weight"].shape[1] + 6


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("location", LOCATIONS)
def test_gradients_reach_every_parameter(conditioning: str, location: str) -> None:
    made, x = network(conditioning, location=location).train(), inputs(12)
    cross_entropy(made(x)["dx3"], torch.arange(12) % 3).backward()
    unmoved = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unmoved


# The table ---------------------------------------------------------------------------------------


def test_a_table_is_standardised_by_the_training_people() -> None:
    train = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0], [np.nan, 5.0, 4.0]], dtype=np.float32)
    scaler = StandardiseTable(train, DaftConfig())
    seen = scaler(torch.tensor([[4.0, 6.0, np.nan], [np.nan, np.nan, 4.0]]))
    # Means 2, 5, 3; deviations 1, 0 (left alone), 1; the second is never missing in training.
    expected = torch.tensor([[2.0, 1.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(seen, expected)


def test_what_is_missing_may_become_the_median() -> None:
    train = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, np.nan], [9.0, np.nan]], dtype=np.float32)
    scaler = StandardiseTable(train, DaftConfig(missing="median"))
    gone = torch.full((1, 2), np.nan)
    torch.testing.assert_close(scaler(gone)[:, :2], scaler(torch.tensor([[3.0, 5.0]]))[:, :2])
    nobody = StandardiseTable(np.full((3, 1), np.nan, np.float32), DaftConfig(missing="median"))
    assert torch.equal(nobody(gone[:, :1]), torch.zeros(1, 2))


def test_without_indicators_there_is_one_number_a_column(tmp_path) -> None:
    train = read_table(people(24, 0))
    plain, told = (StandardiseTable(train, DaftConfig(indicators=i)) for i in (False, True))
    values = torch.from_numpy(read_table(people(7, 1)))
    assert torch.equal(plain(values), told(values)[:, : plain.width])
    assert (plain.width, told.width) == (3, 6)
    made = Daft(small(indicators=False, missing="median", columns=["faq_total"]))
    made.fit(people(24, 0), people(9, 1), DX3, context(tmp_path / "fit"))
    assert made.model.affine.squeeze.in_features == 16 + 1
    made.save(tmp_path / "saved")
    again = answers(Daft.load(tmp_path / "saved"), people(7, 2))
    np.testing.assert_array_equal(again, answers(made, people(7, 2)))


def test_columns_are_those_that_are_named() -> None:
    them = people(6, 0)
    every = read_table(them)
    np.testing.assert_array_equal(read_table(them, ["faq_total", "age_years"]), every[:, [0, 2]])
    np.testing.assert_array_equal(read_table(them, ["sex"]), every[:, [1]])
    with pytest.raises(MethodError, match=r"no mmse; expected some of age_years, sex, faq_total"):
        read_table(them, ["mmse", "sex"])
    bare = replace(them, tables={})
    assert read_table(bare).shape == (6, 0)
    with pytest.raises(MethodError, match=r"opens no table to read sex from; leave columns empty"):
        read_table(bare, ["sex"])


def test_columns_are_refused_where_no_table_is_read(tmp_path) -> None:
    made = Daft(small("none", columns=["sex"]))
    with pytest.raises(MethodError, match=r"columns: no table is read with conditioning=none"):
        made.fit(people(24, 0), people(9, 1), DX3, context(tmp_path))


def test_a_column_that_all_lack_is_nothing() -> None:
    scaler = StandardiseTable(np.full((3, 1), np.nan, dtype=np.float32), DaftConfig())
    assert torch.equal(scaler(torch.tensor([[np.nan], [np.nan]])), torch.zeros(2, 2))


def test_columns_are_demographics_then_clinical() -> None:
    them = people(4, 0)
    them.tables["demographics"]["sex"] = pd.Series(["F", "M", None, "M"], dtype="str")
    them.tables["t1w"] = pd.DataFrame({"hippocampus_mm3": np.ones(4)})
    values = read_table(them)
    assert values.shape == (4, 3)
    np.testing.assert_array_equal(values[:, 1], [0, 1, np.nan, 1])
    np.testing.assert_array_equal(np.isnan(values[:, 2]), ~them.has("clinical"))
    them.tables["clinical"]["note"] = pd.Series(["a"] * 4, dtype="str")
    with pytest.raises(MethodError, match="'note' holds text"):
        read_table(them)


def test_what_a_missing_table_holds_changes_nothing(method: Daft) -> None:
    them = people(9, 3)
    gone = np.arange(9) % 2 == 0
    available = them.available | {"clinical": them.has("clinical") & ~gone}
    other = them.tables["clinical"].copy()
    other.loc[gone, "faq_total"] = 1e6
    filled = replace(them, available=available, tables={**them.tables, "clinical": other})
    hidden = hide(them, {"clinical": gone})
    np.testing.assert_array_equal(answers(method, filled), answers(method, hidden))
    assert np.isfinite(answers(method, hide(them, {"clinical": np.ones(9, dtype=bool)}))).all()


def test_other_people_do_not_move_the_standardisation(method: Daft) -> None:
    them = people(9, 3)
    table = them.tables["demographics"].assign(
        age_years=lambda t: t.age_years.where(t.index < 4, 999)
    )
    moved = replace(them, tables={**them.tables, "demographics": table})
    np.testing.assert_allclose(answers(method, them)[:4], answers(method, moved)[:4], atol=1e-6)


# The method --------------------------------------------------------------------------------------


def test_a_loaded_method_answers_the_same(method: Daft, tmp_path) -> None:
    method.save(tmp_path)
    them = people(7, 2)
    np.testing.assert_array_equal(answers(Daft.load(tmp_path), them), answers(method, them))


def test_scale_and_shift_are_shown_where_there_are_any(method: Daft) -> None:
    them = people(7, 2).without_labels()
    if method.config.conditioning in ("concat", "none"):
        with pytest.raises(NotImplementedError):
            method.expose(them)
        return
    shown = method.expose(them)
    assert {name: values.shape for name, values in shown.items()} == {
        "scale": (7, 16),
        "shift": (7, 16),
    }
    assert not np.allclose(shown["scale"][0], shown["scale"][1])


def test_without_a_table_daft_has_the_image_to_go_by(tmp_path) -> None:
    for conditioning in ("daft", "film", "concat"):
        made = Daft(small(conditioning))
        parts = [replace(p, tables={}) for p in (people(24, 0), people(9, 1))]
        made.fit(*parts, DX3, context(tmp_path / conditioning))
        assert (made.model.affine is not None) == (conditioning == "daft")
        assert np.isfinite(answers(made, replace(people(7, 2), tables={}))).all()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("conditioning", "late"), ("location", "conv3"), ("activation", "relu")),
        *(("squeeze", 0.0), ("missing", "mode")),
    ],
)
def test_settings_that_cannot_work_are_named(setting: str, value: object) -> None:
    config = replace(small(), **{setting: value})
    with pytest.raises(MethodError, match=setting):
        Network(config, DX3, 5.0, read_table(people(6, 0)))


def test_rows_differ_in_the_conditioning_and_film_in_its_start() -> None:
    profile = load_profile("mini")
    rows = {name: resolve_row(name, profile) for name in (INFO.name, *INFO.variants)}
    kinds = {name: row.config["conditioning"] for name, row in rows.items()}
    assert kinds == {
        "daft": "daft",
        "film": "film",
        "resnet_concat": "concat",
    }
    starts = {name: row.config["identity_start"] for name, row in rows.items()}
    assert starts == {"daft": False, "film": True, "resnet_concat": False}
    same = [{**row.config, "conditioning": "", "identity_start": ""} for row in rows.values()]
    assert all(config == same[0] for config in same)
    tracks = {name: row.track for name, row in rows.items()}
    assert set(tracks.values()) == {"t1w+clinical"}
