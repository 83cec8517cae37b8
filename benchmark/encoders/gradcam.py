"""GradCAM at an encoder's last map of convolutions, and where that map lies in the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from benchmark.encoders.volume import VolumeEncoder, cropped

__all__ = ["gradcam_maps", "over_volumes"]


def gradcam_maps(
    network: nn.Module, encoder: VolumeEncoder, inputs: Mapping[str, Tensor], tasks: Sequence[str]
) -> dict[str, Tensor]:
    """Evidence of each task on the grid of ``encoder.gradcam_layer``, 0 or more.

    What is differentiated is the value, or the log odds of all other classes against the first.
    One forward pass serves all tasks; no gradient is left behind, and up to that map autograd keeps
    nothing, so that memory is little more than a prediction's.

    Args:
        network: A network in eval mode whose answers are (B, K) by task.
        encoder: Its encoder of volumes, which is called once.
        inputs: Its inputs.
        tasks: Names of tasks that it answers.

    Returns:
        By task (B, i, j, k), in units of the answer times those of the map, averaged over places.

    References:
        Selvaraju et al. 2017, Grad-CAM, 10.1109/ICCV.2017.74.
    """
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # from here on; no_grad below restores what was before
        seen.append(output.detach().requires_grad_(True))
        return seen[-1]

    handle = encoder.get_submodule(encoder.gradcam_layer).register_forward_hook(keep)
    try:
        with torch.no_grad():
            answers = network(inputs)
            evidence = {task: _evidence(answers[task]).sum() for task in tasks}
    finally:
        handle.remove()
    (layer,) = seen  # b c i j k
    found = {}
    for task in tasks:
        (slope,) = torch.autograd.grad(evidence[task], layer, retain_graph=True)
        weights = slope.float().mean(dim=(2, 3, 4), keepdim=True)  # b c 1 1 1
        found[task] = (weights * layer.detach().float()).sum(dim=1).relu()  # b i j k
    return found


def _evidence(answer: Tensor) -> Tensor:
    answer = answer.float()
    if answer.shape[1] == 1:
        return answer[:, 0]
    return answer[:, 1:].logsumexp(dim=1) - answer[:, 0]


def over_volumes(maps: Tensor, encoder: VolumeEncoder, shape: Sequence[int]) -> Tensor:
    """Interpolates maps linearly from the points of the encoder's map to prepared volumes.

    Points lie at ``encoder.map_start`` and every ``encoder.patch`` voxels from there, which is not
    the middle of blocks where strided convolutions are padded. Beyond the outermost points maps go
    on as they are there.

    Args:
        maps: On the grid of ``encoder.gradcam_layer``, (B, i, j, k).
        encoder: The encoder.
        shape: Sides of prepared volumes in voxels, (D, H, W).

    Returns:
        Shape (B, 1, D, H, W).
    """
    out = maps[:, None]
    for axis, (start, step) in enumerate(zip(encoder.map_start, encoder.patch, strict=True)):
        points = torch.arange(maps.shape[axis + 1], dtype=maps.dtype, device=maps.device)
        voxels = torch.arange(len(points) * step, dtype=maps.dtype, device=maps.device)
        place = ((voxels - start) / step).clamp(0, len(points) - 1)
        weights = (1 - (place[:, None] - points).abs()).clamp_min(0)  # voxels points
        out = torch.movedim(torch.movedim(out, axis + 2, -1) @ weights.T, -1, axis + 2)
    return cropped(out, shape)
