"""Every kind of map for the methods of the literature: made, or refused with a true reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import neurobridge_people
import numpy as np
import pytest
import torch
from training_toy import context, toy_people

from benchmark.api import AugmentConfig, TrainerConfig
from benchmark.errors import MethodError
from benchmark.saliency import made
from benchmark.saliency.controls import GroupMaps
from benchmark.saliency.maps import KINDS, Mapper, MapSettings
from benchmark.saliency.randomisation import _fresh_network
from benchmark.samples import LazyRows, Samples
from benchmark.tasks import get_task
from methods.anchored_qformer.info import AnchoredConfig, FusionConfig, StageConfig, VolumeConfig
from methods.anchored_qformer.model import AnchoredQFormer
from methods.brain_adapter.info import AdapterConfig, BrainAdapterConfig
from methods.brain_adapter.model import BrainAdapter
from methods.denseformer_moe.info import BackboneConfig, DenseFormerConfig
from methods.denseformer_moe.model import DenseFormerMoE

pytestmark = pytest.mark.e2e  # maps of whole networks, half a second or more each

SHAPE = (16, 20, 16)
TASK = get_task("dx3")
TRAINER = TrainerConfig(epochs=2, batch_size=10, lr=1e-2, keep="last")
QUICK = MapSettings(steps=4, window_mm=40.0, stride_mm=40.0)
VIT = {"patch": [4, 4, 4], "width": 12, "depth": 1, "heads": 2}
NO_MAP = r"no layer of the network of \w+ has a map over the volume that the answer reads"
NO_ATTENTION = r"no module of the network of NeuroBridge keeps attention"
NO_OWN = r"AnchoredQFormer has no explain\(\) of its own"


def neurobridge() -> tuple[Any, Callable[[int, int], Samples]]:
    return neurobridge_people.NeuroBridge(neurobridge_people.config()), neurobridge_people.people


def denseformer() -> tuple[Any, Callable[[int, int], Samples]]:
    backbone = BackboneConfig(stem=4, blocks=[2], growth=2, width=12, depth=1, heads=2)
    config = DenseFormerConfig(backbone=backbone, pretrained="", trainer=TRAINER)
    return DenseFormerMoE(config), volumes


def adapter(
    kind: str, trainer: TrainerConfig = TRAINER, **more: Any
) -> tuple[Any, Callable[[int, int], Samples]]:
    config = BrainAdapterConfig(
        pretrained="",
        settings=VIT,
        adapter=AdapterConfig(kind=kind, channels=16, bottleneck=8, groups=4),
        projection=6,
        embedding_epochs=[],
        trainer=trainer,
        **more,
    )
    return BrainAdapter(config), volumes


def adapter_with_features_kept() -> tuple[Any, Callable[[int, int], Samples]]:
    still = replace(TRAINER, augment=AugmentConfig(flip=0.0, shift_voxels=0.0))
    return adapter("none", still, cache_image=True)


def anchored(people: Callable[[int, int], Samples], **fusion: Any) -> tuple[Any, Any]:
    stage = StageConfig(trainer=TRAINER)
    config = AnchoredConfig(
        smri=VolumeConfig(settings=VIT),
        fusion=FusionConfig(dim=8, heads=2, **fusion),
        smri_stage=stage,
        fmri_stage=stage,
        pretrained="",
        trainer=TRAINER,
    )
    return AnchoredQFormer(config), people


def volumes(n: int, seed: int) -> Samples:
    return toy_people(n, seed, SHAPE)


def with_series(n: int, seed: int) -> Samples:
    toy = volumes(n, seed)
    series = np.random.default_rng(seed).normal(size=(n, 64, 5)).astype(np.float32)
    rows = LazyRows([series], np.zeros(n, dtype=int), np.arange(n))
    return replace(
        toy,
        arrays={**toy.arrays, "fmri": rows},
        available={**toy.available, "fmri": np.ones(n, dtype=bool)},
    )


CASES = {
    "neurobridge": (neurobridge, {"rollout": NO_ATTENTION}),
    "denseformer_moe": (denseformer, {}),
    "brain_adapter": (lambda: adapter("adapter"), {}),
    "adapter_lora": (lambda: adapter("lora"), {"gradcam": NO_MAP, "own": "this row has none"}),
    "adapter_none": (lambda: adapter("none"), {"gradcam": NO_MAP, "own": "this row has none"}),
    "adapter_kept": (
        adapter_with_features_kept,
        {"gradcam": NO_MAP, "own": "this row has none"},
    ),
    "qformer_smri": (lambda: anchored(volumes), {"gradcam": NO_MAP, "own": NO_OWN}),
    "qformer_late": (
        lambda: anchored(with_series, n_queries=0),
        {"gradcam": NO_MAP, "own": NO_OWN},
    ),
    "anchored_qformer": (
        lambda: anchored(with_series),
        {
            "gradcam": NO_MAP,
            "own": NO_OWN,
            "rollout": r"several transformers .*unimodal\.smri.*rounds\.smri.*rollout follows one",
        },
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A fitted fold, its mapper, four test people, and what must be refused."""
    make, refused = CASES[request.param]
    method, people = make()
    train = people(30, 0)
    folder: Path = tmp_path_factory.mktemp(request.param)
    # Under seed 0 the adapter's own GradCAM is negative everywhere, hence cut to nothing.
    method.fit(train, people(12, 1), [TASK], context(folder, seed=1))
    part = SimpleNamespace(cohort="toy", tasks=(TASK.name,))
    job = SimpleNamespace(parts=(part,), label=request.param)
    fold = SimpleNamespace(method=method, job=job, train=train)
    reference = GroupMaps.learn(train, TASK).reference
    mapper = Mapper(method, TASK, reference, QUICK)
    return fold, mapper, people(4, 2).without_labels(), refused


