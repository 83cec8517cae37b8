"""Sparse experts, the gates that choose them, and the losses of G-router and S-router.

The two routers: Yun et al. 2024, arXiv 2410.08245, section 3; their gates are noisy top-k gates.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmark.api import MethodError
from benchmark.encoders.gating import Choice, noisy_top_k, squared_variation

from .info import ExpertsConfig

__all__ = ["Experts", "Gate", "check", "mlp", "routing_loss"]


class Gate(nn.Module):
    """Chooses k of E experts for each token; noise is drawn in training only.

    Args:
        width: Features, d.
        config: Number of experts and how many are chosen.
    """

    def __init__(self, width: int, config: ExpertsConfig) -> None:
        super().__init__()
        self.chosen = config.chosen
        self.clean = nn.Linear(width, config.number, bias=False)
        self.noise = nn.Linear(width, config.number, bias=False)
        nn.init.zeros_(self.noise.weight)

    def forward(self, x: Tensor) -> Choice:
        """From tokens (B, T, d) to (B, T, E) each."""
        clean = self.clean(x).float()
        noise = self.noise(x).float() if self.training else None
        return noisy_top_k(clean, noise, self.chosen)


class Experts(nn.Module):
    """A sparse mixture of MLPs with its routers.

    With ``shared_router`` one gate serves everybody; else people with every modality have the
    G-router and all others the S-router.

    Args:
        width: Features, d.
        config: Sizes.
        dropout: Share of an expert's hidden activations dropped in training.
    """

    def __init__(self, width: int, config: ExpertsConfig, dropout: float) -> None:
        super().__init__()
        self.general = Gate(width, config)
        self.special = None if config.shared_router else Gate(width, config)
        self.members = nn.ModuleList(
            mlp(width, config.hidden, dropout) for _ in range(config.number)
        )

    def forward(self, x: Tensor, complete: Tensor) -> tuple[Tensor, Choice]:
        """Experts' weighed answers to tokens (B, T, d), and the routing; complete: (B,) bool.

        An expert computes the tokens that take it and no others.
        """
        routing = self.general(x)
        if self.special is not None:
            other, chosen = self.special(x), complete[:, None, None]
            pairs = zip(routing, other, strict=True)
            routing = Choice(*(torch.where(chosen, ours, theirs) for ours, theirs in pairs))
        flat, weights = x.flatten(0, 1), routing.weights.flatten(0, 1)  # n d, n e
        out = torch.zeros_like(flat)
        for number, expert in enumerate(self.members):
            rows = weights[:, number].nonzero()[:, 0]
            if len(rows):
                said = expert(flat[rows]) * weights[rows, number, None]
                out = out.index_add(0, rows, said.to(out.dtype))
        return out.view_as(x), routing


def mlp(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """One hidden layer, back to the width that came in."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
    )


def routing_loss(routing: Choice, code: Tensor, target: Tensor, config: ExpertsConfig) -> Tensor:
    """What the routers learn from beside the tasks.

    G-router: people with every modality use all experts evenly. S-router: tokens of all others go
    to the expert of their combination (cross-entropy), and use experts but the first evenly.
    Whoever has nothing counts for neither.

    Args:
        routing: Of B people.
        code: Their combinations, (B,).
        target: The expert of each combination, (2^M,).
        config: Weights.
    """
    complete = code == len(target) - 1
    some = ~complete & (code > 0)
    loss = routing.weights.sum() * 0.0
    if config.balance_weight:
        uneven = [_uneven(routing, complete, 0), _uneven(routing, some, 1)]
        loss = loss + config.balance_weight * torch.stack(uneven).sum()
    if config.specialise_weight and some.any():
        logits = routing.logits[some]  # s t e
        wanted = target[code[some]][:, None].expand(logits.shape[:2])
        error = cross_entropy(logits.flatten(0, 1), wanted.flatten())
        loss = loss + config.specialise_weight * error
    return loss


def _uneven(routing: Choice, rows: Tensor, first: int) -> Tensor:
    importance = routing.weights[rows].flatten(0, 1).sum(dim=0)
    load = routing.load[rows].flatten(0, 1).sum(dim=0)
    return squared_variation(importance[first:]) + squared_variation(load[first:])


def check(config: ExpertsConfig) -> None:
    """Refuses settings that cannot work.

    Raises:
        MethodError: A number is out of range.
    """
    if config.shared_hidden < 0:
        raise MethodError(f"experts.shared_hidden must be 0 or more, got {config.shared_hidden}")
    if config.number == 0:
        return
    if config.number < 2:
        raise MethodError(f"experts.number must be 0 or at least 2, got {config.number}")
    if not 1 <= config.chosen <= config.number:
        raise MethodError(
            f"experts.chosen must lie in 1..{config.number} (experts.number), got {config.chosen}"
        )
