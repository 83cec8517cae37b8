"""What a frozen encoder makes of a person is computed once, whatever fit, fold or seed asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from brain_adapter_people import SHAPE, TASK, TRAINER, config, network, people
from training_toy import context

from benchmark.api import Samples
from benchmark.encoders import FeatureStore, TextEncoder
from benchmark.encoders.volume_vit import ViTEncoder
from benchmark.training.config import AugmentConfig
from methods.brain_adapter.image_features import ImageFeatures
from methods.brain_adapter.info import BrainAdapterConfig, TextConfig
from methods.brain_adapter.model import BrainAdapter

STILL = replace(TRAINER, augment=AugmentConfig(flip=0.0, shift_voxels=0.0))


def labelled(n: int) -> Samples:
    everybody = people(n, reports=False)
    return everybody.subset(everybody.labels("dx3")[1])


def fit_a_fold(
    folder: Path, settings: BrainAdapterConfig, who: Samples, fold: int, **others: object
) -> None:
    """Fits with a seed of its own, the last third of the people left for validation."""
    order, method = np.roll(np.arange(who.n), 5 * fold), BrainAdapter(settings)
    train, val = who.subset(order[: 2 * who.n // 3]), who.subset(order[2 * who.n // 3 :])
    run = context(folder / f"fold{fold}", seed=fold, features=folder / "features", **others)
    method.fit(train, val, [TASK], run)
    method.predict(who.without_labels(), [TASK])


def test_volumes_are_encoded_once_over_epochs_folds_and_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, encode, calls = network("none").encoder, ViTEncoder.encode, []

    def counted(self: ViTEncoder, x: torch.Tensor):
        calls.append(len(x))
        return encode(self, x)

    monkeypatch.setattr(ViTEncoder, "encode", counted)
    torch.save(encoder.state_dict(), tmp_path / "weights.pt")
    settings, who = config("none", trainer=STILL, cache_image=True), labelled(30)
    for fold in range(3):
        fit_a_fold(tmp_path, settings, who, fold, pretrained=tmp_path)
        assert calls == [1] * who.n
    with torch.no_grad():
        encoder.patch_embedding.weight.mul_(1.5)
    torch.save(encoder.state_dict(), tmp_path / "weights.pt")
    fit_a_fold(tmp_path, settings, who, 3, pretrained=tmp_path)
    assert calls == [1] * 2 * who.n, "another encoder takes nothing of the first"


def test_sentences_are_encoded_once_over_reports_epochs_folds_and_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, seen = TextEncoder.encode, []

    def noted(self: TextEncoder, x: list[str]):
        seen.extend(x)
        return encode(self, x)

    monkeypatch.setattr(TextEncoder, "encode", noted)
    settings, who = config(text=TextConfig(layers=1, max_tokens=32)), labelled(30)
    reports = [f"MMSE {20 + row % 7} of 30. Denies falls." for row in range(who.n)]
    there = {**who.available, "report": np.ones(who.n, dtype=bool)}
    who = replace(who, arrays={}, texts={"report": reports}, available=there)
    for fold in range(3):
        fit_a_fold(tmp_path, settings, who, fold)
        assert sorted(seen) == ["Denies falls.", *(f"MMSE {20 + k} of 30." for k in range(7))]


def test_kept_features_depend_on_what_weights_do_not_tell() -> None:
    """Heads and grids of one number of patches leave the shapes of all weights alone."""
    sizes = {"patch": [4, 8, 8], "width": 12, "depth": 1}
    plain = network("none", settings={**sizes, "heads": 2})
    heads = network("none", settings={**sizes, "heads": 3})
    grid = network("none", settings={**sizes, "heads": 2}, encoder_grid=[8, 16, 8])
    x = torch.rand(1, 1, *SHAPE) + 0.3
    found, answers = set(), []
    for other in (plain, network("none", settings={**sizes, "heads": 2}), heads, grid):
        other.load_state_dict(plain.state_dict())
        found.add(ImageFeatures(other, STILL.augment, FeatureStore()).identity)
        with torch.no_grad():
            answers.append(other.eval().encode(x))
    assert len(found) == 3
    assert torch.equal(answers[0], answers[1])
    assert not any(torch.allclose(answers[0], other) for other in answers[2:])
