"""A 3D ResNet: stem, four residual stages, mean over space, one linear head per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monai.networks.nets import ResNet
from torch import Tensor, nn

from baselines.resnet3d.info import ResNet3DConfig
from benchmark.api import MethodError, NormaliseVolumes, Samples, Task, TorchMethod

# Blocks per stage (He et al. 2016, table 1; 10 layers: one block a stage).
LAYERS = {10: [1, 1, 1, 1], 18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}


class ResNet3D(TorchMethod):
    """The 3D ResNet as a method."""

    config_type = ResNet3DConfig

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; its shape does not depend on the people."""
        return Network(self.config, tasks, train.spacing_mm)


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task (B, K)."""

    def __init__(self, config: ResNet3DConfig, tasks: Sequence[Task], spacing_mm: float) -> None:
        super().__init__()
        self.normalise = NormaliseVolumes(spacing_mm)
        if config.depth not in LAYERS:
            raise MethodError(f"resnet3d: depth {config.depth} is none of {sorted(LAYERS)}")
        bottleneck = config.depth >= 50
        self.body = ResNet(
            "bottleneck" if bottleneck else "basic",
            LAYERS[config.depth],
            [config.width * 2**stage for stage in range(4)],
            spatial_dims=3,
            n_input_channels=1,
            conv1_t_size=config.stem_kernel,
            conv1_t_stride=config.stem_stride,
            no_max_pool=not config.max_pool,
            feed_forward=False,
        )
        self.dropout = nn.Dropout(config.dropout)
        features = config.width * 8 * (4 if bottleneck else 1)
        self.heads = nn.ModuleDict({t.name: nn.Linear(features, t.n_outputs) for t in tasks})

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Pooled features, (B, 8 * width), or 32 * width with bottlenecks."""
        x = self.normalise(inputs["t1w"])  # b 1 i j k
        return self.body(x)  # b c

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One output per task, (B, K)."""
        x = self.dropout(self.features(inputs))  # b c
        return {task: head(x) for task, head in self.heads.items()}
