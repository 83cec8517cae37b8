"""The one number that all maps of a person explain."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmark.tasks import Task

__all__ = ["Evidence", "depends_on", "explained", "last_outputs"]


class Evidence(nn.Module):
    """How far an answer is from the first class, or the value itself, as a function of volumes.

    Where gradients are wanted they are kept through all of the network, also where it switches them
    off because nothing there is trained: the answer depends on the volume there as well.

    Args:
        network: Takes a dict of tensors and gives one output per task.
        task: Name of the task.
        volumes: Key of the volumes among the inputs.
        others: Keys of the other inputs, in the order in which they are passed.
    """

    def __init__(
        self, network: nn.Module, task: str, volumes: str = "t1w", others: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.network, self.task, self.volumes, self.others = network, task, volumes, others

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """Volumes (B, 1, D, H, W) and the other inputs to evidence, (B,)."""
        inputs: Mapping[str, Tensor] = {
            self.volumes: x,
            **dict(zip(self.others, others, strict=True)),
        }
        whole = _WholeGradient() if torch.is_grad_enabled() else contextlib.nullcontext()
        with whole:
            answer: Tensor = self.network(inputs)[self.task].float()  # b k
        if answer.shape[1] == 1:
            return answer[:, 0]
        return answer[:, 1:].logsumexp(dim=1) - answer[:, 0]


class _WholeGradient(TorchFunctionMode):
    """Lets nothing within it switch gradients off."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch._C._set_grad_enabled and not args[0]:
            return None
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def last_outputs(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[dict[str, Tensor]]:
    """Keeps the last tensor that each module gives while the context is open, by name.

    Args:
        modules: Names and modules; of several with one name the last that any of them gives.
    """
    kept: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                kept[name] = output

        return keep

    handles = [module.register_forward_hook(note(name)) for name, module in modules]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def depends_on(answer: Tensor, parts: Mapping[str, Tensor]) -> set[str]:
    """Names of those tensors that a gradient leads back to from an answer, (B,)."""
    known = {name: part for name, part in parts.items() if part.requires_grad}
    if not known or not answer.requires_grad:
        return set()
    found = torch.autograd.grad(answer.sum(), list(known.values()), allow_unused=True)
    return {name for name, gradient in zip(known, found, strict=True) if gradient is not None}


def explained(task: Task) -> str:
    """What the maps of a task explain, in words.

    >>> from benchmark.tasks import get_task
    >>> explained(get_task("dx3"))
    'log odds of MCI or AD against CN'
    >>> explained(get_task("brain_age"))
    'brain_age, standardised'
    """
    if not task.classes:
        return f"{task.name}, standardised"
    return f"log odds of {' or '.join(task.classes[1:])} against {task.classes[0]}"
