"""Encoder, two decoders, three streams, one gate and a head per task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d

from benchmark.encoders import (
    PrepareVolumes,
    ReconstructionDecoder,
    SegmentationDecoder,
    build_encoder,
)
from benchmark.encoders.conv_encoder import Maps
from benchmark.encoders.masked import image_mask
from benchmark.encoders.volume import cropped, pad_to_multiple

from .info import NeuroBridgeConfig

ATROPHY = "atrophy"
SEGMENTATION = "segmentation"
RECONSTRUCTION = "reconstruction"
GATE, FUSED = "gate", "fused"
STREAMS = (SEGMENTATION, ATROPHY, RECONSTRUCTION)
_EPSILON = 1e-6


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task, (B, K), and what guides it.

    Args:
        config: Settings, which :func:`~methods.neurobridge.settings.check` has let through.
        outputs: By task, the number of its outputs.
        shape: Sides of volumes as stored, in voxels.
        spacing_mm: Voxel size of the store.
    """

    atlas: Tensor
    volume_mean: Tensor
    volume_scale: Tensor

    def __init__(
        self,
        config: NeuroBridgeConfig,
        outputs: Mapping[str, int],
        shape: Sequence[int],
        spacing_mm: float,
    ) -> None:
        super().__init__()
        self.config = config
        self.prepare = PrepareVolumes(spacing_mm, grid=config.grid, fit=config.fit)
        prepared = self.prepare.shape(shape)
        self.encoder = encoder = build_encoder(config.encoder, config.settings, prepared)
        decoding = (encoder.stride, config.decoder_blocks or None, config.norm)
        self.segmentation = SegmentationDecoder(encoder.widths, 2, *decoding)
        self.reconstruction = ReconstructionDecoder((*encoder.widths[:-1], config.width), *decoding)
        self.branches = nn.ModuleDict(
            {name: _branch(encoder.width, config.width, config.norm) for name in STREAMS}
        )
        self.volume = nn.Linear(1, config.width, bias=False) if config.volume_in_stream else None
        if self.volume is not None and config.volume_zero_start:
            # people differ more in volume than in pooled features
            nn.init.zeros_(self.volume.weight)
        self.atrophy = nn.Linear(config.width, 2)
        self.fusion = GatedFusion(
            len(STREAMS), config.width, config.gate, zero_start=config.gate_zero_start
        )
        self.dropout = nn.Dropout(config.dropout)
        self.heads = nn.ModuleDict({t: nn.Linear(config.width, n) for t, n in outputs.items()})
        # Log odds of the hippocampus in each prepared voxel, over training people; 0 without masks.
        self.register_buffer("atlas", torch.zeros(1, 1, *prepared))
        # Voxels of the hippocampus in prepared training volumes, from their masks: mean and one
        # over the deviation. Without masks the scale stays 0, and the stream holds no volume.
        self.register_buffer("volume_mean", torch.zeros(()))
        self.register_buffer("volume_scale", torch.zeros(()))

    def learn_masks(self, masks: Tensor, usual: Tensor | None = None) -> None:
        """Takes the atlas and the usual volume from masks of training people.

        Args:
            masks: Share of each prepared voxel that is hippocampus, (M, 1, D, H, W).
            usual: Whose volume is the usual one, (M,) bool; everybody's by default.
        """
        sizes = masks.sum(dim=(1, 2, 3, 4))
        sizes = sizes if usual is None else sizes[usual]
        self.volume_mean.fill_(sizes.mean())
        self.volume_scale.fill_(1 / sizes.std(correction=0).clamp_min(1.0))
        if self.config.atlas:
            mean = masks.mean(dim=0, keepdim=True)
            if self.config.atlas_mirrored:  # both hemispheres alike, since volumes are mirrored
                mean = (mean + mean.flip(2)) / 2
            side, least = self.config.atlas_smoothing, self.config.atlas_least_share
            mean = avg_pool3d(mean, side, stride=1, padding=side // 2)  # volumes are shifted, too
            self.atlas.copy_(mean.clamp(least, 1 - least).logit())

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Everything that is predicted.

        Returns:
            By task (B, K); ``segmentation``, logits (B, 2, D', H', W') over prepared volumes;
            ``atrophy``, logits (B, 2); ``gate`` (B, 3, d). In training also ``reconstruction``, the
            mean error over hidden voxels of each of the volumes that were masked, (R,).
        """
        x = self.prepare(inputs["t1w"])  # b 1 i j k
        whole = pad_to_multiple(x, self.encoder.patch)
        maps = self.encoder.encode_maps(whole)
        segmentation = self.segment(maps)
        hippocampus = segmentation.softmax(dim=1)[:, 1:]
        if not self.config.tasks_move_segmentation:
            hippocampus = hippocampus.detach()
        streams = self.pooled(maps.h, hippocampus)
        z, gate = self.fusion(streams)
        out = {task: head(self.dropout(z)) for task, head in self.heads.items()}
        out[SEGMENTATION] = cropped(segmentation, x.shape[2:])
        out[ATROPHY] = self.atrophy(streams[:, STREAMS.index(ATROPHY)])
        out[GATE], out[FUSED] = gate, z
        if self.training and self.config.reconstruct_share > 0:
            out[RECONSTRUCTION] = self.reconstruction_errors(whole)
        return out

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The fused vector, (B, d)."""
        return self(inputs)[FUSED]

    def segment(self, maps: Maps) -> Tensor:
        """Logits over the padded volume, (B, 2, D, H, W): what the decoder adds to the atlas."""
        logits: Tensor = self.segmentation(maps.h, maps.skips)
        atlas = pad_to_multiple(self.atlas, self.encoder.patch)  # 1 1 i j k
        return logits + torch.cat([torch.zeros_like(atlas), atlas], dim=1)

    def pooled(self, h: Tensor, hippocampus: Tensor) -> Tensor:
        """The three streams, (B, 3, d).

        Args:
            h: The coarsest map, (B, C, d, h, w).
            hippocampus: Probability of each voxel to be hippocampus, (B, 1, D, H, W), padded.
        """
        branched = {name: branch(h) for name, branch in self.branches.items()}
        weight = avg_pool3d(hippocampus, self.encoder.patch)  # b 1 i j k, as h
        axes = (2, 3, 4)
        streams = {name: branched[name].mean(dim=axes) for name in (ATROPHY, RECONSTRUCTION)}
        total = weight.sum(dim=axes)  # b 1
        if self.config.segmentation_pooling == "mean":
            z = branched[SEGMENTATION].mean(dim=axes)
        else:
            z = (branched[SEGMENTATION] * weight).sum(dim=axes) / (total + _EPSILON)
        if self.volume is not None:
            voxels = total * math.prod(self.encoder.patch)
            z = z + self.volume((voxels - self.volume_mean) * self.volume_scale)
        streams[SEGMENTATION] = z
        return torch.stack([streams[name] for name in STREAMS], dim=1)

    def reconstruction_errors(self, x: Tensor) -> Tensor:
        """Mean error over the hidden voxels of the first R volumes, (R,).

        Args:
            x: Prepared volumes, padded, (B, 1, D, H, W).
        """
        x = x[: max(1, round(len(x) * self.config.reconstruct_share))]
        hidden = self.hidden_voxels(x)
        with fleeting_statistics(self):
            h = self.encoder.encode_maps(x.masked_fill(hidden, 0.0)).h
            rebuilt = self.reconstruction(self.branches[RECONSTRUCTION](h))
        return masked_error(rebuilt, x, hidden, self.config.reconstruction_loss)

    def hidden_voxels(self, x: Tensor) -> Tensor:
        """Which voxels are hidden, (R, 1, D, H, W) bool.

        Args:
            x: Prepared volumes, padded, (R, 1, D, H, W).
        """
        grid = self.encoder.token_grid(x.shape[2:])
        hidden = image_mask(len(x), grid, (1, 1, 1), self.config.mask_ratio).to(x.device)
        hidden = hidden.view(len(x), 1, *grid)
        for axis, step in enumerate(self.encoder.patch, start=2):
            hidden = hidden.repeat_interleave(step, dim=axis)
        return hidden


@contextmanager
def fleeting_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norms use the statistics of what passes and keep nothing of them.

    Masked volumes are never predicted from; what evaluation normalises by must not hold them.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def masked_error(rebuilt: Tensor, x: Tensor, hidden: Tensor, kind: str) -> Tensor:
    """Mean error over the hidden voxels of each volume, (R,).

    Args:
        rebuilt: Shape (R, 1, D, H, W).
        x: The volumes, (R, 1, D, H, W).
        hidden: Which voxels were hidden, (R, 1, D, H, W) bool.
        kind: ``l1``, absolute, or ``mse``, squared.
    """
    axes = (1, 2, 3, 4)
    error = (rebuilt - x).abs() if kind == "l1" else (rebuilt - x).square()
    return (error * hidden).sum(dim=axes) / hidden.sum(dim=axes).clamp_min(1)


class ChannelNorm(nn.LayerNorm):
    """Normalises the channels of each position by themselves: no position moves another."""

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape, (B, C, d, h, w)."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def _branch(channels: int, width: int, norm: str) -> nn.Sequential:
    """From the coarsest map, (B, C, d, h, w), to what a stream is pooled from, (B, width, ...).

    A group norm takes its mean over space, where positions of weight 0 would count, so ``group``
    stands for a norm of each position here.
    """
    return nn.Sequential(
        nn.Conv3d(channels, width, kernel_size=1, bias=False),
        ChannelNorm(width) if norm == "group" else nn.BatchNorm3d(width),
        nn.ReLU(),
    )


class GatedFusion(nn.Module):
    """One vector from several streams: a softmax over the streams.

    Args:
        n: Number of streams.
        width: Features of each.
        gate: ``channel`` for weights of each channel, ``stream`` for the same in all channels.
        zero_start: Whether the gates start even, so that no stream is preferred at first.
    """

    def __init__(self, n: int, width: int, gate: str, *, zero_start: bool) -> None:
        super().__init__()
        self.scores = nn.Linear(n * width, n * width if gate == "channel" else n)
        if zero_start:
            nn.init.zeros_(self.scores.weight)
            nn.init.zeros_(self.scores.bias)

    def forward(self, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Streams (B, n, d) to the fused vector (B, d) and the gates (B, n, d)."""
        scores = self.scores(streams.flatten(1)).view(*streams.shape[:2], -1)  # b n d, or b n 1
        gate = scores.softmax(dim=1).expand_as(streams)
        return (gate * streams).sum(dim=1), gate
