"""Where the network looks: attention between tokens, and GradCAM at the stem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from benchmark.encoders import DenseViT, gradcam_maps, over_volumes

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


def gradcam(model: nn.Module, inputs: Mapping[str, Tensor], task: str) -> Tensor:
    """Evidence against a task's first class, or for its value, on the stored grid, (B, D, H, W).

    Args:
        model: The network in eval mode.
        inputs: ``t1w`` as stored, (B, 1, D, H, W).
        task: Name of the task.
    """
    backbone, stored = model.backbone, inputs["t1w"]
    maps = gradcam_maps(model, backbone, inputs, [task])[task]  # b i j k
    maps = over_volumes(maps, backbone, model.prepare.shape(stored.shape[2:]))
    return model.prepare.restored(maps, stored)[:, 0]
