"""How the losses of several tasks become one step.

``fixed``: weights that are given. ``uncertainty``: a learned log variance s per loss, summed as
exp(-s) L + s (Kendall et al. 2018, arXiv 1705.07115: twice their regression form, for classes too).
``gradnorm``: weights that bring the gradients of all losses to one rate of training
(Chen et al. 2018, arXiv 1711.02257). ``pcgrad``: gradients that conflict are projected onto each
other's normal plane (Yu et al. 2020, arXiv 2001.06782).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from benchmark.errors import MethodError, UnknownNameError
from benchmark.training.config import BalanceConfig

__all__ = ["LossBalance", "project_conflicts"]

_LEAST_WEIGHT = 1e-3


class LossBalance(nn.Module):
    """The weights of several losses, fixed or learned; part of a network's state.

    Args:
        names: The losses, in order.
        config: How they are weighed.

    Raises:
        UnknownNameError: ``config`` names a loss that is not among them.
    """

    fixed: Tensor
    learned: Tensor
    first: Tensor

    def __init__(self, names: Sequence[str], config: BalanceConfig) -> None:
        super().__init__()
        config.check()
        for name in config.weights:
            if name not in names:
                raise UnknownNameError("loss in balance.weights", name, names)
        self.names = tuple(names)
        self.config = config
        fixed = [float(config.weights.get(name, 1.0)) for name in names]
        self.register_buffer("fixed", torch.tensor(fixed))
        if config.weighting == "uncertainty":
            self.log_variance = nn.Parameter(torch.zeros(len(names)))
        if config.weighting == "gradnorm":
            self.register_buffer("learned", torch.ones(len(names)))
            self.register_buffer("first", torch.zeros(len(names)))  # losses of the first batch

    def weighted(self, losses: Mapping[str, Tensor], present: Mapping[str, bool]) -> list[Tensor]:
        """Each loss with its weight; one whose labels are absent is exactly 0.

        Args:
            losses: By name, a scalar; those of :attr:`names`, no more and no less.
            present: By name, whether anybody in the batch has its label; a loss that is not named
                has no label that could be absent.

        Raises:
            MethodError: ``losses`` are not those that were announced.
        """
        if losses.keys() != set(self.names):
            raise MethodError(
                f"losses() gave {', '.join(sorted(losses))}; loss_names() announced "
                f"{', '.join(sorted(self.names))}: each loss needs its weight, so override both"
            )
        terms = []
        for k, name in enumerate(self.names):
            loss = losses[name]
            if not present.get(name, True):
                terms.append(loss * 0.0)
            elif self.config.weighting == "uncertainty":
                s = self.log_variance[k]
                terms.append(self.fixed[k] * (torch.exp(-s) * loss + s))
            elif self.config.weighting == "gradnorm":
                terms.append(self.fixed[k] * self.learned[k] * loss)
            else:
                terms.append(self.fixed[k] * loss)
        return terms

    def backward(
        self,
        losses: Mapping[str, Tensor],
        present: Mapping[str, bool],
        shared: Sequence[nn.Parameter],
        scale: Callable[[Tensor], Tensor],
        penalty: Tensor | None = None,
    ) -> Tensor:
        """Fills the gradients of the combined losses.

        Args:
            losses: By name.
            present: By name.
            shared: Parameters that all losses reach; GradNorm and PCGrad compare gradients there.
            scale: Applied to what is differentiated: mixed precision and the share of a process.
            penalty: Added as it is; no gradient of a loss is compared with its own.

        Returns:
            The combined loss, detached.

        Raises:
            MethodError: ``losses`` are not those that were announced.
        """
        terms = self.weighted(losses, present)
        live = [
            k for k, name in enumerate(self.names) if present.get(name, True) and self.fixed[k] > 0
        ]
        if self.config.weighting == "gradnorm" and len(live) > 1:
            self._follow(losses, live, shared, scale)
        total = torch.stack(terms if penalty is None else [*terms, penalty]).sum()
        if self.config.weighting == "pcgrad" and len(live) > 1:
            beside = None if penalty is None else scale(penalty)
            self._project([scale(terms[k]) for k in live], scale(total), shared, beside)
        else:
            scale(total).backward()  # type: ignore[no-untyped-call]
        return total.detach()

    def _project(
        self,
        terms: list[Tensor],
        total: Tensor,
        shared: Sequence[nn.Parameter],
        penalty: Tensor | None,
    ) -> None:
        rows = [_flat_gradient(term, shared) for term in terms]
        order = [torch.randperm(len(rows)).tolist() for _ in rows]
        joint = project_conflicts(torch.stack(rows), order)
        if penalty is not None:
            joint = joint + _flat_gradient(penalty, shared)
        total.backward()  # type: ignore[no-untyped-call]
        start = 0
        for parameter in shared:
            n = parameter.numel()
            if parameter.grad is not None:  # no loss reaches it, and the optimiser passes it by
                parameter.grad = joint[start : start + n].view_as(parameter).clone()
            start += n

    def _follow(
        self,
        losses: Mapping[str, Tensor],
        live: Sequence[int],
        shared: Sequence[nn.Parameter],
        scale: Callable[[Tensor], Tensor],
    ) -> None:
        """One step of the weights towards equal training rates; their sum stays the number.

        Gradients are those of scaled losses, since small ones would be 0 in float16. Where one
        overflows the weights stay, as the network does in such a step.
        """
        now = torch.stack([losses[self.names[k]].detach().float() for k in live])
        rows = torch.tensor(live, device=now.device)
        unseen = self.first[rows] == 0
        self.first[rows[unseen]] = now[unseen]
        factor = scale(torch.ones_like(now[0]))
        norms = torch.stack(
            [
                _flat_gradient(scale(losses[self.names[k]]), shared).norm() / factor * self.fixed[k]
                for k in live
            ]
        )
        if not norms.isfinite().all():
            return
        weights = self.learned[rows].clone().requires_grad_(True)
        rate = now / self.first[rows].clamp_min(1e-8)
        rate = rate / rate.mean().clamp_min(1e-8)
        scaled = weights * norms
        target = (scaled.mean() * rate**self.config.gradnorm_alpha).detach()
        gap = (scaled - target).abs().sum() / target.mean().clamp_min(1e-8)
        (step,) = torch.autograd.grad(gap, weights)
        fresh = (weights.detach() - self.config.gradnorm_lr * step).clamp_min(_LEAST_WEIGHT)
        self.learned[rows] = fresh * self.learned[rows].sum() / fresh.sum()


def project_conflicts(gradients: Tensor, order: Sequence[Sequence[int]]) -> Tensor:
    """Sums task gradients after taking out what conflicts.

    Args:
        gradients: One row a task, (T, P).
        order: For each task, the order in which it meets all tasks.

    Returns:
        The sum of the projected gradients, (P,).
    """
    projected = gradients.clone()
    squares = gradients.square().sum(dim=1).clamp_min(1e-30)
    for i, others in enumerate(order):
        for j in others:
            if i == j:
                continue
            inner = projected[i] @ gradients[j]
            if inner < 0:
                projected[i] = projected[i] - inner / squares[j] * gradients[j]
    return projected.sum(dim=0)


def _flat_gradient(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    if not loss.requires_grad:
        return torch.cat([torch.zeros_like(p).reshape(-1) for p in parameters])
    grads = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(p) if g is None else g).reshape(-1)
            for p, g in zip(parameters, grads, strict=True)
        ]
    )
