"""Encoder, two decoders, three streams, one gate and a head per task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from monai.networks.layers.utils import get_norm_layer
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
from benchmark.encoders.volume_decoders import norm_of

from .info import NeuroBridgeConfig

ATROPHY = "atrophy"
SEGMENTATION = "segmentation"
RECONSTRUCTION = "reconstruction"
GATE, FUSED = "gate", "fused"
STREAMS = (SEGMENTATION, ATROPHY, RECONSTRUCTION)
_EPSILON = 1e-6
_LEAST_SHARE = 1e-3  # of training people, in the atlas: nowhere is the hippocampus ruled out


class Network(nn.Module):
    """From volumes (B, 1, D, H, W) to one output per task, (B, K), and what guides it.

    Args:
        config: Settings.
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
        self.reconstruction = ReconstructionDecoder(encoder.widths, *decoding)
        self.branches = nn.ModuleDict({n: _branch(encoder.width, config.norm) for n in STREAMS})
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
        # Log odds of the hippocampus in each prepared voxel, over training people; 0 without masks.
        self.register_buffer("atlas", torch.zeros(1, 1, *prepared))
        # Voxels of the hippocampus in prepared training volumes, from their masks: mean and one
        # over the deviation. Without masks the scale stays 0, and the stream holds no volume.
        self.register_buffer("volume_mean", torch.zeros(()))
        self.register_buffer("volume_scale", torch.zeros(()))

    def learn_masks(self, masks: Tensor) -> None:
        """Takes the atlas and the usual volume from masks of training people.

        Args:
            masks: Share of each prepared voxel that is hippocampus, (M, 1, D, H, W).
        """
        sizes = masks.sum(dim=(1, 2, 3, 4))
        self.volume_mean.fill_(sizes.mean())
        self.volume_scale.fill_(1 / sizes.std(correction=0).clamp_min(1.0))
        if self.config.atlas:
            mean = masks.mean(dim=0, keepdim=True)
            mean = (mean + mean.flip(2)) / 2  # both hemispheres alike, since volumes are mirrored
            mean = avg_pool3d(mean, 3, stride=1, padding=1)  # and shifted by a voxel
            self.atlas.copy_(mean.clamp(_LEAST_SHARE, 1 - _LEAST_SHARE).logit())

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Everything that is predicted.

        Returns:
            By task (B, K); ``segmentation``, logits (B, 2, D', H', W') over prepared volumes;
            ``atrophy``, logits (B, 2); ``gate`` (B, 3, d). In training also ``reconstruction``, the
            mean absolute error over hidden voxels of each of the volumes that were masked, (R,).
        """
        x = self.prepare(inputs["t1w"])  # b 1 i j k
        whole = pad_to_multiple(x, self.encoder.patch)
        hidden = self.hidden_voxels(whole) if self.training else whole[:0].bool()
        # Masked and whole volumes pass together, so that batch norm sees one mixture of both.
        masked = whole[: len(hidden)].masked_fill(hidden, 0.0)  # r 1 i j k
        maps = self.encoder.encode_maps(torch.cat([whole, masked]) if len(masked) else whole)
        n = len(x)
        segmentation = self.segment(Maps(maps.h[:n], tuple(skip[:n] for skip in maps.skips)))
        branched = {name: branch(maps.h) for name, branch in self.branches.items()}
        hippocampus = segmentation.softmax(dim=1)[:, 1:]
        if not self.config.tasks_move_segmentation:
            hippocampus = hippocampus.detach()
        streams = self.pooled({name: h[:n] for name, h in branched.items()}, hippocampus)
        z, gate = self.fusion(streams)
        out = {task: head(self.dropout(z)) for task, head in self.heads.items()}
        out[SEGMENTATION] = cropped(segmentation, x.shape[2:])
        out[ATROPHY] = self.atrophy(streams[:, STREAMS.index(ATROPHY)].relu())
        out[GATE], out[FUSED] = gate, z
        if self.training:
            rebuilt = self.reconstruction(branched[RECONSTRUCTION][n:])
            out[RECONSTRUCTION] = masked_error(rebuilt, whole[: len(hidden)], hidden)
        return out

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The fused vector, (B, d)."""
        return self(inputs)[FUSED]

    def segment(self, maps: Maps) -> Tensor:
        """Logits over the padded volume, (B, 2, D, H, W): what the decoder adds to the atlas."""
        logits: Tensor = self.segmentation(maps.h, maps.skips)
        atlas = pad_to_multiple(self.atlas, self.encoder.patch)  # 1 1 i j k
        return logits + torch.cat([torch.zeros_like(atlas), atlas], dim=1)

    def pooled(self, branched: Mapping[str, Tensor], hippocampus: Tensor) -> Tensor:
        """The three streams, (B, 3, d).

        Args:
            branched: By stream, what its branch made of the coarsest map, (B, C, d, h, w).
            hippocampus: Probability of each voxel to be hippocampus, (B, 1, D, H, W), padded.
        """
        weight = avg_pool3d(hippocampus, self.encoder.patch)  # b 1 i j k, as h
        vectors = []
        for name in STREAMS:
            x = branched[name]
            if name == SEGMENTATION:
                total = weight.sum(dim=(2, 3, 4))  # b 1
                x = (x * weight).sum(dim=(2, 3, 4)) / (total + _EPSILON)
                if self.config.volume_in_stream:
                    voxels = total * math.prod(self.encoder.patch)
                    x = torch.cat([x, (voxels - self.volume_mean) * self.volume_scale], dim=1)
            else:
                x = x.mean(dim=(2, 3, 4))
            vectors.append(self.streams[name](x))
        return torch.stack(vectors, dim=1)

    def hidden_voxels(self, x: Tensor) -> Tensor:
        """Which voxels of the first R volumes are hidden, (R, 1, D, H, W) bool.

        Args:
            x: Prepared volumes, padded, (B, 1, D, H, W).
        """
        n = max(1, round(len(x) * self.config.reconstruct_share))
        grid = self.encoder.token_grid(x.shape[2:])
        hidden = image_mask(n, grid, (1, 1, 1), self.config.mask_ratio).to(x.device)
        hidden = hidden.view(n, 1, *grid)
        for axis, step in enumerate(self.encoder.patch, start=2):
            hidden = hidden.repeat_interleave(step, dim=axis)
        return hidden


def masked_error(rebuilt: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """Mean absolute error over the hidden voxels of each volume, (R,).

    Args:
        rebuilt: Shape (R, 1, D, H, W).
        x: The volumes, (R, 1, D, H, W).
        hidden: Which voxels were hidden, (R, 1, D, H, W) bool.
    """
    axes = (1, 2, 3, 4)
    return ((rebuilt - x).abs() * hidden).sum(dim=axes) / hidden.sum(dim=axes).clamp_min(1)


def _branch(channels: int, norm: str) -> nn.Sequential:
    """What a stream makes of the coarsest map before it is pooled, (B, C, d, h, w) to the same."""
    return nn.Sequential(
        get_norm_layer(name=norm_of(norm, channels), spatial_dims=3, channels=channels),
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
