"""Weights that a training keeps from named epochs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_training_loop import STEADY, InterruptedFitError, _stop_after
from training_toy import TASKS, ToyConfig, ToyMethod, context, toy_people

from benchmark.training.trainer import Trainer


class KeepingMethod(ToyMethod):
    epochs = (1, 4, 6, 99)

    def train(self, train, val, tasks, run) -> None:
        parts = [self.source(part, tasks) for part in (train, val)]
        trainer = Trainer(self.model, self, parts[0], parts[1], self.trainer, run)
        trainer.fit(keep_epochs=self.epochs)
        self.kept = trainer.kept


def fit(folder: Path, kind: type[ToyMethod] = KeepingMethod, **others: object) -> ToyMethod:
    method = kind(ToyConfig(dropout=0.3, trainer=STEADY))
    folder.mkdir(exist_ok=True)
    run = context(folder, **others)
    method.fit(toy_people(30, 0), toy_people(12, 1), TASKS, run)
    return method


def test_weights_are_kept_and_nothing_else_changes(tmp_path: Path) -> None:
    keeping, plain = fit(tmp_path / "keeping"), fit(tmp_path / "plain", ToyMethod)
    assert sorted(keeping.kept) == [1, 4, 6]  # the training ends before epoch 99
    states = keeping.model.state_dict(), plain.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    learned = {name for name, p in plain.model.named_parameters() if p.requires_grad}
    assert all(set(kept) == learned for kept in keeping.kept.values())
    assert not torch.equal(keeping.kept[1]["heads.dx3.weight"], keeping.kept[6]["heads.dx3.weight"])


@pytest.mark.parametrize("cut", [2, 5])
def test_an_interruption_changes_none_of_them(tmp_path: Path, cut: int) -> None:
    whole = fit(tmp_path / "whole")
    with pytest.raises(InterruptedFitError):
        fit(tmp_path / "cut", log=_stop_after(cut), checkpoint_seconds=0.0)
    resumed = fit(tmp_path / "cut")
    assert whole.kept.keys() == resumed.kept.keys()
    for epoch, weights in whole.kept.items():
        assert all(torch.equal(weights[name], resumed.kept[epoch][name]) for name in weights)
