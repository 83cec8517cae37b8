"""SFCN: convolutions that halve the volume, and a distribution over age bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from baselines.sfcn.info import SfcnConfig
from benchmark.api import Batch, NormaliseVolumes, Samples, Task, TorchMethod

AGE = "brain_age"
BINS = "brain_age_bins"


class Sfcn(TorchMethod):
    """SFCN as a method; the loss is the divergence from a softened age (Peng et al. 2021)."""

    config_type = SfcnConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; the bins cover the training ages and are kept as a buffer."""
        edges = torch.zeros(self.config.bins + 1)
        if train.has_labels:
            values, known = train.labels(AGE)
            ages, margin = values[known], self.config.margin_years
            years = np.linspace(ages.min() - margin, ages.max() + margin, self.config.bins + 1)
            edges = torch.from_numpy(self._scales.standardise(AGE, years)).float()
        sigma = self.config.sigma_years / self._scales.sd[AGE]
        return Network(self.config, edges, sigma, train.spacing_mm)

    def loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Kullback-Leibler divergence of the predicted bins from the softened label."""
        wanted = self.model.soften(batch.labels[AGE])  # b bins
        each = (wanted * (wanted.clamp_min(1e-12).log() - outputs[BINS])).sum(dim=1)  # b
        return torch.where(batch.masks[AGE] > 0, each, 0.0).mean()


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to log probabilities of age bins and their mean."""

    def __init__(self, config: SfcnConfig, edges: Tensor, sigma: float, spacing_mm: float) -> None:
        super().__init__()
        self.normalise = NormaliseVolumes(spacing_mm)
        self.sigma = sigma
        self.register_buffer("edges", edges)  # standardised years, bins + 1
        blocks: list[nn.Module] = []
        before = 1
        for after in config.channels[:-1]:
            blocks += [
                nn.Conv3d(before, after, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm3d(after),
                nn.MaxPool3d(2),
                nn.ReLU(),
            ]
            before = after
        after = config.channels[-1]
        blocks += [nn.Conv3d(before, after, kernel_size=1), nn.BatchNorm3d(after), nn.ReLU()]
        self.body = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(after, config.bins)

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Pooled features, (B, C)."""
        x = self.normalise(inputs["t1w"])  # b 1 i j k
        return self.body(x).mean(dim=(2, 3, 4))  # b c

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Standardised age (B, 1) and log probabilities of the bins (B, bins)."""
        log_p = self.head(self.dropout(self.features(inputs))).float().log_softmax(dim=1)
        centres = (self.edges[:-1] + self.edges[1:]) / 2
        return {AGE: (log_p.exp() @ centres)[:, None], BINS: log_p}

    def soften(self, ages: Tensor) -> Tensor:
        """Share of a Gaussian about each age (B,) that falls into each bin, (B, bins)."""
        z = (self.edges[None, :] - ages[:, None]) / self.sigma
        share = torch.special.ndtr(z).diff(dim=1)
        return share / share.sum(dim=1, keepdim=True).clamp_min(1e-12)