def test_every_kind_is_made_or_refused_with_its_reason(case) -> None:
    fold, mapper, people, refused = case
    found = made.make_maps(fold, mapper, people, KINDS, (people, list("abcd")), lambda _: None)
    assert found.refused.keys() == refused.keys()
    for kind, reason in refused.items():
        with pytest.raises(MethodError, match=reason):
            raise MethodError(found.refused[kind])
    assert found.kinds.keys() == set(KINDS) - set(refused)
    assert {"occlusion", "integrated_gradients"} <= found.kinds.keys()
    for kind, one in found.kinds.items():
        assert one.maps.shape == (4, *SHAPE), kind
        assert np.isfinite(one.maps).all(), kind
        assert np.ptp(one.maps.reshape(4, -1), axis=1).any(), kind
        assert set(one.sanity["stage"]) == {"top", "half", "all", "other person"}, kind
    assert found.kinds["integrated_gradients"].facts["empty_maps"] == 0
    assert found.kinds["occlusion"].facts["empty_maps"] == 0
    has_map = hasattr(fold.method, "hippocampus_map")
    assert (found.hippocampus is not None) == has_map
    if has_map:
        expected = fold.method.hippocampus_map(people)
        np.testing.assert_allclose(found.hippocampus, expected, atol=1e-3)


def test_the_gradient_is_that_of_the_whole_network(case) -> None:
    """Finite differences along it agree, also where the network switches gradients off."""
    _, mapper, people, _ = case
    evidence, x, others = mapper._one(people)
    (slope,) = torch.autograd.grad(evidence(x, *others).sum(), x)
    step = 1e-3 * slope / slope.abs().max()
    with torch.no_grad():
        moved = (evidence(x + step, *others) - evidence(x - step, *others)) / 2
    assert moved.item() == pytest.approx((slope * step).sum().item(), rel=0.1)


def test_the_network_that_has_learned_nothing_does_not_answer_everybody_alike(case) -> None:
    """Heads that start at zero would make every map constant, and every check a pass."""
    fold, mapper, people, _ = case
    own = fold.method.model
    fold.method.model = _fresh_network(fold)
    try:
        assert mapper.evidence(people).std() > 0
    finally:
        fold.method.model = own


# What a method's own code may do -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [(NotImplementedError("this row has none"), "this row has none"), (KeyError("x"), "KeyError")],
)
def test_an_error_of_one_kind_leaves_the_others(case, monkeypatch, error, reason) -> None:
    fold, mapper, people, _ = case

    def explain(*_: object) -> np.ndarray:
        raise error

    monkeypatch.setattr(type(fold.method), "explain", explain)
    kinds = ("own", "occlusion")
    found = made.make_maps(fold, mapper, people, kinds, (people, list("abcd")), lambda _: None)
    assert reason in found.refused["own"]
    assert list(found.kinds) == ["occlusion"]
    with pytest.raises(MethodError, match=f"no map 'own': .*{reason}"):
        made.make_maps(fold, mapper, people, ("own",), (people, list("abcd")), lambda _: None)


def test_a_map_of_one_value_is_refused(case, monkeypatch) -> None:
    fold, mapper, people, _ = case
    zeros = np.zeros((4, *SHAPE))
    monkeypatch.setattr(type(fold.method), "explain", lambda *_: zeros)
    kinds = ("own", "occlusion")
    found = made.make_maps(fold, mapper, people, kinds, (people, list("abcd")), lambda _: None)
    assert list(found.kinds) == ["occlusion"]
    assert "shows no place" in found.refused["own"]


def test_a_full_disk_is_no_refusal(case, monkeypatch) -> None:
    fold, mapper, people, _ = case

    def explain(*_: object) -> np.ndarray:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(fold.method), "explain", explain)
    with pytest.raises(OSError, match="No space"):
        made.make_maps(fold, mapper, people, KINDS, (people, list("abcd")), lambda _: None)
