"""Groups of parameters for the optimiser, by learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from torch import nn

__all__ = ["parameter_groups"]


def parameter_groups(
    model: nn.Module,
    part: Callable[[str], Hashable] = lambda _name: None,
    *,
    rate: Callable[[Any], float | None] = lambda _part: None,
    decays: Callable[[str], bool] = lambda _name: True,
    order: Sequence[Hashable] | None = None,
) -> list[dict[str, Any]]:
    """Trainable parameters by the part that they belong to and by whether they decay.

    Those with one axis or none (norms, biases) never decay. Groups come in one order always, since
    the norm of all gradients is a sum in that order.

    Args:
        model: The network; within a group parameters come as it names them.
        part: From a parameter's name to its part. A method may take the rate itself for it.
        rate: From a part to its learning rate; None leaves it the trainer's.
        decays: From the name of a parameter with two axes or more to whether it decays.
        order: All parts, for groups in that order, those that decay first. By default groups come
            in the order in which the network first names a member.

    Returns:
        What torch's optimisers take: ``params``, ``lr`` where there is a rate, and a
        ``weight_decay`` of 0 where the group does not decay. No group is empty.
    """
    groups: dict[tuple[bool, Hashable], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (parameter.ndim > 1 and decays(name), part(name))
            groups.setdefault(key, []).append(parameter)
    keys = list(groups)
    if order is not None:
        keys.sort(key=lambda key: (not key[0], order.index(key[1])))
    made = []
    for key in keys:
        group: dict[str, Any] = {"params": groups[key]}
        if (lr := rate(key[1])) is not None:
            group["lr"] = lr
        if not key[0]:
            group["weight_decay"] = 0.0
        made.append(group)
    return made
