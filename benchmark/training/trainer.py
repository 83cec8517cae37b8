"""The loop: a network, what it learns from, and how."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import ConfigError, MethodError
from benchmark.method import RunContext
from benchmark.training.augment import augment, draw
from benchmark.training.batches import Batch, BatchSource, epoch_batches, even_batches
from benchmark.training.checkpoint import read_checkpoint, write_checkpoint
from benchmark.training.config import TrainerConfig
from benchmark.training.devices import Precision, join_team, resolve_device
from benchmark.training.keys import generator, key
from benchmark.training.schedule import lr_factor

__all__ = ["Learner", "Trainer"]

Outputs = Mapping[str, Tensor]
_DRY_RUN_PEOPLE = 4


class Learner(Protocol):
    """What a training needs beside its network; :class:`TorchMethod` is one."""

    def loss(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Scalar loss, a mean over the people of the batch."""

    def backward(self, outputs: Outputs, batch: Batch, scale: Callable[[Tensor], Tensor]) -> Tensor:
        """Fills the gradients of ``scale(loss)`` and returns the detached loss."""

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Groups for the optimiser; a group may set its own ``lr`` and ``weight_decay``."""


@dataclass
class _State:
    """All that changes from epoch to epoch."""

    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    best: dict[str, Tensor] | None = None
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)


class Trainer:
    """Trains a network; continues from its checkpoint, to the same bits, if there is one.

    Args:
        model: The network; trained in place and left with the weights that were kept.
        learner: Loss, gradients and parameter groups.
        train: Training people.
        val: Validation people; nothing is learned from them.
        config: Settings.
        run: Seed, device, folder of the checkpoint, log.
        stage: Name of this training where a method has several, e.g. a pretraining.

    Attributes:
        kept: By epoch, the learned parameters by name, as they were validated; after :meth:`fit`.

    Raises:
        ConfigError: A setting is out of range, the device is not there, or a batch holds fewer
            people than there are processes.
    """

    def __init__(
        self,
        model: nn.Module,
        learner: Learner,
        train: BatchSource,
        val: BatchSource,
        config: TrainerConfig,
        run: RunContext,
        stage: str = "fit",
    ) -> None:
        config.check()
        self.config, self.run, self.stage = config, run, stage
        self.learner, self.train, self.val = learner, train, val
        self.keep_epochs: frozenset[int] = frozenset()
        self.kept: dict[int, dict[str, Tensor]] = {}
        self.device = resolve_device(run.device)
        self.precision = Precision(run.precision, self.device)
        self.team = join_team(config.distributed, self.device)
        self.model = model.to(self.device)
        self._forward = self._parallel(self.model)
        self._average = copy.deepcopy(self.model) if config.ema_decay else None
        self._pairs = _paired(self.model, self._average) if self._average else None
        groups = learner.parameter_groups(self.model)
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
        self._peaks = [group["lr"] for group in self.optimiser.param_groups]
        self._learned = [p for g in self.optimiser.param_groups for p in g["params"]]
        self._steps = len(even_batches(np.arange(len(train)), config.batch_size))
        self._saved_at = time.monotonic()

    def _parallel(self, model: nn.Module) -> nn.Module:
        if self.team.size == 1:
            return model
        size = self.config.batch_size
        batches = even_batches(np.arange(len(self.train)), size)
        least = min(map(len, batches), default=0)
        if least < self.team.size:
            raise ConfigError(
                f"trainer.batch_size={size} cuts {len(self.train)} people into batches of {least} "
                f"and more, which {self.team.size} processes cannot share; start fewer or raise "
                "trainer.batch_size"
            )
        return nn.parallel.DistributedDataParallel(model)

    def fit(self, keep_epochs: Sequence[int] = ()) -> nn.Module:
        """Trains to the end and returns the model in eval mode.

        Args:
            keep_epochs: Epochs after which the learned weights are kept for inspection, as far as
                the training reaches them.

        Raises:
            MethodError: The loss is not finite, has the wrong shape or reaches no parameter.
        """
        self.keep_epochs = frozenset(keep_epochs)
        with torch.random.fork_rng(self._cuda_devices()):
            state = self._resume()
            if state.epoch == 0:
                self.dry_run()
            while not self._is_over(state):
                self._epoch(state)
                self._save(state)
        self.kept = state.kept
        if self.config.keep == "best" and state.best is not None:
            _restore(self.model, state.best)
        elif self._average is not None:
            self.model.load_state_dict(self._average.state_dict())
        return self.model.eval()

    def _is_over(self, state: _State) -> bool:
        if state.epoch >= self.config.epochs:
            return True
        patience = self.config.patience
        if patience == 0 or state.best is None:
            return False
        return state.epoch - state.best_epoch >= patience

    # One epoch -----------------------------------------------------------------------------------

    def _epoch(self, state: _State) -> None:
        started = time.perf_counter()
        epoch = state.epoch
        torch.manual_seed(key(self.run.seed, self.stage, "model", epoch, self.team.rank))
        self._forward.train()
        total = torch.zeros((), device=self.device)
        seed = key(self.run.seed, self.stage)
        size, strata = self.config.batch_size, self.train.strata
        batches = epoch_batches(len(self.train), size, seed, epoch, strata)
        for step, rows in enumerate(batches):
            share = rows[self.team.rank :: self.team.size]
            batch = self._augmented(share, len(rows), epoch, step)
            factor = self._set_rate(epoch * self._steps + step)
            loss = self._step(batch, len(share) * self.team.size / len(rows))
            self._follow(epoch * self._steps + step)
            total += loss * len(rows) / self.team.size
        train_loss = float(self.team.total(total)) / len(self.train)
        self._refuse_divergence("training", train_loss, epoch)
        validation_loss = self.validate()
        state.epoch += 1
        if state.epoch in self.keep_epochs:
            learned = {n for n, p in self.model.named_parameters() if p.requires_grad}
            judged = dict(self._judged().named_parameters())
            state.kept[state.epoch] = _copy({name: judged[name] for name in sorted(learned)})
        if validation_loss is not None:
            self._refuse_divergence("validation", validation_loss, epoch)
            if validation_loss < state.best_loss:
                state.best_loss, state.best_epoch = validation_loss, state.epoch
                state.best = _copy(_changing(self._judged()))
        self.run.log(
            {
                "stage": self.stage,
                "epoch": state.epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "lr": self.config.lr * factor,
                "seconds": round(time.perf_counter() - started, 3),
            }
        )

    def _refuse_divergence(self, part: str, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise MethodError(
                f"the {part} loss became {loss} in epoch {epoch + 1}; lower trainer.lr "
                f"(now {self.config.lr}) or set trainer.clip (now {self.config.clip})"
            )

    def _augmented(self, share: Any, size: int, epoch: int, step: int) -> Batch:
        batch = self.train.read(share, training=True)
        config, seed, team = self.config.augment, self.run.seed, self.team
        draws = draw(size, config, generator(seed, self.stage, "augment", epoch, step))
        noise = generator(seed, self.stage, "noise", epoch, step, team.rank)
        draws = draws.rows(team.rank, team.size)
        return augment(batch, draws, config, noise).to(self.device)

    def _set_rate(self, step: int) -> float:
        total = self._steps * self.config.epochs
        factor = lr_factor(self.config.schedule, step, total, self.config.warmup)
        for group, peak in zip(self.optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        return factor

    def _step(self, batch: Batch, weight: float) -> Tensor:
        loss = self._gradients(batch, weight)
        scaler = self.precision.scaler
        if self.config.clip > 0:
            scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self._learned, self.config.clip)
        scaler.step(self.optimiser)
        scaler.update()
        return loss * weight

    def _follow(self, step: int) -> None:
        """Moves the averaged weights; early on faster, so that the start is soon forgotten."""
        if self._pairs is not None:
            decay = min(self.config.ema_decay, (1 + step) / (10 + step))
            ours, averaged = self._pairs
            torch._foreach_lerp_(averaged, ours, 1 - decay)

    def _gradients(self, batch: Batch, weight: float) -> Tensor:
        """Fills the gradients; ``weight`` makes the processes' mean the mean over all people."""
        self.optimiser.zero_grad(set_to_none=True)
        with self.precision.autocast():
            outputs = self._forward(batch.inputs)
        scaler = self.precision.scaler
        return self.learner.backward(outputs, batch, lambda loss: scaler.scale(loss * weight))

    # Validation ----------------------------------------------------------------------------------

    def _judged(self) -> nn.Module:
        return self.model if self._average is None else self._average

    @torch.no_grad()
    def validate(self) -> float | None:
        """Mean loss over all validation people, of the averaged weights where there are any.

        None if there is nobody; the last weights are then kept.
        """
        if not len(self.val):
            return None
        model = self._judged().eval()
        total = torch.zeros((), device=self.device)
        for rows in even_batches(np.arange(len(self.val)), self.config.predict_batch_size):
            batch = self.val.read(rows).to(self.device)
            with self.precision.autocast():
                outputs = model(batch.inputs)
            total += self.learner.loss(outputs, batch) * len(rows)
        return float(self.team.agree(total)) / len(self.val)

    # Before the first epoch ----------------------------------------------------------------------

    def dry_run(self) -> None:
        """One small training and one small validation batch, so that a mistake shows in seconds.

        Weights, buffers and gradients are as before afterwards.

        Raises:
            MethodError: The loss is not a finite scalar, or no parameter gets a gradient.
        """
        before = _copy(_changing(self.model))
        try:
            self._try_batch()
        except Exception as error:
            error.add_note("raised by the dry run of one batch before epoch 1")
            raise
        finally:
            _restore(self.model, before)
            self.optimiser.zero_grad(set_to_none=True)

    def _try_batch(self) -> None:
        few = max(_DRY_RUN_PEOPLE, 2 * self.team.size)
        rows = next(epoch_batches(len(self.train), self.config.batch_size, self.run.seed, 0))[:few]
        share = rows[self.team.rank :: self.team.size]
        self._forward.train()
        batch = self._augmented(share, len(rows), 0, 0)
        _check_loss(self._gradients(batch, 1.0), "training")
        if not any(p.grad is not None for p in self._learned):
            raise MethodError(
                "the loss reaches no trainable parameter: check that `loss` uses the outputs and "
                "that `build` leaves parameters with requires_grad"
            )
        if len(self.val):
            held_out = self.val.read(np.arange(min(len(self.val), few))).to(self.device)
            with torch.no_grad():
                with self.precision.autocast():
                    outputs = self.model.eval()(held_out.inputs)
                _check_loss(self.learner.loss(outputs, held_out), "validation")

    # Checkpoints ---------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Path:
        """Where the state of this training is kept while it runs."""
        return self.run.folder / f"{self.stage}.checkpoint.pt"

    def _identity(self) -> str:
        shapes = [(n, list(p.shape)) for n, p in self.model.state_dict().items()]
        kept = sorted(self.keep_epochs)
        facts = (asdict(self.config), self.run.seed, self.run.precision, shapes, kept)
        return f"{key(facts, len(self.train), len(self.val), self.team.size):016x}"

    def _save(self, state: _State) -> None:
        is_due = time.monotonic() - self._saved_at >= self.run.checkpoint_seconds
        if self.team.rank != 0 or not (is_due or self._is_over(state)):
            return
        write_checkpoint(
            self.checkpoint,
            {
                "identity": self._identity(),
                "model": _changing(self.model),
                "average": None if self._average is None else _changing(self._average),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.precision.scaler.state_dict(),
                "state": vars(state),
            },
        )
        self._saved_at = time.monotonic()

    def _resume(self) -> _State:
        saved = read_checkpoint(self.checkpoint, self._identity())
        if saved is None:
            return _State()
        _restore(self.model, saved["model"])
        if self._average is not None:
            _restore(self._average, saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.precision.scaler.load_state_dict(saved["scaler"])
        state = _State(**saved["state"])
        self.run.log({"stage": self.stage, "resumed_after_epoch": state.epoch})
        return state

    def _cuda_devices(self) -> list[int]:
        return [self.device.index or 0] if self.device.type == "cuda" else []


def _paired(model: nn.Module, average: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    ours, averaged = model.state_dict(), average.state_dict()
    names = [n for n, t in ours.items() if t.is_floating_point()]
    return [ours[n] for n in names], [averaged[n] for n in names]


def _changing(model: nn.Module) -> dict[str, Tensor]:
    """What training can change: all but frozen parameters, which may be billions."""
    named = model.named_parameters(remove_duplicate=False)
    frozen = {name for name, parameter in named if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def _restore(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Puts back what :func:`_changing` gave."""
    model.load_state_dict(state, strict=False)  # frozen parameters are still there


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _check_loss(loss: Tensor, part: str) -> None:
    if loss.ndim != 0:
        raise MethodError(
            f"the {part} loss has shape {tuple(loss.shape)}, expected a scalar: return a mean"
        )
    if not math.isfinite(float(loss)):
        raise MethodError(f"the {part} loss of the first batch is {float(loss)}, expected finite")
