"""Template method: a network that the shared loop trains."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from benchmark.api import Samples, Task, TorchMethod

from .info import Config


class TemplateMethod(TorchMethod):
    """Write ``build()``; override ``inputs()`` to see more than volumes, or ``loss()``."""

    config_type = Config

    def build(self, train: Samples, tasks: Sequence[Task]) -> nn.Module:
        """Makes the network; the loop seeds it."""
        return Network(self.config.width, tasks)


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task (B, K)."""

    def __init__(self, width: int, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(1, width, 3, stride=2, padding=1),
            nn.BatchNorm3d(width),
            nn.ReLU(),
            nn.Conv3d(width, 2 * width, 3, stride=2, padding=1),
            nn.BatchNorm3d(2 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
        )
        self.heads = nn.ModuleDict({t.name: nn.Linear(2 * width, t.n_outputs) for t in tasks})

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (B, K) for classes, a standardised value (B, 1) for a number."""
        x = self.body(inputs["t1w"])  # b c
        return {task: head(x) for task, head in self.heads.items()}
