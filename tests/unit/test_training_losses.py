"""Masked losses against numpy."""

import numpy as np
import pytest
import torch

from benchmark.errors import MethodError
from benchmark.tasks import get_task
from benchmark.training.batches import BatchSource
from benchmark.training.losses import TaskScales, masked_losses

NAN = float("nan")
TASKS = [get_task("dx3"), get_task("brain_age")]
LABELS = {
    "dx3": np.array([0, 0, 0, 1, 2, NAN, NAN, 1.0]),
    "brain_age": np.array([60, NAN, 70, 80, NAN, 65, 62, NAN]),
}


def _batch(scales: TaskScales, *, training: bool = False):
    labels = {t: scales.standardise(t, v) for t, v in LABELS.items()}
    source = BatchSource({"x": np.zeros((8, 1))}, labels, frozenset({"dx3"}))
    return source.read(np.arange(8), training=training)


def _outputs() -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return {
        "dx3": torch.randn(8, 3, generator=g, requires_grad=True),
        "brain_age": torch.randn(8, 1, generator=g, requires_grad=True),
    }


def test_losses_match_numpy() -> None:
    scales = TaskScales.learn(TASKS, LABELS, balance=True)
    outputs = _outputs()
    got = masked_losses(outputs, _batch(scales), scales)

    logits = outputs["dx3"].detach().double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    known = ~np.isnan(LABELS["dx3"])
    y = LABELS["dx3"][known].astype(int)
    by_class = [-np.log(p[known][y == k, k]).mean() for k in range(3)]
    assert got["dx3"].item() == pytest.approx(np.mean(by_class), rel=1e-5)

    known = ~np.isnan(LABELS["brain_age"])
    age = LABELS["brain_age"][known]
    z = (age - age.mean()) / age.std()
    error = np.abs(outputs["brain_age"].detach().numpy()[known, 0] - z)
    each = np.where(error < 1, error**2 / 2, error - 0.5)
    assert got["brain_age"].item() == pytest.approx(each.mean(), rel=1e-5)


def test_without_balance_people_weigh_equally() -> None:
    scales = TaskScales.learn(TASKS, LABELS, balance=False)
    outputs = _outputs()
    got = masked_losses(outputs, _batch(scales), scales)["dx3"]
    known = ~np.isnan(LABELS["dx3"])
    y = torch.tensor(LABELS["dx3"][known], dtype=torch.int64)
    expected = torch.nn.functional.cross_entropy(outputs["dx3"][torch.from_numpy(known)], y)
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_person_without_a_label_adds_exactly_nothing() -> None:
    scales = TaskScales.learn(TASKS, LABELS, balance=True)
    outputs = _outputs()
    sum(masked_losses(outputs, _batch(scales), scales).values()).backward()
    for task, values in LABELS.items():
        gradient = outputs[task].grad
        unknown = torch.from_numpy(np.isnan(values))
        assert torch.equal(gradient[unknown], torch.zeros_like(gradient[unknown]))
        assert (gradient[~unknown] != 0).all()


def test_smoothing_acts_in_training_only() -> None:
    scales = TaskScales.learn(TASKS, LABELS, balance=True)
    outputs = _outputs()
    plain = masked_losses(outputs, _batch(scales), scales, 0.0)["dx3"]
    held_out = masked_losses(outputs, _batch(scales), scales, 0.2)["dx3"]
    learned = masked_losses(outputs, _batch(scales, training=True), scales, 0.2)["dx3"]
    assert plain.item() == held_out.item()
    assert learned.item() != plain.item()


def test_a_class_without_people_is_refused_by_name() -> None:
    labels = {"dx3": np.array([0.0, 2.0, 0.0])}
    with pytest.raises(MethodError, match="class MCI"):
        TaskScales.learn(TASKS[:1], labels, balance=True)
    with pytest.raises(MethodError, match="no training person has a label"):
        TaskScales.learn(TASKS[:1], {"dx3": np.array([NAN])}, balance=True)
