"""The contract of a method: fit, predict, save, load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmark.prediction import Prediction
from benchmark.samples.samples import Samples
from benchmark.tasks import Task

__all__ = ["Method", "RunContext"]


def _ignore(_: Mapping[str, Any]) -> None:
    """Drops a log record."""


@dataclass(frozen=True)
class RunContext:
    """What a fit is given besides people.

    Attributes:
        seed: All randomness of the fit derives from it.
        device: Where torch methods compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        folder: Scratch folder of this run; checkpoints live here and survive an interruption.
        log: Takes one flat record, e.g. ``{"epoch": 3, "train_loss": 0.4}``; kept in train.jsonl.
        precision: ``"float32"`` or ``"amp"`` (automatic mixed precision, on cuda).
        pretrained: Folder of the weights that the setting ``pretrained`` names; None: from scratch.
        features: Where features of frozen encoders are kept for other runs; None: in memory only.
        checkpoint_seconds: A training writes its state at the end of an epoch when the last state
            written is this old, and when it is over; at most so much is lost to a killed process.
    """

    seed: int
    folder: Path
    device: str = "cpu"
    log: Callable[[Mapping[str, Any]], None] = field(default=_ignore)
    precision: str = "float32"
    pretrained: Path | None = None
    features: Path | None = None
    checkpoint_seconds: float = 5.0


class Method(ABC):
    """Base class of everything that is fitted and scored.

    Args:
        config: An instance of ``MethodInfo.config``, or None where the method has no settings.
    """

    def __init__(self, config: Any = None) -> None:
        self.config = config

    @abstractmethod
    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        """Learns from ``train``; may select on ``val``. Both carry labels of ``tasks``."""

    @abstractmethod
    def predict(self, samples: Samples, tasks: Sequence[Task]) -> dict[str, Prediction]:
        """Predicts each task for every person, in the order of ``samples``."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes everything that :meth:`load` needs into an existing folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Gives back a fitted method whose predictions are those of the one saved."""

    def parameter_count(self) -> int:
        """Number of fitted parameters, for the cost column; 0 if that has no meaning."""
        return 0

    def explain(self, samples: Samples, task: Task) -> np.ndarray:
        """Optional: maps of evidence, shape (N, D, H, W).

        For all other classes together against the first, or for the value.
        """
        raise NotImplementedError

    def embed(self, samples: Samples) -> np.ndarray:
        """Optional: one vector a person, shape (N, d)."""
        raise NotImplementedError

    def expose(self, samples: Samples) -> dict[str, np.ndarray]:
        """Optional: what the method shows of its inner workings, by name, (N, ...) each.

        Gates, routing, attention: kept beside the run for the people of the test fold. None of it
        is scored.
        """
        raise NotImplementedError
