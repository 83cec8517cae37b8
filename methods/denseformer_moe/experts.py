"""Experts that every task chooses from, and what keeps all of them in use.

One noisy top-k gate a task over shared experts as in Ma et al. 2018, 10.1145/3219819.3220007; the
balance of Switch transformers as in Fedus et al. 2022, arXiv 2101.03961, equation 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmark.api import MethodError, one_of
from benchmark.encoders.gating import noisy_top_k, squared_variation
from methods.denseformer_moe.info import ExpertsConfig

KINDS = ("mixture", "shared")
GATES = ("noisy-topk", "soft")
NOISES = ("learned", "none")
BALANCES = ("cv2", "switch")
BALANCED = ("together", "each")


class Routing(NamedTuple):
    """How people are dealt out to experts.

    Attributes:
        weights: What each expert counts, rows summing to 1, (B, E).
        load: Probability that another draw of noise would choose the expert, (B, E); 1 where every
            expert is chosen.
        probability: What each expert would count if all were taken, without noise, (B, E).
    """

    weights: Tensor
    load: Tensor
    probability: Tensor


class Gate(nn.Module):
    """One task's choice of experts, from a person's features.

    By default both matrices start at 0, so that noise alone chooses at first and experts start
    evenly used.

    Args:
        width: Features, d.
        config: Number of experts, how many are chosen, and how.
    """

    def __init__(self, width: int, config: ExpertsConfig) -> None:
        super().__init__()
        self.chosen = config.chosen
        self.soft = config.gate == "soft"
        self.noisy = not self.soft and config.noise == "learned"
        self.clean = nn.Linear(width, config.number, bias=False)
        if self.noisy:
            self.noise = nn.Linear(width, config.number, bias=False)
        if config.gate_zero_start:
            for matrix in self.children():
                nn.init.zeros_(matrix.weight)

    def forward(self, f: Tensor) -> Routing:
        """From features (B, d); noise is drawn in training only."""
        clean = self.clean(f).float()  # b e
        probability = clean.softmax(dim=1)
        if self.soft:
            return Routing(probability, torch.ones_like(probability), probability)  # all are chosen
        noise = self.noise(f).float() if self.training and self.noisy else None
        choice = noisy_top_k(clean, noise, self.chosen)
        return Routing(choice.weights, choice.load, probability)


class Experts(nn.Module):
    """MLPs that all tasks share; every one sees everybody, and the gates weigh what they say.

    Args:
        width: Features, d.
        config: Number of experts and their sizes.
    """

    def __init__(self, width: int, config: ExpertsConfig) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, config.hidden),
                nn.GELU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.hidden, width),
            )
            for _ in range(config.number)
        )
        if config.zero_start:
            for expert in self.members:
                nn.init.zeros_(expert[-1].weight)
                nn.init.zeros_(expert[-1].bias)

    def forward(self, f: Tensor) -> Tensor:
        """From features (B, d) to what each expert makes of them, (B, E, d)."""
        return torch.stack([expert(f) for expert in self.members], dim=1)


def switch_balance(chosen: Tensor, probability: Tensor) -> Tensor:
    """E times the sum over experts of share of choices times mean probability; 1 if uniform.

    Args:
        chosen: Whether an expert was chosen, as numbers, (N, E).
        probability: Softmax over all experts, (N, E).
    """
    share = chosen.sum(dim=0) / chosen.sum().clamp_min(1.0)
    return chosen.shape[1] * (share.detach() * probability.mean(dim=0)).sum()


def balance_loss(
    routings: Sequence[Routing], masks: Sequence[Tensor], kind: str, over: str
) -> Tensor:
    """How unevenly experts are used.

    A person counts for the tasks that they have a label of.

    Args:
        routings: One a task.
        masks: Who has the task's label, (B,) each.
        kind: One of ``BALANCES``.
        over: ``together``: over all tasks at once, so that tasks may part ways; ``each``: the mean
            over what each task uses by itself.
    """
    if over == "each":
        parts = [
            balance_loss([r], [m], kind, "together") for r, m in zip(routings, masks, strict=True)
        ]
        return torch.stack(parts).mean()
    rows = torch.cat([mask > 0 for mask in masks])
    weights, load, probability = (torch.cat(parts)[rows] for parts in zip(*routings, strict=True))
    if not len(weights):
        return torch.cat([routing.weights for routing in routings]).sum() * 0.0
    if kind == "switch":
        return switch_balance((weights > 0).float(), probability)
    return squared_variation(weights.sum(dim=0)) + squared_variation(load.sum(dim=0))


def as_built(config: ExpertsConfig) -> ExpertsConfig:
    """Number and width of the experts that are made: ``shared`` makes a single wide one."""
    if config.kind == "mixture":
        return config
    return replace(config, number=1, chosen=1, hidden=config.number * config.hidden)


def check(config: ExpertsConfig) -> None:
    """Refuses settings that cannot work.

    Raises:
        MethodError: A number is out of range, or a name is not known.
    """
    if not 1 <= config.chosen <= config.number:
        raise MethodError(
            f"experts.chosen must lie in 1..{config.number} (experts.number), got {config.chosen}"
        )
    for key, value, known in (
        ("kind", config.kind, KINDS),
        ("gate", config.gate, GATES),
        ("noise", config.noise, NOISES),
        ("balance", config.balance, BALANCES),
        ("balance_over", config.balance_over, BALANCED),
    ):
        one_of(f"experts.{key}", value, known)
