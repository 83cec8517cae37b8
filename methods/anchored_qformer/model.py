"""Joint adaptation of four encoders by anchored Q-formers.

One fit has two stages. The first trains an encoder and a linear head for each modality alone. The
second freezes the encoders; in the round of each modality, the anchor, Q-formers read what the
other encoders make of a person and write it into the anchor's input, low-rank updates tune the
anchor, and the answer is the mean over the anchors that a person has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import (
    Batch,
    BatchSource,
    RunContext,
    Samples,
    Task,
    TorchMethod,
    Trainer,
    parameter_groups,
)

from .info import AnchoredConfig, StageConfig
from .modalities import SMRI, SOURCES, TEXT, make_readers
from .network import Network, Parts, Unimodal
from .records import cut_share, written
from .showing import shown

__all__ = ["AnchoredQFormer"]


class AnchoredQFormer(TorchMethod):
    """Anchored Q-formers as a method; a track with one modality makes it that modality's own."""

    config_type = AnchoredConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network of the modalities that these samples hold."""
        readers = make_readers(self.config, train)
        dropouts = {m: self._stage(m).dropout for m in readers}
        return Network(readers, tasks, dropouts, self.config.fusion)

    def initialise(self, model: nn.Module, run: RunContext) -> None:
        """Starts the volume encoder from pretrained weights, where there are any."""
        if run.pretrained is not None and SMRI in model.names:
            model.unimodal[SMRI].reader.encoder.encoder.load_pretrained(run.pretrained)

    def inputs(self, samples: Samples) -> Mapping[str, Any]:
        """Token ids, volumes, series and dosages, as far as the network reads them."""
        columns: dict[str, Any] = {}
        for unimodal in self._fitted().unimodal.values():
            columns |= unimodal.reader.columns(samples)
        return columns

    def usable(self, samples: Samples) -> np.ndarray:
        """Who has a label, (N,) bool; whom nothing is known of is left out of both stages."""
        labelled = np.zeros(samples.n, dtype=bool)
        for task in self._tasks:
            labelled |= samples.labels(task)[1]
        if self.config.complete_only:
            masks = [mask for name, mask in samples.available.items() if name in SOURCES]
            labelled &= np.all([mask for mask in masks if mask.any()], axis=0)
        return labelled

    def prepare(self, train: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Keeps the training texts, whose length is told once there is a tokenizer."""
        del tasks, run
        self._texts = written(train, self.config.text.order)

    # Two stages ----------------------------------------------------------------------------------

    def train(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Trains each modality alone, then all together on what the frozen encoders make."""
        model = self._fitted()
        sources = [self.source(part, tasks) for part in (train, val)]
        self._tell_cut(run)
        for number, (modality, unimodal) in enumerate(model.unimodal.items()):
            parts = [part.subset(unimodal.reader.there(part.inputs)) for part in sources]
            model.learned[number] = len(parts[0]) > 0
            if len(parts[0]):
                self._first_stage(modality, unimodal, parts[0], parts[1], run)
        model.begin_second_stage()
        kept = [self._kept(part.subset(self._seen(part))) for part in sources]
        Trainer(model, self, kept[0], kept[1], self.trainer, run, "fusion").fit()

    def _seen(self, source: BatchSource) -> np.ndarray:
        """Who has any modality, (N,) bool."""
        readers = [unimodal.reader for unimodal in self._fitted().unimodal.values()]
        return np.any([reader.there(source.inputs) for reader in readers], axis=0)

    def _stage(self, modality: str) -> StageConfig:
        stage: StageConfig = getattr(self.config, f"{modality}_stage")
        return stage

    def _first_stage(
        self,
        modality: str,
        unimodal: Unimodal,
        train: BatchSource,
        val: BatchSource,
        run: RunContext,
    ) -> None:
        unimodal.reader.measure(train.inputs)
        stage = self._stage(modality)
        unimodal.begin(learns=stage.encoder_rate > 0)
        learner = FirstStage(self, stage)
        Trainer(unimodal, learner, train, val, stage.trainer, run, modality).fit()

    @torch.no_grad()
    def _kept(self, source: BatchSource) -> BatchSource:
        """The same people with what the frozen encoders make of them, computed once."""
        model = self._fitted().eval()
        kept: dict[str, list[np.ndarray]] = {}
        size = self.trainer.predict_batch_size
        for start in range(0, len(source), size):
            batch = source.read(np.arange(start, min(start + size, len(source))))
            for m, part in model.parts(batch.to(self._device).inputs).items():
                for field, x in zip(Parts._fields, part, strict=True):
                    kept.setdefault(f"{m}_{field}", []).append(x.cpu().numpy())
        arrays = {name: np.concatenate(rows) for name, rows in kept.items()}
        return replace(source, inputs=arrays or source.inputs)

    def _tell_cut(self, run: RunContext) -> None:
        """Logs how much of the training texts the limit on tokens cuts off."""
        unimodal = self._fitted().unimodal
        if TEXT in unimodal:
            encoder = unimodal[TEXT].reader.encoder
            texts, tokens = cut_share(encoder.count_tokens(self._texts), encoder.max_tokens)
            run.log({"stage": TEXT, "texts_cut": texts, "tokens_cut": tokens})

    # Losses --------------------------------------------------------------------------------------

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """While training the mean over anchors of each one's loss, else the loss of the answer.

        With ``fusion.loss: answer`` that of the answer throughout.
        """
        anchors = list(self._fitted().rounds)
        if not batch.training or not anchors or self.config.fusion.loss == "answer":
            return self.weighed_losses(outputs, batch)
        totals: dict[str, list[Tensor]] = {task: [] for task in batch.labels}
        for m in anchors:
            there = batch.inputs[f"{m}_mask"].any(dim=1).float()
            masks = {task: mask * there for task, mask in batch.masks.items()}
            answers = {task: outputs[f"{m}/{task}"] for task in batch.labels}
            for task, loss in self.weighed_losses(answers, replace(batch, masks=masks)).items():
                totals[task].append(loss)
        return {task: torch.stack(losses).mean() for task, losses in totals.items()}

    def weighed_losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The loss of each task with its weight."""
        weights = self.config.task_weights
        losses = self.task_losses(outputs, batch)
        return {task: weights.get(task, 1.0) * loss for task, loss in losses.items()}

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Heads have a learning rate of their own; vectors do not decay."""
        return _groups(model, self.trainer.lr, self.config.fusion.head_rate, of_heads=True)

    # What it shows -------------------------------------------------------------------------------

    @torch.no_grad()
    def expose(self, samples: Samples) -> dict[str, np.ndarray]:
        """Where queries look, whom they hear, and how each anchor votes.

        Returns:
            ``attention_<modality>``, what its tokens got from the queries that read it, averaged
            over heads, queries and anchors, (N, T); ``cross_mass``, what each modality got from
            the cross path, averaged over the person's anchors, (N, M), in the order of
            ``modalities``; ``votes_<task>``, each anchor's probabilities, (N, M, K). All are 0
            where a modality is missing. Without queries there are votes alone, with concatenated
            features nothing.
        """
        model = self._fitted().eval()
        rows: dict[str, list[np.ndarray]] = {}
        for batch in self._batches(samples):
            for name, values in shown(model, batch.inputs).items():
                rows.setdefault(name, []).append(values.float().cpu().numpy())
        return {name: np.concatenate(parts) for name, parts in rows.items()}


class FirstStage:
    """Learns one modality alone.

    Args:
        method: Gives the losses of the tasks.
        stage: Settings.
    """

    def __init__(self, method: AnchoredQFormer, stage: StageConfig) -> None:
        self.method, self.stage = method, stage

    def loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Sum over tasks, weighted as in the second stage."""
        return torch.stack(list(self.method.weighed_losses(outputs, batch).values())).sum()

    def backward(
        self, outputs: Mapping[str, Tensor], batch: Batch, scale: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Fills gradients."""
        loss = self.loss(outputs, batch)
        scale(loss).backward()
        return loss.detach()

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The encoder has a learning rate of its own; vectors do not decay."""
        return _groups(model, self.stage.trainer.lr, self.stage.encoder_rate, of_heads=False)


def _groups(model: nn.Module, lr: float, rate: float, *, of_heads: bool) -> list[dict[str, Any]]:
    """Trainable parameters by whether they decay and whose learning rate is ``rate`` times ``lr``.

    Args:
        model: The network.
        lr: Learning rate of the others.
        rate: A multiple of it.
        of_heads: Whether that is the heads' or that of all but heads.
    """
    return parameter_groups(
        model,
        lambda name: ("heads" in name.split(".")) == of_heads,
        rate=lambda other: lr * (rate if other else 1.0),
        order=(True, False),
    )
