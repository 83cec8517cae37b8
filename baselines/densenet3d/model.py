"""A 3D DenseNet: stem, dense blocks with transitions, mean over space, one head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from monai.networks.nets import DenseNet
from torch import Tensor, nn

from baselines.densenet3d.info import DenseNet3DConfig
from benchmark.api import Samples, Task, TorchMethod


class DenseNet3D(TorchMethod):
    """The 3D DenseNet as a method."""

    config_type = DenseNet3DConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; its shape does not depend on the people."""
        return Network(self.config, tasks)


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task (B, K)."""

    def __init__(self, config: DenseNet3DConfig, tasks: Sequence[Task]) -> None:
        super().__init__()
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
        for part in self.body.modules():
            if isinstance(part, nn.AvgPool3d):
                part.ceil_mode = True  # an odd side keeps its last slab, and a side of 1 stays 1
        with torch.no_grad():
            channels = self.body.eval()(torch.zeros(1, 1, 32, 32, 32)).shape[1]
        self.body.train()
        self.heads = nn.ModuleDict({t.name: nn.Linear(channels, t.n_outputs) for t in tasks})

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Pooled features, (B, C)."""
        x = TorchMethod.standardised(inputs["t1w"])  # b 1 i j k
        x = self.body(x).relu()  # b c i' j' k'
        return x.mean(dim=(2, 3, 4))  # b c

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One output per task, (B, K)."""
        x = self.features(inputs)  # b c
        return {task: head(x) for task, head in self.heads.items()}
