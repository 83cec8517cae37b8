"""The one number that all maps of a person explain."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from benchmark.tasks import Task

__all__ = ["Evidence", "explained"]


class Evidence(nn.Module):
    """How far an answer is from the first class, or the value itself, as a function of volumes.

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
        answer: Tensor = self.network(inputs)[self.task].float()  # b k
        if answer.shape[1] == 1:
            return answer[:, 0]
        return answer[:, 1:].logsumexp(dim=1) - answer[:, 0]


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
