"""Flex-MoE: people with every modality are learned from first, then everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import (
    Batch,
    BatchSource,
    MethodError,
    RunContext,
    Samples,
    Task,
    TorchMethod,
    Trainer,
    parameter_groups,
)
from benchmark.encoders import FeatureStore
from benchmark.encoders.gating import Choice

from .experts import routing_loss
from .info import FlexConfig
from .modalities import SMRI, held, make_readers
from .network import COMBINATION, ROUTING, Network

__all__ = ["FlexMoE"]

_READ_ONCE = ("label_smoothing", "class_weights", "even_labels", "balance", "flip_average")


class FlexMoE(TorchMethod):
    """Flex-MoE as a method."""

    config_type = FlexConfig

    def __init__(self, config: FlexConfig | None = None) -> None:
        super().__init__(config)
        self._store = FeatureStore()
        self._measured: Samples | None = None
        self._lr = self.trainer.lr  # of the stage that runs

    def prepare(self, train: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Notes where features are kept, whom statistics come from, and what these people have.

        Raises:
            MethodError: A setting of the first stage is not used.
        """
        del tasks
        for name in _READ_ONCE:
            first, both = (getattr(t, name) for t in (self.config.complete, self.trainer))
            if first != both:
                raise MethodError(
                    f"flex_moe: complete.{name} is not used, trainer.{name} holds in both stages; "
                    f"set complete.{name} to the same ({both})"
                )
        self._store, self._measured = FeatureStore(run.features), train
        self._schema = held(train).without_labels().subset(np.zeros(0, dtype=np.int64))

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network of the modalities that anybody in training has."""
        del train  # what they hold is in the schema, which is what a saved network is built from
        return Network(make_readers(self.config, self._schema, self._store), tasks, self.config)

    def initialise(self, model: nn.Module, run: RunContext) -> None:
        """Takes statistics from training people."""
        del run
        columns = self.inputs(self._measured)
        for tokens in model.tokens.values():
            tokens.reader.measure(columns)
        self._measured = None

    def inputs(self, samples: Samples) -> Mapping[str, Any]:
        """What the readers take, and who has which modality, ``<modality>_is_there`` (N,) bool."""
        columns: dict[str, Any] = {}
        for m, tokens in self._fitted().tokens.items():
            own = tokens.reader.columns(samples)
            columns |= own | {f"{m}_is_there": tokens.reader.there(own)}
        return columns

    def usable(self, samples: Samples) -> np.ndarray:
        """Who has a label and anything beside, (N,) bool."""
        labelled = np.zeros(samples.n, dtype=bool)
        for task in self._tasks:
            labelled |= samples.labels(task)[1]
        measured = [samples.has(m) for m in ("clinical", "report", "t1w", "fmri", "genetic")]
        return labelled & np.any(measured, axis=0)

    # Training ------------------------------------------------------------------------------------

    def train(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """First those who have every modality, then everybody."""
        model = self._fitted()
        parts = [self.source(part, tasks) for part in (train, val)]
        first = [part.subset(self._complete(part)) for part in parts]
        if len(first[0]) >= self.config.least_complete:
            self._lr = self.config.complete.lr
            Trainer(model, self, first[0], first[1], self.config.complete, run, "complete").fit()
        self._lr = self.trainer.lr
        Trainer(model, self, parts[0], parts[1], self.trainer, run).fit()

    def _complete(self, source: BatchSource) -> np.ndarray:
        """Who has every modality, (N,) bool."""
        there = [source.inputs[f"{m}_is_there"] for m in self._fitted().modalities]
        return np.all(there, axis=0)

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The loss of each task with its weight."""
        weights = self.config.task_weights
        losses = self.task_losses(outputs, batch)
        return {task: weights.get(task, 1.0) * loss for task, loss in losses.items()}

    def penalty(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor | None:
        """What the routers learn from beside the tasks, summed over blocks."""
        del batch
        if ROUTING not in outputs:
            return None
        code, target = outputs[COMBINATION], self._fitted().target
        losses = [
            routing_loss(Choice(*each.unbind(1)), code, target, self.config.experts)
            for each in outputs[ROUTING].unbind(1)
        ]
        return torch.stack(losses).sum()

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The volume encoder has the stage's rate; vectors do not decay, nor bank and places."""
        spared = () if self.config.fusion.bank_decays else ("bank.", "place")
        return parameter_groups(
            model,
            lambda name: name.startswith(f"tokens.{SMRI}.reader."),
            rate=lambda volume: self._lr * (1.0 if volume else self.config.rate),
            decays=lambda name: not name.startswith(spared),
        )

    # What it shows -------------------------------------------------------------------------------

    @torch.no_grad()
    def expose(self, samples: Samples) -> dict[str, np.ndarray]:
        """Combinations and routing.

        Returns:
            ``combination`` (N,), bit m set where a person has modality m, in the order record, T1w,
            fMRI, genetics and, where it is one of its own, report; ``routing`` (N, E), what each
            expert counts, averaged over tokens and blocks, which is not there without experts.
        """
        model = self._fitted().eval()
        rows: dict[str, list[np.ndarray]] = {}
        for batch in self._batches(samples):
            outputs = model(batch.inputs)
            rows.setdefault(COMBINATION, []).append(outputs[COMBINATION].cpu().numpy())
            if ROUTING in outputs:
                weights = outputs[ROUTING][:, :, 0].mean(dim=(1, 2))  # b e
                rows.setdefault(ROUTING, []).append(weights.cpu().numpy())
        return {name: np.concatenate(parts) for name, parts in rows.items()}
