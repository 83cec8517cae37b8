"""Where in the volume a task's evidence lies: GradCAM on the encoder's coarsest map."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from monai.visualize import GradCAM
from torch import Tensor, nn

from .network import Network


class Evidence(nn.Module):
    """One number a person: how far an answer is from the first class, or the value itself."""

    def __init__(self, network: Network, task: str) -> None:
        super().__init__()
        self.network, self.task = network, task

    def forward(self, x: Tensor) -> Tensor:
        """Volumes (B, 1, D, H, W) to (B, 1)."""
        answer = self.network({"t1w": x})[self.task]
        if answer.shape[1] == 1:
            return answer
        return answer[:, 1:].logsumexp(dim=1, keepdim=True) - answer[:, :1]


def evidence_maps(network: Network, inputs: Mapping[str, Tensor], task: str) -> Tensor:
    """Maps of evidence on the grid of the store, not negative, (B, D, H, W), on the CPU.

    With two classes, evidence for class 1; with more, against class 0.

    Args:
        network: A network in eval mode.
        inputs: Its inputs.
        task: Name of a task that it answers.
    """
    layer = f"network.encoder.{network.encoder.gradcam_layer}"
    cam = GradCAM(Evidence(network, task), layer, postprocessing=lambda maps: maps)
    stored = inputs["t1w"]
    with torch.enable_grad():
        maps = cam(stored, class_idx=0).detach().float()
    network.zero_grad(set_to_none=True)
    return network.prepare.restored(maps, stored)[:, 0].cpu()
