"""A ResNet with four residual blocks, and what scales and shifts the maps of the last.

Wolf et al. 2022, 10.1016/j.neuroimage.2022.119505; FiLM as in Perez et al. 2018, arXiv 1709.07871.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from monai.networks.nets import ResNet
from torch import Tensor, nn

from benchmark.api import MethodError, NormaliseVolumes, Task, one_of
from methods.daft.info import DaftConfig
from methods.daft.table import MISSING, StandardiseTable

__all__ = ["CONDITIONINGS", "LOCATIONS", "Affine", "Network"]

CONDITIONINGS = ("daft", "film", "concat", "none")
LOCATIONS = ("block", "shortcut", "conv1", "relu1", "conv2")
_ACTIVATIONS = {"linear": nn.Identity, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class Affine(nn.Module):
    """A scale and a shift for every channel, from a bottleneck of two layers without bias.

    Args:
        channels: Channels of the maps, C.
        table: Columns of the table, P.
        hidden: Width of the bottleneck.
        config: Whether the image is read besides the table, and the form of the scale.
    """

    def __init__(self, channels: int, table: int, hidden: int, config: DaftConfig) -> None:
        super().__init__()
        self.sees_image = config.conditioning == "daft"
        self.identity_start = config.identity_start
        seen = table + (channels if self.sees_image else 0)
        self.squeeze = nn.Linear(seen, hidden, bias=False)
        self.expand = nn.Linear(hidden, 2 * channels, bias=False)
        self.activation = _ACTIVATIONS[config.activation]()
        if self.identity_start:
            nn.init.zeros_(self.expand.weight)

    def forward(self, maps: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """From maps (B, C, i, j, k) and the table (B, P) to scale and shift, (B, C) each."""
        seen = torch.cat([maps.mean(dim=(2, 3, 4)), table], dim=1) if self.sees_image else table
        scale, shift = self.expand(self.squeeze(seen).relu()).chunk(2, dim=1)
        scale = self.activation(scale)
        return (1 + scale if self.identity_start else scale), shift


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) and the table (B, P) to one output per task (B, K).

    With one seed all conditionings but ``concat`` start from the same weights, the affine
    transform apart; ``concat`` differs in its heads too. Where the track opens no table, ``daft``
    is conditioned on the image alone, and ``film`` and ``concat`` are ``none``.

    Args:
        config: Settings.
        tasks: The tasks.
        spacing_mm: Voxel size of the store.
        table: Of training people, (N, P), NaN where missing; None without a table.

    Raises:
        MethodError: A setting is out of range or not known.
    """

    def __init__(
        self,
        config: DaftConfig,
        tasks: Sequence[Task],
        spacing_mm: float,
        table: np.ndarray | None,
    ) -> None:
        super().__init__()
        _check(config)
        self.config = config
        width = config.width
        self.normalise = NormaliseVolumes(spacing_mm)
        self.body = ResNet(
            "basic",
            [1, 1, 1, 1],
            [width, 2 * width, 4 * width, 8 * width],
            spatial_dims=3,
            n_input_channels=1,
            conv1_t_size=3,
            conv1_t_stride=config.stem_stride,
            feed_forward=False,
        )
        self.table = None if table is None else StandardiseTable(table, config)
        columns = 0 if self.table is None else self.table.width
        features = 8 * width + (columns if config.conditioning == "concat" else 0)
        self.heads = nn.ModuleDict({t.name: nn.Linear(features, t.n_outputs) for t in tasks})
        self.affine = None
        if config.conditioning == "daft" or (config.conditioning == "film" and columns):
            channels = (8 if config.location in ("relu1", "conv2") else 4) * width
            hidden = max(1, int((4 * width + columns) / config.squeeze))
            self.affine = Affine(channels, columns, hidden, config)
            if config.location == "relu1":  # as released: one affine transform, not two in a row
                self.body.layer4[0].bn1 = nn.BatchNorm3d(8 * width, affine=False)

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Pooled maps of the last block, (B, 8 width)."""
        body, x = self.body, self.normalise(inputs["t1w"])  # b 1 i j k
        x = body.maxpool(body.act(body.bn1(body.conv1(x))))
        x = body.layer3(body.layer2(body.layer1(x)))  # b 4w i j k
        return self._last_block(x, self._table(inputs)).mean(dim=(2, 3, 4))

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One output per task, (B, K)."""
        f = self.features(inputs)  # b 8w
        if self.config.conditioning == "concat":
            f = torch.cat([f, self._table(inputs)], dim=1)
        return {task: head(f) for task, head in self.heads.items()}

    def _table(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        return None if self.table is None else self.table(inputs["table"])

    def _last_block(self, x: Tensor, table: Tensor | None) -> Tensor:
        block = self.body.layer4[0]

        def at(location: str, maps: Tensor) -> Tensor:
            if self.affine is None or location != self.config.location:
                return maps
            scale, shift = (v[:, :, None, None, None] for v in self.affine(maps, table))
            return scale * maps + shift

        x = at("block", x)
        path = at("relu1", block.bn1(block.conv1(at("conv1", x))))
        path = block.bn2(block.conv2(at("conv2", block.act(path))))
        return block.act(path + block.downsample(at("shortcut", x)))


def _check(config: DaftConfig) -> None:
    for key, known in (
        ("conditioning", CONDITIONINGS),
        ("location", LOCATIONS),
        ("activation", tuple(_ACTIVATIONS)),
        ("missing", MISSING),
    ):
        one_of(key, getattr(config, key), known)
    if config.conditioning == "none" and config.columns:
        raise MethodError(
            f"columns: no table is read with conditioning=none; leave columns empty (it names "
            f"{', '.join(config.columns)}), or set conditioning to daft, film or concat"
        )
    if not config.squeeze > 0:
        raise MethodError(f"squeeze must be above 0, got {config.squeeze}")
