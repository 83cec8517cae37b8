"""Where the network looks: attention of the transformer, and GradCAM through the adapter."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from captum.attr import LayerGradCam
from torch import Tensor
from torch.nn.functional import interpolate

from methods.brain_adapter.network import Network

__all__ = ["adapter_maps", "attention", "rollout", "stored_maps"]


@torch.no_grad()
def attention(network: Network, volumes: Tensor) -> dict[str, Tensor]:
    """How much of each patch the transformer's tokens take in.

    Args:
        network: A network in eval mode that sees volumes.
        volumes: As stored, (B, 1, D, H, W).

    Returns:
        ``attention``, of the last block, averaged over heads and tokens, and ``rollout``, through
        all blocks, (B, T) each in C order of the patches. Where the encoder is read by its cls
        token, that token's attention alone.
    """
    encoder = network.encoder
    encoder.save_attention = True
    try:
        network.encode(volumes)
        maps = list(encoder.attention_maps)
    finally:
        encoder.save_attention = False
    n = network.n_tokens
    by_cls = maps[0].shape[-1] > n and network.config.read_out == "pooled"
    rows = slice(0, 1) if by_cls else slice(-n, None)

    def seen(matrix: Tensor) -> Tensor:
        return matrix[:, rows, -n:].mean(dim=1)  # b t

    return {"attention": seen(maps[-1].mean(dim=1)), "rollout": seen(rollout(maps))}


def rollout(maps: list[Tensor]) -> Tensor:
    """Attention through all blocks, each mixed with its residual connection.

    Args:
        maps: One (B, heads, T, T) a block, the first one first.

    Returns:
        Shape (B, T, T), rows summing to 1: what a token holds of each token at the input.

    References:
        Abnar and Zuidema 2020, 10.18653/v1/2020.acl-main.385, section 3.
    """
    own = torch.eye(maps[0].shape[-1], device=maps[0].device)
    rolled = own.expand_as(maps[0].mean(dim=1))
    for block in maps:
        rolled = (block.mean(dim=1) + own) / 2 @ rolled
    return rolled


def adapter_maps(network: Network, inputs: Mapping[str, Tensor], task: str) -> Tensor:
    """GradCAM of a task's last class, or of its value, on the adapter's grid, (B, 1, D', H', W').

    The adapter's maps before its last layer, weighed by the gradient of the class's log odds, which
    reaches them through the frozen encoder. Not negative; zero without a volume, whose vector is
    zero whatever the maps are.

    Args:
        network: A network in eval mode with an adapter.
        inputs: Of the network, ``t1w`` as stored among them.
        task: Name of the task.

    References:
        Selvaraju et al. 2017, Grad-CAM, 10.1109/ICCV.2017.74.
    """

    def evidence(volumes: Tensor) -> Tensor:
        answer = network({**inputs, "t1w": volumes})[task].float()  # b k
        if answer.shape[1] == 1:
            return answer[:, 0]
        return answer[:, -1] - answer[:, :-1].logsumexp(dim=1)

    layer = network.adapter.last_maps
    with torch.enable_grad():
        maps = LayerGradCam(evidence, layer).attribute(inputs["t1w"], relu_attributions=True)
    return maps.detach()


def stored_maps(network: Network, maps: Tensor, stored: Tensor) -> Tensor:
    """Brings maps on the adapter's grid, (B, 1, D', H', W'), to the stored one, (B, D, H, W).

    Args:
        network: The network.
        maps: As :func:`adapter_maps` gives them.
        stored: Volumes as stored, (B, 1, D, H, W).
    """
    shape = network.prepare.shape(stored.shape[2:])
    maps = interpolate(maps, size=shape, mode="trilinear", align_corners=False)
    return network.prepare.restored(maps, stored)[:, 0]
