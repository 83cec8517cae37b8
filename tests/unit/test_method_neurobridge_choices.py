"""NeuroBridge's inferred choices: what each key does, and that wrong values are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from neurobridge_people import SHAPE, TASKS, config, learned, people, prepared

from benchmark.errors import MethodError
from benchmark.samples import Samples
from benchmark.tasks import get_task
from methods.neurobridge.guidance import MASK, atrophy_loss, class_weights
from methods.neurobridge.network import GatedFusion, Network, masked_error
from methods.neurobridge.settings import check


def network(**others: object) -> Network:
    torch.manual_seed(0)
    return Network(config(**others), {"dx3": 3}, SHAPE, 5.0).eval()


def test_one_gate_a_stream_is_the_same_in_all_channels() -> None:
    made, streams = network(gate="stream", gate_zero_start=False).fusion, torch.randn(4, 3, 8)
    z, gate = made(streams)
    assert made.scores.out_features == 3
    assert gate.shape == (4, 3, 8)
    assert torch.equal(gate, gate[..., :1].expand(4, 3, 8))
    torch.testing.assert_close(gate.sum(dim=1), torch.ones(4, 8))
    torch.testing.assert_close(z, torch.einsum("bn,bnd->bd", gate[..., 0], streams))


def test_gates_start_uneven_where_asked() -> None:
    streams = torch.randn(4, 3, 5)
    assert GatedFusion(3, 5, "channel", zero_start=False)(streams)[1].std() > 0.01
    assert GatedFusion(3, 5, "stream", zero_start=True)(streams)[1].std() < 1e-6


def test_the_segmentations_stream_may_be_the_plain_mean() -> None:
    made = network(segmentation_pooling="mean", volume_in_stream=False)
    h, share = torch.randn(2, 8, 2, 3, 2), torch.rand(2, 1, 16, 24, 16)
    expected = made.branches["segmentation"](h).mean(dim=(2, 3, 4))
    torch.testing.assert_close(made.pooled(h, share)[:, 0], expected)


def test_the_volume_may_count_from_the_start() -> None:
    assert not network().volume.weight.any()
    assert network(volume_zero_start=False).volume.weight.any()


@pytest.mark.parametrize("reference", ["everyone", "healthy"])
def test_the_usual_volume_is_that_of_the_reference(reference: str) -> None:
    method, _ = prepared(config(volume_reference=reference), TASKS[:1])
    train = people(30, 0)
    sizes = train.targets(MASK).take(np.arange(30)).reshape(30, -1).sum(axis=1)
    chosen = sizes > 0
    if reference == "healthy":
        chosen &= train.labels("dx3")[0] == 0
    whole = method._prepared_masks(method.model, train)  # of all with a mask, in their order
    whole = whole.sum(dim=(1, 2, 3, 4))[torch.from_numpy(chosen[sizes > 0])]
    torch.testing.assert_close(method.model.volume_mean, whole.mean())
    torch.testing.assert_close(method.model.volume_scale, 1 / whole.std(correction=0))


def test_nobody_healthy_is_no_reference_of_the_volume() -> None:
    train, (task,) = people(30, 0), [get_task("conversion")]
    train._labels["conversion"] = train.labels("dx3")
    with pytest.raises(MethodError, match="set volume_reference=everyone"):
        prepared(config(volume_reference="healthy"), [task], train)


def test_the_atlas_may_be_the_plain_share_of_people() -> None:
    made = network(atlas_mirrored=False, atlas_smoothing=1, atlas_least_share=0.1)
    masks = (torch.rand(6, 1, *SHAPE) < 0.2).float()
    made.learn_masks(masks)
    expected = masks.mean(dim=0, keepdim=True).clamp(0.1, 0.9).logit()
    torch.testing.assert_close(made.atlas, expected)


def test_the_error_of_hidden_voxels_is_their_mean_distance() -> None:
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]).view(2, 1, 1, 2, 2)
    rebuilt = torch.tensor([[[2.0, 0.0], [3.5, 9.0]], [[1.0, -3.0], [5.0, 7.0]]]).view_as(x)
    hidden = torch.tensor([[[1, 1], [1, 0]], [[0, 1], [0, 0]]]).view_as(x).bool()
    by_hand = {"l1": [(1 + 2 + 0.5) / 3, 3.0], "mse": [(1 + 4 + 0.25) / 3, 9.0]}
    for kind, expected in by_hand.items():
        assert masked_error(rebuilt, x, hidden, kind).tolist() == pytest.approx(expected)
    assert masked_error(rebuilt, x, hidden & False, "l1").tolist() == [0.0, 0.0]


def test_the_reconstruction_is_judged_by_what_was_hidden() -> None:
    made, x = network(reconstruct_share=1.0), torch.randn(2, 1, 16, 24, 16)
    made.reconstruction.forward = lambda h: torch.zeros_like(x)
    torch.manual_seed(3)
    hidden = made.hidden_voxels(x)
    torch.manual_seed(3)
    expected = [float(x[i][hidden[i]].abs().double().mean()) for i in range(2)]
    assert made.reconstruction_errors(x).tolist() == pytest.approx(expected)


def test_the_error_of_hidden_voxels_may_be_squared() -> None:
    x, rebuilt = torch.randn(2, 1, 4, 4, 4), torch.randn(2, 1, 4, 4, 4)
    hidden = torch.rand(2, 1, 4, 4, 4) < 0.5
    expected = [float(((rebuilt[i] - x[i])[hidden[i]] ** 2).mean()) for i in range(2)]
    assert masked_error(rebuilt, x, hidden, "mse").tolist() == pytest.approx(expected)
    made = network(reconstruction_loss="mse", reconstruct_share=1.0)
    results = []
    for kind in ("mse", "l1"):
        made.config.reconstruction_loss = kind
        torch.manual_seed(3)
        results.append(made.reconstruction_errors(torch.ones(2, 1, 16, 24, 16)))
    assert not torch.allclose(*results)


def test_few_masks_may_count_for_few() -> None:
    losses = []
    for whole in (True, False):
        method, batch = prepared(config(masks_count_as_all=whole))
        out = {name: t.detach() for name, t in method.model(batch.inputs).items()}
        losses.append(float(method.losses(out, batch)["segmentation"]))
    assert losses[0] == pytest.approx(
        losses[1] * 30 / (people(30, 0).targets(MASK).available).sum()
    )


# Atrophy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [[], ["head_size_mm3"], ["age_years"]])
def test_atrophy_is_adjusted_for_what_is_named(wanted: list[str]) -> None:
    method, _ = prepared(config(atrophy_adjusted_for=wanted))
    assert method._rule.covariates == wanted
    assert len(method._rule.coefficients) == 1 + len(wanted)


def with_ages(train: Samples, unknown: np.ndarray) -> Samples:
    """The same people, where nobody knows the age of ``unknown``, (N,) bool."""
    ages = np.where(unknown, np.nan, train.labels("brain_age")[0])
    return replace(train, _labels={**train._labels, "brain_age": (ages, ~unknown)})


def test_age_is_adjusted_for_in_everybody_or_in_nobody() -> None:
    train = people(60, 0)
    known = train.targets(MASK).available
    someone, masked = np.arange(60) == 7, np.arange(60) == 3
    assert known[7]
    assert not known[3]
    assert learned(with_ages(train, masked), TASKS).covariates == ["head_size_mm3", "age_years"]
    partly = with_ages(train, someone)
    rule = learned(partly, TASKS)
    assert rule.covariates == ["head_size_mm3"]
    method, _ = prepared(config(atrophy_adjusted_for=["head_size_mm3"]), TASKS, partly)
    assert rule == method._rule
    np.testing.assert_array_equal(rule.labels(partly, TASKS) >= 0, known)


def test_who_has_no_age_has_no_label_of_a_rule_that_needs_it() -> None:
    train = people(60, 0)
    rule = learned(train, TASKS, -0.5)
    labels = rule.labels(train, TASKS)
    assert labels[7] >= 0
    partly = rule.labels(with_ages(train, np.arange(60) == 7), TASKS)
    assert partly[7] == -1
    np.testing.assert_array_equal(np.delete(partly, 7), np.delete(labels, 7))
    assert (rule.labels(train, [get_task("dx3")]) == -1).all()  # nobody's age is told


def test_everyone_may_be_the_standard_of_atrophy() -> None:
    train, tasks = people(60, 0), [get_task("dx3")]
    method, _ = prepared(
        config(atrophy_reference="everyone", atrophy_adjusted_for=[]), tasks, train
    )
    voxels = train.targets(MASK).take(np.arange(60)).reshape(60, -1).sum(axis=1)
    known = voxels > 0
    assert method._rule.coefficients == pytest.approx([voxels[known].mean()])
    assert method._rule.sd == pytest.approx(voxels[known].std(ddof=1))
    z = (voxels - voxels[known].mean()) / voxels[known].std(ddof=1)
    np.testing.assert_array_equal(method._rule.labels(train, tasks), np.where(known, z < -1.5, -1))


def test_how_many_the_standard_needs_is_a_setting() -> None:
    train, tasks = people(60, 0), [get_task("dx3")]
    n = int(((train.labels("dx3")[0] == 0) & train.targets(MASK).available).sum())
    for least, known in ((n, True), (n + 1, False)):
        method, _ = prepared(config(atrophy_least_reference=least), tasks, train)
        assert bool(method._rule.coefficients) == known


def test_both_classes_of_atrophy_may_weigh_the_same() -> None:
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, -1])
    weights = class_weights(labels)
    assert weights == pytest.approx([8 / 12, 8 / 4])
    assert class_weights(np.array([0, 0, -1])) == pytest.approx([0.5, 1.0])
    even = torch.zeros(9, 2)
    by_class = [
        float(atrophy_loss(even, torch.where(torch.from_numpy(labels) == k, k, -1), weights))
        for k in (0, 1)
    ]
    assert by_class[0] == pytest.approx(by_class[1])
    train = people(60, 0)
    rule = learned(train, TASKS)
    for balanced in (False, True):
        method, _ = prepared(config(atrophy_balanced=balanced), train=train)
        expected = class_weights(rule.labels(train, TASKS)) if balanced else [1.0, 1.0]
        assert method._atrophy_weights == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gate": "voxel"}, "gate: expected one of channel, stream, got 'voxel'"),
        ({"segmentation_pooling": "max"}, "probability, mean"),
        ({"volume_reference": "cn"}, "healthy, everyone"),
        ({"reconstruction_loss": "l2"}, "l1, mse"),
        ({"atrophy_reference": "cn"}, "healthy, everyone"),
        ({"atrophy_adjusted_for": ["age_years", "sex"]}, "head_size_mm3, age_years, got 'sex'"),
        ({"atrophy_least_reference": 3}, "needs 4 people, got 3"),
        ({"atlas_smoothing": 2}, "odd number of voxels, got 2"),
        ({"atlas_least_share": 0.0}, "between 0 and 0.5, got 0.0"),
        ({"encoder": "volume_vit"}, "expected conv or swin"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: dict, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MethodError, match=message):
        check(config(**settings))
    for module in ("guidance", "model"):  # no mask is read before
        monkeypatch.setattr(f"methods.neurobridge.{module}.mask_voxels", None)
    with pytest.raises(MethodError, match=message):
        prepared(config(**settings))
