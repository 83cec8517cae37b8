"""What guides the network besides diagnoses: masks of the hippocampus, and who has atrophy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from monai.losses import DiceCELoss
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmark.api import SampleError, Samples, Task

from .settings import COVARIATES

MASK = "hippocampus_mask"
HEALTHY = ("CN", "HC", "control")
_ROWS_AT_ONCE = 64


def mask_voxels(samples: Samples) -> np.ndarray:
    """Voxels of each person's hippocampus mask, (N,); 0 where there is none."""
    voxels = np.zeros(samples.n)
    try:
        masks = samples.targets(MASK)
    except SampleError:
        return voxels
    for start in range(0, samples.n, _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, samples.n))
        voxels[rows] = masks.take(rows).reshape(len(rows), -1).sum(axis=1)
    return voxels


def healthy(samples: Samples, tasks: Sequence[Task]) -> np.ndarray:
    """Who is known to be healthy from the labels of the tasks, (N,) bool."""
    known = np.zeros(samples.n, dtype=bool)
    for task in tasks:
        values, has = samples.labels(task.name)
        if task.name == "brain_age":  # eligible are the healthy alone
            known |= has
        elif task.classes and task.classes[0] in HEALTHY:
            known |= has & (values == 0)
    return known


@dataclass
class AtrophyRule:
    """Hippocampal atrophy: a volume too small for the head and, where known, for the age.

    Linear regression on training people; the label is whether the standardised residual is below a
    threshold.

    Attributes:
        covariates: What is adjusted for; ``head_size_mm3`` and ``age_years`` at most.
        coefficients: Intercept and slopes; empty where there were too few people to learn from,
            and then nobody has a label.
        sd: Standard deviation of the residuals.
        threshold: Residuals below this many standard deviations are atrophy.
    """

    covariates: list[str] = field(default_factory=list)
    coefficients: list[float] = field(default_factory=list)
    sd: float = 1.0
    threshold: float = -1.5

    @staticmethod
    def learn(
        train: Samples,
        tasks: Sequence[Task],
        threshold: float,
        adjusted_for: Sequence[str],
        chosen: np.ndarray,
        least: int,
    ) -> AtrophyRule:
        """Fits the rule to training people.

        Args:
            train: Training people.
            tasks: Tasks of the fit; where brain age is one, its labels tell the age.
            threshold: See :attr:`threshold`.
            adjusted_for: What to adjust for, if it is known of everybody with a mask. Adjusting
                some people alone would let the label depend on whose age is known: where brain age
                is a task, that of the healthy.
            chosen: Whom to fit it to, if they have a mask, (N,) bool.
            least: How many of them there must be.
        """
        voxels = mask_voxels(train)
        known = _covariates(train, tasks)
        measured = voxels > 0
        used = [
            name
            for name, values in known.items()
            if name in adjusted_for and np.isfinite(values[measured]).all()
        ]
        reference = chosen & measured
        if reference.sum() < least:
            return AtrophyRule(threshold=threshold)
        design = _design(known, used, train.n)
        solved = np.linalg.lstsq(design[reference], voxels[reference], rcond=None)[0]
        residuals = voxels[reference] - design[reference] @ solved
        freedom = max(int(reference.sum()) - len(solved), 1)
        sd = float(np.sqrt((residuals**2).sum() / freedom)) or 1.0
        return AtrophyRule(used, solved.tolist(), sd, threshold)

    def labels(self, samples: Samples, tasks: Sequence[Task]) -> np.ndarray:
        """1 with atrophy, 0 without, -1 without a mask or a covariate; (N,) int64."""
        out = np.full(samples.n, -1, dtype=np.int64)
        if not self.coefficients:
            return out
        voxels = mask_voxels(samples)
        design = _design(_covariates(samples, tasks), self.covariates, samples.n)
        z = (voxels - design @ np.array(self.coefficients)) / self.sd
        known = (voxels > 0) & np.isfinite(z)
        out[known] = (z[known] < self.threshold).astype(np.int64)
        return out


def _covariates(samples: Samples, tasks: Sequence[Task]) -> dict[str, np.ndarray]:
    """Head size as measured from the volume, and age where a label or the track tells it."""
    found = {}
    for table in samples.tables.values():
        for name in COVARIATES:
            if name in table:
                found[name] = table[name].to_numpy(dtype=np.float64)
    if "age_years" not in found and any(task.name == "brain_age" for task in tasks):
        found["age_years"] = samples.labels("brain_age")[0]
    return found


def _design(known: dict[str, np.ndarray], used: Sequence[str], n: int) -> np.ndarray:
    nowhere = np.full(n, np.nan)
    return np.column_stack([np.ones(n), *(known.get(name, nowhere) for name in used)])


def segmentation_loss(
    logits: Tensor, masks: Tensor, known: Tensor, ce_weight: float = 1.0
) -> Tensor:
    """Dice and cross-entropy, a mean over the batch; who has no mask adds exactly 0.

    Args:
        logits: Shape (B, 2, D, H, W).
        masks: Share of each voxel that is hippocampus, (B, 1, D, H, W).
        known: 1 where there is a mask, (B,).
        ce_weight: Weight of the cross-entropy, a mean over all voxels, beside that of Dice, 1.
    """
    rows = known > 0
    if not rows.any():
        return logits.sum() * 0.0
    masks = masks[rows]
    dice_ce = DiceCELoss(include_background=False, softmax=True, lambda_ce=ce_weight)
    loss: Tensor = dice_ce(logits[rows].float(), torch.cat([1 - masks, masks], dim=1))
    return loss * (rows.sum() / len(rows))


def class_weights(labels: np.ndarray) -> list[float]:
    """What people with and without atrophy count for both to weigh the same; 1 in the mean.

    Args:
        labels: 0, 1, or -1 where unknown, (N,).
    """
    counts = np.bincount(labels[labels >= 0], minlength=2)
    return [float(w) for w in counts.sum() / (2 * np.maximum(counts, 1))]


def atrophy_loss(logits: Tensor, labels: Tensor, weights: Sequence[float] = (1.0, 1.0)) -> Tensor:
    """Cross-entropy, a mean over the batch; who has no label adds exactly 0.

    Args:
        logits: Shape (B, 2).
        labels: 0, 1, or -1 where unknown, (B,).
        weights: What each class counts.
    """
    each = cross_entropy(
        logits.float(), labels.clamp_min(0), logits.new_tensor(weights).float(), reduction="none"
    )
    return torch.where(labels >= 0, each, 0.0).mean()


def dice(found: Tensor, masks: Tensor) -> Tensor:
    """Dice coefficient of two binary maps in each person, (B,); 1 where both are empty.

    Args:
        found: Shape (B, 1, D, H, W).
        masks: Shape (B, 1, D, H, W).
    """
    axes = (1, 2, 3, 4)
    both = (found * masks).sum(dim=axes)
    total = found.sum(dim=axes) + masks.sum(dim=axes)
    return torch.where(total > 0, 2 * both / total.clamp_min(1), 1.0)
