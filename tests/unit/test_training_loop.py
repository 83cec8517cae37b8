"""The loop: dry run, resuming to the bit, what is kept, several processes, precision."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_toy import SHAPE, TASKS, ToyConfig, ToyMethod, context, fitted, toy_people

from benchmark.errors import BenchmarkError, ConfigError, MethodError, UnknownNameError
from benchmark.training.checkpoint import read_checkpoint
from benchmark.training.config import AugmentConfig, TrainerConfig
from benchmark.training.devices import resolve_device
from benchmark.training.trainer import Trainer

HERE = Path(__file__).resolve().parent
STEADY = TrainerConfig(
    epochs=6, batch_size=8, lr=1e-2, ema_decay=0.8, augment=AugmentConfig(noise=0.05)
)


def _same(one: ToyMethod, two: ToyMethod) -> bool:
    a, b = one.model.state_dict(), two.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class InterruptedFitError(Exception):
    pass


def _stop_after(epoch: int):
    def log(record) -> None:
        if record.get("epoch") == epoch:
            raise InterruptedFitError

    return log


def test_it_learns(tmp_path: Path) -> None:
    still = AugmentConfig(flip=0.0, shift_voxels=0.0)
    config = ToyConfig(trainer=replace(STEADY, epochs=15, augment=still))
    method = fitted(tmp_path, config)
    people = toy_people(40, 2)
    answers = method.predict(people.without_labels(), TASKS)
    y, known = people.labels("dx3")
    right = answers["dx3"].probabilities.argmax(1)[known] == y[known]
    assert right.mean() > 0.85
    age = people.labels("brain_age")[0]
    assert np.abs(answers["brain_age"].mean - age).mean() < np.abs(age - age.mean()).mean() / 2


@pytest.mark.parametrize("keep", ["best", "last"])
def test_an_interrupted_fit_continues_to_the_same_bits(tmp_path: Path, keep: str) -> None:
    config = ToyConfig(dropout=0.3, trainer=replace(STEADY, keep=keep))
    whole = fitted(tmp_path / "whole", config)
    for epoch in (2, 5):
        with pytest.raises(InterruptedFitError):
            fitted(tmp_path / "cut", config, log=_stop_after(epoch))
    records = []
    resumed = fitted(tmp_path / "cut", config, log=records.append)
    # An epoch counts once its checkpoint is whole: epoch 5 was cut before that.
    assert [r["epoch"] for r in records if "epoch" in r] == [5, 6]
    assert _same(whole, resumed)


class FrozenMethod(ToyMethod):
    """Its convolution is trained in a stage of its own, then frozen."""

    def train(self, train, val, tasks, run) -> None:
        parts = [self.source(part, tasks) for part in (train, val)]
        config = replace(self.trainer, epochs=2)
        Trainer(self.model, self, parts[0], parts[1], config, run, "first").fit()
        self.model.conv.requires_grad_(requires_grad=False)
        super().train(train, val, tasks, run)


@pytest.mark.parametrize("epoch", [1, 4])
def test_frozen_weights_are_not_written_and_an_interrupted_fit_still_continues(
    tmp_path: Path, epoch: int
) -> None:
    def fit(folder: Path, **others: object) -> FrozenMethod:
        method = FrozenMethod(ToyConfig(dropout=0.3, trainer=replace(STEADY, keep="best")))
        people = toy_people(30, 0), toy_people(12, 1)
        method.fit(*people, TASKS, context(folder, **others))
        return method

    whole = fit(tmp_path / "whole")
    saved = torch.load(tmp_path / "whole" / "fit.checkpoint.pt", weights_only=True)
    first = torch.load(tmp_path / "whole" / "first.checkpoint.pt", weights_only=True)
    for state in (saved["model"], saved["average"], saved["state"]["best"]):
        assert "conv.weight" not in state
        assert {"norm.running_mean", "norm.weight", "heads.dx3.weight"} <= set(state)
    assert torch.equal(first["state"]["best"]["conv.weight"], whole.model.conv.weight)
    with pytest.raises(InterruptedFitError):
        fit(tmp_path / "cut", log=_stop_after(epoch))
    assert _same(whole, fit(tmp_path / "cut"))


def test_checkpoints_are_as_rare_as_asked_and_the_last_is_written(tmp_path: Path) -> None:
    config = ToyConfig(trainer=STEADY)
    with pytest.raises(InterruptedFitError):
        fitted(tmp_path, config, log=_stop_after(5), checkpoint_seconds=1e6)
    assert not (tmp_path / "fit.checkpoint.pt").exists()
    fitted(tmp_path, config, checkpoint_seconds=1e6)
    saved = torch.load(tmp_path / "fit.checkpoint.pt", weights_only=True)
    assert saved["state"]["epoch"] == STEADY.epochs


def test_a_killed_fit_continues_to_the_same_bits(tmp_path: Path) -> None:
    script = (
        "import os, sys, signal; from pathlib import Path\n"
        "from training_toy import *; from test_training_loop import STEADY\n"
        "def log(r):\n"
        "    if r.get('epoch') == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "fitted(Path(sys.argv[1]), ToyConfig(dropout=0.3, trainer=STEADY), log=log)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "cut")], env=_environment(), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    config = ToyConfig(dropout=0.3, trainer=STEADY)
    records = []
    resumed = fitted(tmp_path / "cut", config, log=records.append)
    assert records[0]["resumed_after_epoch"] == 3
    assert _same(fitted(tmp_path / "whole", config), resumed)


def _environment(**others: str) -> dict[str, str]:
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **others}


def test_another_training_does_not_continue_from_the_checkpoint(tmp_path: Path) -> None:
    fitted(tmp_path / "one", ToyConfig(trainer=replace(STEADY, epochs=2)))
    records = []
    config = ToyConfig(trainer=replace(STEADY, epochs=2, lr=1e-3))
    fitted(tmp_path / "one", config, log=records.append)
    assert [r["epoch"] for r in records] == [1, 2]


def test_a_damaged_checkpoint_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "fit.checkpoint.pt"
    path.write_bytes(b"PK\x03\x04 not whole")
    assert read_checkpoint(path, "x") is None


def test_the_dry_run_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = fitted(tmp_path / "a")
    monkeypatch.setattr("benchmark.training.trainer.Trainer.dry_run", lambda self: None)
    assert _same(with_it, fitted(tmp_path / "b"))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda o, b: o["brain_age"].sum() * float("nan"), "loss of the first batch is nan"),
        (lambda o, b: torch.zeros(()), "does not depend on any trainable parameter"),
        (lambda o, b: o["brain_age"].sum() if b.training else torch.ones(3), "has shape"),
    ],
)
def test_a_bad_loss_fails_before_epoch_1(tmp_path: Path, loss, message: str) -> None:
    class Bad(ToyMethod):
        def loss(self, outputs, batch):
            return loss(outputs, batch)

    records = []
    with pytest.raises(MethodError, match=message) as caught:
        Bad().fit(toy_people(30, 0), toy_people(9, 1), TASKS, context(tmp_path, log=records.append))
    assert any("dry run" in note for note in caught.value.__notes__)
    assert records == []


def test_a_missing_output_is_named(tmp_path: Path) -> None:
    class Half(ToyMethod):
        def build(self, train, tasks):
            return super().build(train, tasks[:1])

    with pytest.raises(MethodError, match=r"'brain_age' is missing"):
        Half().fit(toy_people(30, 0), toy_people(9, 1), TASKS, context(tmp_path))


def test_a_diverged_loss_says_what_to_lower(tmp_path: Path) -> None:
    class Diverging(ToyMethod):
        calls = 0

        def loss(self, outputs, batch):
            type(self).calls += batch.training
            return super().loss(outputs, batch) * (float("inf") if self.calls > 3 else 1)

    with pytest.raises(MethodError, match=r"lower trainer\.lr"):
        Diverging().fit(toy_people(30, 0), toy_people(9, 1), TASKS, context(tmp_path))


def test_patience_stops_and_the_best_epoch_is_kept(tmp_path: Path) -> None:
    class Worsening(ToyMethod):
        passes = 0

        def loss(self, outputs, batch):
            loss = super().loss(outputs, batch)
            type(self).passes += not batch.training
            return loss if batch.training else loss * 0 + self.passes

    records = []
    trainer = replace(STEADY, epochs=20, patience=3)
    method = Worsening(ToyConfig(trainer=trainer))
    method.fit(toy_people(30, 0), toy_people(9, 1), TASKS, context(tmp_path, log=records.append))
    assert [r["epoch"] for r in records] == [1, 2, 3, 4]
    saved = torch.load(tmp_path / "fit.checkpoint.pt", weights_only=True)["state"]
    assert saved["best_epoch"] == 1
    assert all(torch.equal(t, saved["best"][n]) for n, t in method.model.state_dict().items())


def test_without_validation_people_the_last_weights_are_kept(tmp_path: Path) -> None:
    records = []
    trainer = replace(STEADY, epochs=2, patience=1)
    method = ToyMethod(ToyConfig(trainer=trainer))
    nobody = toy_people(3, 1).subset(np.zeros(0, dtype=int))
    method.fit(toy_people(30, 0), nobody, TASKS, context(tmp_path, log=records.append))
    assert [r["validation_loss"] for r in records] == [None, None]
    saved = torch.load(tmp_path / "fit.checkpoint.pt", weights_only=True)["average"]
    assert all(torch.equal(t, saved[n]) for n, t in method.model.state_dict().items())
    assert method.predict(toy_people(3, 2).without_labels(), TASKS)["brain_age"].sd is None


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path: Path) -> None:
    torch.manual_seed(1)
    one = fitted(tmp_path / "a")
    torch.manual_seed(2)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    assert _same(one, fitted(tmp_path / "b"))
    assert torch.equal(torch.rand(1), drawn)  # the caller's generator is left alone
    assert not _same(one, fitted(tmp_path / "c", seed=1))


def test_mixed_precision_runs_on_cpu(tmp_path: Path) -> None:
    kinds = set()

    class Watching(ToyMethod):
        def loss(self, outputs, batch):
            kinds.add(outputs["dx3"].dtype)
            return super().loss(outputs, batch)

    method = Watching()
    run = context(tmp_path, precision="amp")
    method.fit(toy_people(30, 0), toy_people(9, 1), TASKS, run)
    assert kinds == {torch.bfloat16}
    assert next(method.model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"schedule": "one_cycle"}, UnknownNameError, "'one-cycle'"),
        ({"keep": "bset"}, UnknownNameError, "'best'"),
        ({"epochs": 0}, ConfigError, "at least 1"),
        ({"warmup": 1.0}, ConfigError, r"in \[0, 1\)"),
        ({"lr": -1.0}, ConfigError, "lr must be >= 0"),
        ({"distributed": True}, ConfigError, "torchrun"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, config: dict, error: type[BenchmarkError], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted(tmp_path, ToyConfig(trainer=TrainerConfig(**config)))


@pytest.mark.parametrize(
    ("name", "message"),
    [("gpu", "not a device name"), ("meta", "not supported"), ("cuda:99", "not available")],
)
def test_a_device_that_is_not_there_says_what_to_do(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_device(name)


@pytest.mark.e2e
def test_two_processes_train_like_one(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from test_training_loop import fit_linear\n"
        "import torch, os\n"
        "torch.set_num_threads(1)\n"
        "state = fit_linear(Path(sys.argv[1]) / os.environ['RANK'], distributed=True)\n"
        "torch.save(state, Path(sys.argv[1]) / f\"{os.environ['RANK']}.pt\")\n"
        "torch.distributed.destroy_process_group()\n"
    )
    rendezvous = f"file://{tmp_path / 'meet'}"
    join = (
        "import torch.distributed as d, os\n"
        f"d.init_process_group('gloo', init_method={rendezvous!r}, "
        "rank=int(os.environ['RANK']), world_size=2)\n"
    )
    command = [sys.executable, "-c", join + script, str(tmp_path)]
    workers = [subprocess.Popen(command, env=_environment(RANK=str(rank))) for rank in range(2)]
    assert [w.wait(timeout=120) for w in workers] == [0, 0]
    alone = fit_linear(tmp_path / "alone", distributed=False)
    states = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name, expected in alone.items():
        assert torch.equal(states[0][name], states[1][name])
        assert torch.allclose(states[0][name], expected, atol=1e-5)


@pytest.mark.parametrize("even", [True, False])
def test_even_labels_give_every_batch_its_share_of_each_class(tmp_path: Path, even: bool) -> None:
    counts = []

    class Counting(ToyMethod):
        def loss(self, outputs, batch):
            labels, known = batch.labels["dx3"].numpy(), batch.masks["dx3"].numpy() > 0
            if batch.training:
                counts.append([*np.bincount(labels[known], minlength=3), int((~known).sum())])
            return super().loss(outputs, batch)

    trainer = replace(STEADY, epochs=3, even_labels=even)
    people = toy_people(40, 0)
    method = Counting(ToyConfig(trainer=trainer))
    method.fit(people, toy_people(9, 1), TASKS, context(tmp_path))
    seen = np.array(counts[1:]).reshape(3, 5, 4)  # the first is the dry run's
    y, known = people.labels("dx3")
    whole = [*np.bincount(y[known].astype(int)), int((~known).sum())]
    np.testing.assert_array_equal(seen.sum(axis=1), [whole] * 3)
    assert (np.ptp(seen, axis=1).max() <= 1) == even


class LinearMethod(ToyMethod):
    """Without batch norm, whose statistics are each process's own."""

    def build(self, train, tasks):
        class Linear(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                cells = int(np.prod(SHAPE))
                self.heads = torch.nn.ModuleDict(
                    {t.name: torch.nn.Linear(cells, t.n_outputs) for t in tasks}
                )

            def forward(self, inputs):
                return {n: h(inputs["t1w"].flatten(1)) for n, h in self.heads.items()}

        return Linear()


def fit_linear(folder: Path, *, distributed: bool) -> dict[str, torch.Tensor]:
    # 29 people in batches of 8: shares of unequal size, and labels missing in some.
    trainer = TrainerConfig(epochs=3, batch_size=8, lr=1e-2, distributed=distributed)
    method = LinearMethod(ToyConfig(trainer=trainer))
    method.fit(toy_people(29, 0), toy_people(9, 1), TASKS, context(folder))
    return method.model.state_dict()
