"""DAFT: scale and shift of the last feature maps from image and table, one head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api import Samples, Task, TorchMethod
from methods.daft.info import DaftConfig
from methods.daft.network import Network
from methods.daft.table import read_table

__all__ = ["Daft"]


class Daft(TorchMethod):
    """DAFT, FiLM, concatenation or the image alone as a method."""

    config_type = DaftConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; the table is standardised by the people given, in buffers."""
        table = read_table(train, self.config.columns) if self._sees_table else None
        return Network(self.config, tasks, train.spacing_mm, table)

    def inputs(self, samples: Samples) -> Mapping[str, Any]:
        """Volumes, and the table (N, P) with NaN where missing."""
        found = dict(super().inputs(samples))
        if self._sees_table:
            found["table"] = read_table(samples, self.config.columns)
        return found

    @property
    def _sees_table(self) -> bool:
        return bool(self.config.conditioning != "none")

    @torch.no_grad()
    def expose(self, samples: Samples) -> dict[str, np.ndarray]:
        """``scale`` and ``shift`` of every channel, (N, C) each, where there are any."""
        model = self._fitted().eval()
        if model.affine is None:
            return super().expose(samples)
        seen: list[tuple[Tensor, Tensor]] = []
        hook = model.affine.register_forward_hook(lambda _module, _args, out: seen.append(out))
        try:
            for batch in self._batches(samples):
                model(batch.inputs)
        finally:
            hook.remove()
        scale, shift = (torch.cat(parts).cpu().numpy() for parts in zip(*seen, strict=True))
        return {"scale": scale, "shift": shift}
