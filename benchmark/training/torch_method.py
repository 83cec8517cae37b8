"""`TorchMethod`: the author writes ``build()`` and, if needed, ``inputs()`` and ``loss()``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import ConfigError, MethodError
from benchmark.method import Method, RunContext
from benchmark.prediction import Prediction
from benchmark.samples.rows import LazyRows
from benchmark.samples.samples import Samples
from benchmark.tasks import Task
from benchmark.training.augment import mirror
from benchmark.training.balance import LossBalance
from benchmark.training.batches import Batch, BatchSource, Column, even_batches, label_strata
from benchmark.training.config import TrainerConfig
from benchmark.training.devices import Precision, channels_last, resolve_device
from benchmark.training.groups import parameter_groups
from benchmark.training.keys import key
from benchmark.training.losses import TaskScales, masked_losses
from benchmark.training.settings import from_plain
from benchmark.training.trainer import Trainer

__all__ = ["TorchMethod"]

_MODEL_FILE = "model.pt"
_SCHEMA = "schema"
_BALANCE = "loss_balance"


class TorchMethod(Method):
    """A network that the shared loop trains, for one task or several at once.

    Set :attr:`config_type` to a dataclass with a field ``trainer: TrainerConfig`` and write
    :meth:`build`. ``forward`` takes a dict of tensors, e.g. ``{"t1w": (B, 1, D, H, W)}``, and
    returns by task name logits (B, K) or a standardised value (B, 1).
    """

    config_type: ClassVar[type]

    def __init__(self, config: Any = None) -> None:
        super().__init__(self.config_type() if config is None else config)
        self.model: nn.Module | None = None
        self._scales = TaskScales()
        self._residual_sd: dict[str, float] = {}
        self._device = torch.device("cpu")
        self._precision = "float32"
        self._schema = Samples(n=0)
        self._tasks: tuple[str, ...] = ()

    # What an author writes -----------------------------------------------------------------------

    @abstractmethod
    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network.

        Args:
            train: Training people. On loading, the same columns and shapes with no people; what is
                measured from people must therefore live in parameters or buffers.
            tasks: The tasks that it must answer.
        """

    def inputs(self, samples: Samples) -> Mapping[str, Column]:
        """What enters a batch: arrays of N rows, lazy or in memory; the T1w volumes by default."""
        if "t1w" not in samples.arrays:
            raise MethodError(
                f"{type(self).__name__} needs T1w volumes, which these samples do not hold; choose "
                "a track with t1w (`neurodx list tracks`) and a cohort that has volumes"
            )
        return {"t1w": samples.arrays["t1w"]}

    def targets(self, samples: Samples) -> Mapping[str, Column]:
        """Auxiliary targets of training and validation batches, moved along with the volumes."""
        return {}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Every loss by name, each a mean over the batch; those of the tasks by default.

        Override it, and :meth:`loss_names`, to learn from more than labels.
        """
        return self.task_losses(outputs, batch)

    def loss_names(self, tasks: Sequence[Task]) -> list[str]:
        """Names of :meth:`losses`."""
        return [task.name for task in tasks]

    def present(self, batch: Batch) -> dict[str, bool]:
        """By loss, whether anybody in the batch can be learned from; where not named, somebody."""
        return {task: bool(mask.any()) for task, mask in batch.masks.items()}

    def penalty(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor | None:
        """What training adds to the weighed losses as it is, e.g. for the balance of experts."""
        return None

    def loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Sum of :meth:`losses` with their fixed weights, and in training the :meth:`penalty`."""
        losses, weights = self.losses(outputs, batch), self.trainer.balance.weights
        terms = [weights[n] * loss if n in weights else loss for n, loss in losses.items()]
        penalty = self.penalty(outputs, batch) if batch.training else None
        return torch.stack(terms if penalty is None else [*terms, penalty]).sum()

    def usable(self, samples: Samples) -> np.ndarray:
        """Who can be learned from, (N,) bool: every lazy input present, at least one label."""
        labelled = np.zeros(samples.n, dtype=bool)
        for task in self._tasks:
            labelled |= samples.labels(task)[1]
        for column in self.inputs(samples).values():
            if isinstance(column, LazyRows):
                labelled &= column.available
        return labelled

    def backward(
        self, outputs: Mapping[str, Tensor], batch: Batch, scale: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Fills gradients; override to combine the gradients of several losses."""
        balance = self._balance()
        if balance is not None:
            losses, present = self.losses(outputs, batch), self.present(batch)
            _refuse_constant(*losses.values())
            penalty = self.penalty(outputs, batch)
            return balance.backward(losses, present, self.shared_parameters(), scale, penalty)
        loss = self.loss(outputs, batch)
        _refuse_constant(loss)
        scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def shared_parameters(self) -> list[nn.Parameter]:
        """Where the gradients of several losses are compared: all but ``heads``."""
        return [
            parameter
            for name, parameter in self._fitted().named_parameters()
            if parameter.requires_grad and name.split(".")[0] not in ("heads", _BALANCE)
        ]

    def initialise(self, model: nn.Module, run: RunContext) -> None:
        """Runs once the network is built, before it is trained: e.g. loads ``run.pretrained``."""

    def train(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Trains :attr:`model` on people who can be learned from.

        Override it for several trainings, each a :class:`Trainer` with a stage name of its own.
        """
        sources = [self.source(part, tasks) for part in (train, val)]
        Trainer(self._fitted(), self, sources[0], sources[1], self.trainer, run).fit()

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Trainable parameters; those with one axis or none (norms, biases) do not decay."""
        return parameter_groups(model, order=(None,))

    # The contract --------------------------------------------------------------------------------

    @property
    def trainer(self) -> TrainerConfig:
        """Settings of the training loop."""
        return self.config.trainer  # type: ignore[no-any-return]

    def task_losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The loss of each task by itself."""
        missing = batch.labels.keys() - outputs.keys()
        if missing:
            raise MethodError(
                f"{type(self).__name__}: forward returned {sorted(outputs)}, expected also "
                f"{sorted(missing)}: one output per task, by its name"
            )
        return masked_losses(outputs, batch, self._scales, self.trainer.label_smoothing)

    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Trains one network for all tasks; continues where an interrupted fit stopped."""
        self._device, self._precision = resolve_device(run.device), run.precision
        self._tasks = tuple(task.name for task in tasks)
        train, val = (part.subset(self.usable(part)) for part in (train, val))
        if not len(train):
            raise MethodError(f"no training person has both inputs and a label of {self._tasks}")
        self._schema = train.without_labels().subset(np.zeros(0, dtype=np.int64))
        labels = {task.name: train.labels(task.name)[0] for task in tasks}
        self._scales = TaskScales.learn(tasks, labels, balance=self.trainer.class_weights)
        self.prepare(train, tasks, run)
        self.model = self._built(train, tasks, run)
        self.initialise(self.model, run)
        self._check_outputs(train, tasks)
        self.train(train, val, tasks, run)
        self._residual_sd = self._residuals(val, tasks)

    def prepare(self, train: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Runs before the network is built: a pretraining, a measurement; nothing by default."""

    def predict(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, Prediction]:
        """Predicts in batches, in eval mode; a row depends on its person alone."""
        for task in tasks:
            if task.name not in self._tasks:
                raise MethodError(
                    f"task {task.name!r} was not fitted; this model knows {', '.join(self._tasks)}"
                )
        answers = self._answers(samples, tasks)
        predictions = {}
        for task in tasks:
            answer = answers[task.name]
            if task.classes:
                predictions[task.name] = Prediction(probabilities=answer)
                continue
            mean = answer[:, 0] * self._scales.sd[task.name] + self._scales.mean[task.name]
            spread = self._residual_sd.get(task.name)
            sd = None if spread is None else np.full(len(mean), spread)
            predictions[task.name] = Prediction(mean=mean, sd=sd)
        return predictions

    def save(self, folder: Path) -> None:
        """Writes weights, settings and the columns that the network was built for."""
        self._schema.write(folder / _SCHEMA)
        facts = {
            "config": asdict(self.config),
            "tasks": list(self._tasks),
            "scales": asdict(self._scales),
            "residual_sd": self._residual_sd,
            "precision": self._precision,
            "state": {n: t.cpu() for n, t in self._fitted().state_dict().items()},
        }
        torch.save(facts, folder / _MODEL_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what :meth:`save` wrote; the file can hold tensors and plain values only."""
        from benchmark.tasks import get_task

        facts = torch.load(folder / _MODEL_FILE, map_location="cpu", weights_only=True)
        method = cls(from_plain(cls.config_type, facts["config"]))
        method._tasks = tuple(facts["tasks"])
        method._scales = TaskScales(**facts["scales"])
        method._residual_sd = facts["residual_sd"]
        method._precision = facts["precision"]
        method._schema = Samples.read(folder / _SCHEMA)
        with torch.random.fork_rng(devices=[]):
            tasks = [get_task(name) for name in method._tasks]
            model = channels_last(method._network(method._schema, tasks))
        model.load_state_dict(facts["state"])
        method.model = model.eval()
        return method

    def parameter_count(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self._fitted().parameters() if p.requires_grad)

    @torch.no_grad()
    def embed(self, samples: Samples) -> np.ndarray:
        """What ``features(inputs)`` of the network gives, (N, d), where it has that method."""
        features = getattr(self._fitted().eval(), "features", None)
        if not callable(features):
            raise NotImplementedError(f"the network of {type(self).__name__} has no features()")
        parts = [features(batch.inputs).float().cpu() for batch in self._batches(samples)]
        return torch.cat(parts).numpy()

    # Parts ---------------------------------------------------------------------------------------

    def source(self, samples: Samples, tasks: Sequence[Task]) -> BatchSource:
        """Batches of people with labels, values standardised."""
        labels = {
            task.name: self._scales.standardise(task.name, samples.labels(task.name)[0])
            for task in tasks
        }
        kinds = frozenset(task.name for task in tasks if task.classes)
        strata = label_strata(labels, kinds) if self.trainer.even_labels else None
        return BatchSource(self.inputs(samples), labels, kinds, self.targets(samples), strata)

    def _built(self, train: Samples, tasks: Sequence[Task], run: RunContext) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(run.seed, "init"))
            return channels_last(self._network(train, tasks)).to(self._device)

    def _network(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """What the author built, and beside it the weights of its losses."""
        model = self.build(train, tasks)
        config = self.trainer.balance
        config.check()
        if not config.is_plain:
            if type(self).loss is not TorchMethod.loss:
                raise ConfigError(
                    f"{type(self).__name__} has a loss() of its own, which trainer.balance cannot "
                    "take apart; override losses() and loss_names() instead, or leave "
                    "trainer.balance as it is"
                )
            model.add_module(_BALANCE, LossBalance(self.loss_names(tasks), config))
        return model

    def _balance(self) -> LossBalance | None:
        balance = getattr(self.model, _BALANCE, None)
        return balance if isinstance(balance, LossBalance) else None

    def _fitted(self) -> nn.Module:
        if self.model is None:
            raise MethodError(f"{type(self).__name__} is not fitted; fit() or load() it first")
        return self.model

    def _batches(self, samples: Samples) -> Iterator[Batch]:
        source = BatchSource(self.inputs(samples))
        for rows in even_batches(np.arange(samples.n), self.trainer.predict_batch_size):
            yield source.read(rows).to(self._device)

    @torch.no_grad()
    def _answers(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, np.ndarray]:
        """Class probabilities (N, K) or standardised values (N, 1), float64."""
        model = self._fitted().eval()
        precision = Precision(self._precision, self._device)
        parts: dict[str, list[np.ndarray]] = {task.name: [] for task in tasks}
        for batch in self._batches(samples):
            views = [batch.inputs]
            if self.trainer.flip_average:
                views.append(mirror(batch.inputs))
            with precision.autocast():
                answers = [model(view) for view in views]
            for task in tasks:
                values = [answer[task.name].double() for answer in answers]
                if task.classes:
                    values = [value.softmax(dim=1) for value in values]
                parts[task.name].append(torch.stack(values).mean(dim=0).cpu().numpy())
        return {
            t.name: np.concatenate(parts[t.name] or [np.zeros((0, t.n_outputs))]) for t in tasks
        }

    def _check_outputs(self, train: Samples, tasks: Sequence[Task]) -> None:
        """One forward pass and one prediction, so that a wrong shape shows before training."""
        name = type(self).__name__
        few = train.without_labels().subset(np.arange(min(2, train.n)))
        with torch.no_grad():
            outputs = self._fitted().eval()(next(self._batches(few)).inputs)
        for task in tasks:
            if task.name not in outputs:
                raise MethodError(
                    f"{name}: forward returned {sorted(outputs)}, expected one output per task: "
                    f"{task.name!r} is missing"
                )
            expected = (few.n, task.n_outputs)
            if tuple(outputs[task.name].shape) != expected:
                raise MethodError(
                    f"{name}: the output of task {task.name!r} has shape "
                    f"{tuple(outputs[task.name].shape)}, expected {expected}"
                )
        for task_name, prediction in self.predict(few, tasks).items():
            prediction.check(next(t for t in tasks if t.name == task_name), few.n, name)

    def _residuals(self, val: Samples, tasks: Sequence[Task]) -> dict[str, float]:
        spreads = {}
        values = [task for task in tasks if not task.classes]
        predictions = self.predict(val, values) if values and len(val) else {}
        for name, prediction in predictions.items():
            truth, known = val.labels(name)
            if known.any() and prediction.mean is not None:
                error = prediction.mean[known] - truth[known]
                spreads[name] = float(np.sqrt(np.mean(error**2)))
        return spreads


def _refuse_constant(*losses: Tensor) -> None:
    if not any(loss.requires_grad for loss in losses):
        raise MethodError("the training loss does not depend on any trainable parameter")
