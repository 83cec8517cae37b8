"""Where the network looks: attention between tokens, and GradCAM at the stem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmark.api import Task
from benchmark.encoders import DenseViT
from benchmark.encoders.volume import cropped

Reader = Callable[[Sequence[int]], Tensor]


@contextmanager
def token_attention(backbone: DenseViT) -> Iterator[Reader]:
    """Keeps attention while the block runs; yields what reads it after a forward pass.

    The reader takes the shape of the prepared volumes and gives (B, blocks, i, j, k): attention
    averaged over heads, from the cls token where that stands for the scan, else over all tokens.
    """
    backbone.save_attention = True

    def read(shape: Sequence[int]) -> Tensor:
        maps = torch.stack([m.mean(dim=1) for m in backbone.attention_maps], dim=1)  # b l t t
        maps = maps.mean(dim=2) if backbone.cls is None else maps[:, :, 0, 1:]  # b l t
        return maps.unflatten(2, backbone.token_grid(shape))

    try:
        yield read
    finally:
        backbone.save_attention = False


def gradcam(model: nn.Module, inputs: Mapping[str, Tensor], task: Task) -> Tensor:
    """Evidence against a task's first class, or for its value, on the stored grid, (B, D, H, W).

    Args:
        model: The network in eval mode.
        inputs: ``t1w`` as stored, (B, 1, D, H, W).
        task: The task.

    References:
        Selvaraju et al. 2017, Grad-CAM, 10.1109/ICCV.2017.74.
    """

    def evidence(volumes: Tensor) -> Tensor:
        answer = model({**inputs, "t1w": volumes})[task.name].float()  # b k
        if not task.classes:
            return answer[:, 0]
        return answer[:, 1:].logsumexp(dim=1) - answer[:, 0]

    backbone, stored = model.backbone, inputs["t1w"]
    layer = backbone.get_submodule(backbone.gradcam_layer)
    maps = LayerGradCam(evidence, layer).attribute(stored, relu_attributions=True)  # b 1 i j k
    shape = model.prepare.shape(stored.shape[2:])
    padded = [n * step for n, step in zip(backbone.token_grid(shape), backbone.patch, strict=True)]
    maps = interpolate(maps.detach(), size=padded, mode="trilinear", align_corners=False)
    return model.prepare.restored(cropped(maps, shape), stored)[:, 0]
