"""Devices: what an error advises works, and cuda computes the same twice as far as it can."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from training_toy import ToyConfig, ToyMethod, context, fitted

from benchmark.cli.compose import compose_request
from benchmark.errors import ConfigError
from benchmark.training import devices, trainer
from benchmark.training.batches import Batch, BatchSource
from benchmark.training.config import TrainerConfig
from benchmark.training.devices import Precision, Team, join_team, resolve_device
from benchmark.training.torch_method import TorchMethod


@pytest.fixture
def settings() -> Iterator[None]:
    """Restores torch's global settings."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.benchmark = before


def test_the_advice_without_a_gpu_can_be_followed() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_device("cuda:99")
    advised = re.search(r"Add `(\S+)` to the command", str(caught.value))
    assert advised, caught.value
    request = compose_request(["method=resnet3d", "profile=standard", advised[1]])
    assert request.profile.device == "cpu"


def test_the_advice_without_torchrun_can_be_followed() -> None:
    with pytest.raises(ConfigError) as caught:
        join_team(True, torch.device("cpu"))
    advised = re.findall(r"config\.trainer\.distributed=\w+", str(caught.value))
    values = [compose_request(["method=x", word]).config["trainer"] for word in advised]
    assert values == [{"distributed": True}, {"distributed": False}]


def test_cuda_is_asked_for_deterministic_kernels(
    settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.backends.cudnn.benchmark = True
    assert resolve_device("cuda").type == "cuda"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


def test_a_workspace_of_ones_own_is_kept(settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    resolve_device("cuda:0")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_the_cpu_is_left_as_it_is(settings: None) -> None:
    resolve_device("cpu")
    assert not torch.are_deterministic_algorithms_enabled()


def test_mixed_precision_scales_the_loss_on_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(
        devices.torch.amp, "GradScaler", lambda kind, enabled: made.append((kind, enabled))
    )
    for name in ("float32", "amp"):
        for kind in ("cpu", "cuda"):
            Precision(name, torch.device(kind))
    assert made == [("cpu", False), ("cuda", False), ("cpu", False), ("cuda", True)]
    assert Precision("amp", torch.device("cpu")).autocast().fast_dtype == torch.bfloat16


def trained(folder: Path, clip: float) -> dict[str, torch.Tensor]:
    config = ToyConfig(trainer=TrainerConfig(epochs=2, batch_size=8, lr=1e-2, clip=clip))
    return fitted(folder, config).model.state_dict()


@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_a_scaled_loss_trains_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: float
) -> None:
    """The path of cuda, with torch's scaler of the CPU: a power of two changes no bit."""
    plain = trained(tmp_path / "plain", clip)
    real, made = torch.amp.GradScaler, []

    def scaler(kind: str, enabled: bool) -> torch.amp.GradScaler:
        made.append(real(kind, init_scale=2.0**10, growth_interval=10**6))
        return made[-1]

    monkeypatch.setattr(devices.torch.amp, "GradScaler", scaler)
    scaled = trained(tmp_path / "scaled", clip)
    assert [s.get_scale() for s in made if s._scale is not None] == [2.0**10]
    for name, values in plain.items():
        torch.testing.assert_close(scaled[name], values, rtol=0, atol=0)


def test_a_scale_that_overflows_costs_steps_and_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = torch.amp.GradScaler, []

    def scaler(kind: str, enabled: bool) -> torch.amp.GradScaler:
        made.append(real(kind, init_scale=2.0**127, growth_interval=10**6))
        return made[-1]

    def large(method: ToyMethod, outputs: dict, batch: Batch) -> torch.Tensor:
        return 100 * TorchMethod.loss(method, outputs, batch)

    monkeypatch.setattr(ToyMethod, "loss", large)
    monkeypatch.setattr(devices.torch.amp, "GradScaler", scaler)
    weights = trained(tmp_path, 1.0)
    assert all(torch.isfinite(values).all() for values in weights.values())
    (used,) = (s for s in made if s._scale is not None)
    assert used.get_scale() < 2.0**127


@pytest.mark.parametrize(
    ("people", "size", "processes", "works"),
    [(10, 4, 3, True), (10, 4, 4, False), (9, 8, 5, False), (3, 8, 4, False), (8, 8, 8, True)],
)
def test_a_batch_that_leaves_a_process_without_people_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    people: int,
    size: int,
    processes: int,
    works: bool,
) -> None:
    assert works == (people // math.ceil(people / size) >= processes)
    monkeypatch.setattr(trainer, "join_team", lambda *_: Team(0, processes))
    monkeypatch.setattr(trainer.nn.parallel, "DistributedDataParallel", lambda model: model)
    source = BatchSource({"x": np.ones((people, 1), dtype=np.float32)})
    config, model = TrainerConfig(batch_size=size, distributed=True), torch.nn.Linear(1, 1)

    class Learner:
        def parameter_groups(self, model: torch.nn.Module) -> list[dict]:
            return [{"params": list(model.parameters())}]

    def start() -> trainer.Trainer:
        return trainer.Trainer(model, Learner(), source, source, config, context(tmp_path))

    if works:
        start()
        return
    with pytest.raises(
        ConfigError, match=rf"which {processes} processes cannot share; start fewer"
    ):
        start()
