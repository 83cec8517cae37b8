"""Losses over several tasks whose labels may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from benchmark.errors import MethodError
from benchmark.tasks import Task
from benchmark.training.batches import Batch

__all__ = ["TaskScales", "masked_losses"]


@dataclass(frozen=True)
class TaskScales:
    """What the loss takes from training labels.

    Attributes:
        weights: By classification task, the weight of each class, (K,). Each task's weights times
            its training labels sum to the number of training people, so that every task counts the
            same however few of them carry its label.
        presence: By regression task, the weight of a labelled person, for the same reason.
        mean: By regression task, the training mean in the task's unit.
        sd: By regression task, the training standard deviation.
    """

    weights: Mapping[str, Sequence[float]] = field(default_factory=dict)
    presence: Mapping[str, float] = field(default_factory=dict)
    mean: Mapping[str, float] = field(default_factory=dict)
    sd: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def learn(
        tasks: Sequence[Task], labels: Mapping[str, np.ndarray], *, balance: bool
    ) -> TaskScales:
        """Measures training labels.

        Args:
            tasks: The tasks.
            labels: By task, (N,), NaN where unknown.
            balance: Whether classes weigh equally; else people do.

        Raises:
            MethodError: A task has no labelled person, or a class has none.
        """
        weights, presence, mean, sd = {}, {}, {}, {}
        for task in tasks:
            values = labels[task.name]
            known = values[~np.isnan(values)]
            if not len(known):
                raise MethodError(f"task {task.name!r}: no training person has a label")
            rate = len(values) / len(known)
            if not task.classes:
                presence[task.name] = rate
                mean[task.name] = float(known.mean())
                sd[task.name] = float(known.std()) or 1.0
                continue
            counts = np.bincount(known.astype(np.int64), minlength=len(task.classes))
            if not counts.all():
                empty = [c for c, n in zip(task.classes, counts, strict=True) if not n]
                raise MethodError(
                    f"task {task.name!r}: no training person of class {', '.join(empty)}; every "
                    "class needs one"
                )
            share = len(known) / (len(counts) * counts) if balance else np.ones(len(counts))
            weights[task.name] = [float(rate * s) for s in share]
        return TaskScales(weights, presence, mean, sd)

    def standardise(self, task: str, values: np.ndarray) -> np.ndarray:
        """Values on the scale that the network learns; class indices pass unchanged."""
        return (values - self.mean[task]) / self.sd[task] if task in self.mean else values


def masked_losses(
    outputs: Mapping[str, Tensor], batch: Batch, scales: TaskScales, smoothing: float = 0.0
) -> dict[str, Tensor]:
    """Mean loss over the batch by task; a person without a label adds exactly zero.

    Cross-entropy weighted by class, or smooth L1 on the standardised value.

    Args:
        outputs: By task, logits (B, K) or standardised values (B, 1).
        batch: Labels and masks, (B,).
        scales: Class weights and scales of the training labels.
        smoothing: Label smoothing, in training batches only.
    """
    losses = {}
    for task, labels in batch.labels.items():
        answer, mask = outputs[task].float(), batch.masks[task]
        if task in scales.weights:
            weights = torch.tensor(scales.weights[task], device=answer.device)
            each = cross_entropy(
                answer, labels, reduction="none", label_smoothing=smoothing if batch.training else 0
            )
            each = each * weights[labels]
        else:
            each = smooth_l1_loss(answer[:, 0], labels, reduction="none")
            each = each * scales.presence[task]
        losses[task] = torch.where(mask > 0, each, 0.0).mean()
    return losses
