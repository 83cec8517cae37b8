"""A convolution without batch norm, whose statistics would be each process's own."""

import os

from torch import nn

from benchmark.api import TorchMethod

from .info import Config


class TeamProbe(TorchMethod):
    config_type = Config

    def build(self, train, tasks):
        return Network({task.name: task.n_outputs for task in tasks})

    def prepare(self, train, tasks, run):
        second = self.config.fails == "second" and os.environ.get("RANK") == "1"
        if self.config.fails == "fit" or second:
            raise FloatingPointError("by design")

    def predict(self, samples, tasks):
        if self.config.fails == "predict" and len(samples) > 2 and os.environ.get("RANK") == "0":
            raise FloatingPointError("by design")
        return super().predict(samples, tasks)


class Network(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(1, 4, 3, 2), nn.ReLU(), nn.Flatten())
        self.heads = nn.ModuleDict(
            {task: nn.Linear(4 * 2 * 3 * 2, n) for task, n in outputs.items()}
        )

    def forward(self, inputs):
        x = self.body(inputs["t1w"])
        return {task: head(x) for task, head in self.heads.items()}
