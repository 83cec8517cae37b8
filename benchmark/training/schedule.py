"""The learning rate as a pure function of the step, so that resuming needs no state."""

from __future__ import annotations

import math

__all__ = ["lr_factor"]

_START = 0.04  # one-cycle starts at 1/25 of the peak
_END = 1e-3


def lr_factor(schedule: str, step: int, total: int, warmup: float) -> float:
    """Share of the peak learning rate at a step.

    ``one-cycle``: cosine rise from 1/25 over ``warmup``, cosine fall to 1/1000. ``cosine``: linear
    rise, cosine fall to 0. ``constant``: linear rise, then 1.

    Args:
        schedule: One of ``benchmark.training.config.SCHEDULES``.
        step: From 0 to ``total - 1``.
        total: Number of steps of the whole training.
        warmup: Share of the steps spent rising.

    References:
        Smith and Topin 2019, Super-convergence, 10.1117/12.2520589.

    >>> [round(lr_factor("cosine", s, 4, 0.0), 3) for s in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    >>> lr_factor("constant", 0, 1, 0.0)
    1.0
    """
    rise = warmup * total
    if step < rise:
        if schedule == "one-cycle":
            return _START + (1 - _START) * (1 - math.cos(math.pi * step / rise)) / 2
        return (step + 1) / math.ceil(rise)
    if schedule == "constant":
        return 1.0
    fall = (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1))) / 2
    return _END + (1 - _END) * fall if schedule == "one-cycle" else fall
