"""Self-attention written out in double precision from a transformer's weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from benchmark.encoders.transformer import TokenTransformer


def attention_by_hand(
    transformer: TokenTransformer, tokens: Tensor, cls: Tensor | None
) -> list[Tensor]:
    """What each token takes of each other one, (B, heads, T, T), block by block.

    Args:
        transformer: The transformer, none of whose methods is called.
        tokens: Before positions are added, (B, T, d).
        cls: A token in front of them, (d,), or none.
    """
    x = tokens.double() + transformer.position.weight.double()
    if cls is not None:
        x = torch.cat([cls.double().expand(len(x), 1, -1), x], dim=1)
    maps = []
    for block in transformer.blocks:
        joint, count = block.attn.qkv, block.attn.heads
        pieces = zip(joint.weight.chunk(3), joint.bias.chunk(3), strict=True)
        y = normed(x, block.norm1)
        query, key, value = (y @ w.double().T + b.double() for w, b in pieces)
        shares, mixed = [], []
        for own in torch.arange(x.shape[2]).chunk(count):
            scores = query[..., own] @ key[..., own].transpose(1, 2) / math.sqrt(len(own))
            share = scores.exp() / scores.exp().sum(dim=2, keepdim=True)
            shares.append(share)
            mixed.append(share @ value[..., own])
        x = x + through(torch.cat(mixed, dim=2), block.attn.out_proj)
        y = through(normed(x, block.norm2), block.mlp.linear1)
        x = x + through(y * (1 + torch.erf(y / math.sqrt(2))) / 2, block.mlp.linear2)
        maps.append(torch.stack(shares, dim=1))
    return maps


def through(x: Tensor, layer: nn.Linear) -> Tensor:
    """One linear layer."""
    return x @ layer.weight.double().T + layer.bias.double()


def normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """One layer norm."""
    mean, variance = x.mean(dim=2, keepdim=True), x.var(dim=2, correction=0, keepdim=True)
    return (x - mean) / (variance + norm.eps).sqrt() * norm.weight.double() + norm.bias.double()
