"""Where in the volume a task's evidence lies: GradCAM on the encoder's coarsest map."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from benchmark.encoders import gradcam_maps, over_volumes

from .network import Network


def evidence_maps(network: Network, inputs: Mapping[str, Tensor], task: str) -> Tensor:
    """Maps of evidence on the grid of the store, not negative, (B, D, H, W), on the CPU.

    With two classes, evidence for class 1; with more, against class 0.

    Args:
        network: A network in eval mode.
        inputs: Its inputs.
        task: Name of a task that it answers.
    """
    stored = inputs["t1w"]
    maps = gradcam_maps(network, network.encoder, inputs, [task])[task]  # b i j k
    maps = over_volumes(maps, network.encoder, network.prepare.shape(stored.shape[2:]))
    return network.prepare.restored(maps, stored)[:, 0].cpu()
