"""A 3D DenseNet: stem, dense blocks with transitions, mean over space, one head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from monai.networks.nets import DenseNet
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d

from baselines.densenet3d.info import DenseNet3DConfig
from benchmark.api import NormaliseVolumes, Samples, Task, TorchMethod


class DenseNet3D(TorchMethod):
    """The 3D DenseNet as a method."""

    config_type = DenseNet3DConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; its shape does not depend on the people."""
        return Network(self.config, tasks, train.spacing_mm)


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task (B, K)."""

    def __init__(self, config: DenseNet3DConfig, tasks: Sequence[Task], spacing_mm: float) -> None:
        super().__init__()
        self.normalise = NormaliseVolumes(spacing_mm)
        whole = DenseNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=1,
            init_features=config.width,
            growth_rate=config.growth,
            block_config=config.blocks,
            dropout_prob=config.dropout,
        )
        self.body = whole.features  # its own classifier is left out
        for block in self.body.children():
            if hasattr(block, "pool"):
                block.pool = Halve()
        with torch.no_grad():
            channels = self.body.eval()(torch.zeros(1, 1, 32, 32, 32)).shape[1]
        self.body.train()
        self.heads = nn.ModuleDict({t.name: nn.Linear(channels, t.n_outputs) for t in tasks})

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Pooled features, (B, C)."""
        x = self.normalise(inputs["t1w"])  # b 1 i j k
        x = self.body(x).relu()  # b c i' j' k'
        return x.mean(dim=(2, 3, 4))  # b c

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One output per task, (B, K)."""
        x = self.features(inputs)  # b c
        return {task: head(x) for task, head in self.heads.items()}


class Halve(nn.Module):
    """Mean over pairs of voxels; an odd side keeps its last slab, and a side of 1 stays 1."""

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, D, H, W) to half of each side, rounded up."""
        return avg_pool3d(x, [min(2, side) for side in x.shape[2:]], ceil_mode=True)
