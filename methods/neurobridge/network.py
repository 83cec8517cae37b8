"""Encoder, two decoders, three streams, one gate and a head per task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
GATE = "gate"
STREAMS = (SEGMENTATION, ATROPHY, RECONSTRUCTION)
_EPSILON = 1e-6


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task, (B, K), and what guides it.

    Args:
        config: Settings.
        outputs: By task, the number of its outputs.
        shape: Sides of volumes as stored, in voxels.
        spacing_mm: Voxel size of the store.
    """

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
        self.encoder = build_encoder(config.encoder, config.settings, self.prepare.shape(shape))
        encoder, blocks = self.encoder, config.decoder_blocks or None
        self.segmentation = SegmentationDecoder(encoder.widths, 2, encoder.stride, blocks)
        self.reconstruction = ReconstructionDecoder(encoder.widths, encoder.stride, blocks)
        self.branches = nn.ModuleDict({name: _branch(encoder.width) for name in STREAMS})
        volume = 1 if config.volume_in_stream else 0
        self.streams = nn.ModuleDict(
            {
                name: nn.Linear(
                    encoder.width + (volume if name == SEGMENTATION else 0), config.width
                )
                for name in STREAMS
            }
        )
        self.atrophy = nn.Linear(config.width, 2)
        self.fusion = GatedFusion(len(STREAMS), config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.heads = nn.ModuleDict({t: nn.Linear(config.width, n) for t, n in outputs.items()})
        # Voxels of the hippocampus in prepared training volumes, from their masks: mean and one
        # over the deviation. Without masks the scale stays 0, and the stream holds no volume.
        self.register_buffer("volume_mean", torch.zeros(()))
        self.register_buffer("volume_scale", torch.zeros(()))

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Everything that is predicted.

        Returns:
            By task (B, K); ``segmentation``, logits (B, 2, D', H', W') over prepared volumes;
            ``atrophy``, logits (B, 2); ``gate`` (B, 3, d). In training also ``reconstruction``, the
            mean absolute error over hidden voxels of each of the volumes that were masked, (R,).
        """
        x = self.prepare(inputs["t1w"])  # b 1 i j k
        maps = self._maps(x)
        logits = self.segmentation(maps.h, maps.skips)  # b 2 i j k, padded
        streams = self.pooled(maps.h, logits.softmax(dim=1)[:, 1:])  # b 3 d
        z, gate = self.fusion(streams)
        z = self.dropout(z)
        out = {task: head(z) for task, head in self.heads.items()}
        out[SEGMENTATION] = cropped(logits, x.shape[2:])
        out[ATROPHY] = self.atrophy(streams[:, STREAMS.index(ATROPHY)].relu())
        out[GATE] = gate
        if self.training:
            out[RECONSTRUCTION] = self.reconstruction_errors(x)
        return out

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The fused vector, (B, d)."""
        maps = self._maps(self.prepare(inputs["t1w"]))
        share = self.segmentation(maps.h, maps.skips).softmax(dim=1)[:, 1:]
        z: Tensor = self.fusion(self.pooled(maps.h, share))[0]
        return z

    def pooled(self, h: Tensor, hippocampus: Tensor) -> Tensor:
        """The three streams, (B, 3, d).

        Args:
            h: The coarsest map, (B, C, d, h, w).
            hippocampus: Probability of each voxel to be hippocampus, (B, 1, D, H, W), padded.
        """
        weight = avg_pool3d(hippocampus, self.encoder.patch)  # b 1 i j k, as h
        vectors = {}
        for name, branch in self.branches.items():
            x = branch(h)  # b c i j k
            if name == SEGMENTATION:
                total = weight.sum(dim=(2, 3, 4))  # b 1
                x = (x * weight).sum(dim=(2, 3, 4)) / (total + _EPSILON)
                if self.config.volume_in_stream:
                    voxels = total * math.prod(self.encoder.patch)
                    x = torch.cat([x, (voxels - self.volume_mean) * self.volume_scale], dim=1)
            else:
                x = x.mean(dim=(2, 3, 4))
            vectors[name] = self.streams[name](x)
        return torch.stack([vectors[name] for name in STREAMS], dim=1)

    def reconstruction_errors(self, x: Tensor) -> Tensor:
        """Mean absolute error over the hidden voxels of some volumes of a batch, (R,).

        Args:
            x: Prepared volumes, (B, 1, D, H, W); the first R are masked.
        """
        x = x[: max(1, round(len(x) * self.config.reconstruct_share))]
        x = pad_to_multiple(x, self.encoder.patch)
        grid = self.encoder.token_grid(x.shape[2:])
        hidden = image_mask(len(x), grid, (1, 1, 1), self.config.mask_ratio).to(x.device)
        hidden = hidden.view(len(x), 1, *grid)
        for axis, step in enumerate(self.encoder.patch, start=2):
            hidden = hidden.repeat_interleave(step, dim=axis)
        h = self._maps(x.masked_fill(hidden, 0.0)).h
        error = (self.reconstruction(self.branches[RECONSTRUCTION](h)) - x).abs()
        axes = (1, 2, 3, 4)
        return (error * hidden).sum(dim=axes) / hidden.sum(dim=axes)

    def _maps(self, x: Tensor) -> Maps:
        return self.encoder.encode_maps(x)


def _branch(channels: int) -> nn.Sequential:
    """What a stream makes of the coarsest map before it is pooled, (B, C, d, h, w) to the same."""
    return nn.Sequential(
        nn.GroupNorm(math.gcd(8, channels), channels),
        nn.ReLU(),
        nn.Conv3d(channels, channels, kernel_size=1),
        nn.ReLU(),
    )


class GatedFusion(nn.Module):
    """One vector from several streams: a softmax over the streams in each channel.

    The gates start even, so that no stream is preferred before anything is learned.

    Args:
        n: Number of streams.
        width: Features of each.
    """

    def __init__(self, n: int, width: int) -> None:
        super().__init__()
        self.scores = nn.Linear(n * width, n * width)
        nn.init.zeros_(self.scores.weight)
        nn.init.zeros_(self.scores.bias)

    def forward(self, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Streams (B, n, d) to the fused vector (B, d) and the gates (B, n, d)."""
        gate = self.scores(streams.flatten(1)).view_as(streams).softmax(dim=1)
        return (gate * streams).sum(dim=1), gate
