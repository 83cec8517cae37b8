"""Masked autoencoding of volumes, one way for every encoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.encoders.base import Encoded
from benchmark.encoders.frozen import content_hash
from benchmark.encoders.transformer import TokenTransformer, TransformerConfig
from benchmark.encoders.volume import Size, VolumeEncoder, pad_to_multiple, size_of, to_patches
from benchmark.errors import ConfigError, MethodError, UnknownNameError
from benchmark.training.batches import Batch
from benchmark.training.groups import parameter_groups
from benchmark.training.keys import generator

__all__ = [
    "CONTEXTS",
    "HIDDEN",
    "LOSSES",
    "MaskedAutoencoder",
    "MaskedConfig",
    "image_mask",
    "keyed_mask",
]

HIDDEN = ("replaced", "dropped")
LOSSES = ("mse", "l1")
CONTEXTS = ("tokens", "both", "pooled")
_EPSILON = 1e-6  # added to a patch's variance, as by He et al. 2022


@dataclass
class MaskedConfig:
    """Settings of masked autoencoding.

    Attributes:
        ratio: Share of the blocks that are hidden.
        block: Patches (tokens) that are hidden together, along each axis.
        hidden: What becomes of the hidden tokens of an encoder with a transformer: ``replaced`` by
            the mask token before the first block, or ``dropped`` and replaced after the last.
        loss: ``mse`` or ``l1``, per voxel.
        norm_patch: Whether a patch's voxels are predicted as deviations from its own mean in units
            of its own standard deviation.
        brain_share: A patch counts in the loss if more than this share of its voxels is brain.
        context: What the decoder sees: the encoder's ``tokens``, its ``pooled`` vector, or
            ``both``; a cls token is trained only if the decoder sees it.
        decoder: Sizes of the decoder; depth 0 is a linear one.
    """

    ratio: float = 0.75
    block: list[int] = field(default_factory=lambda: [1, 1, 1])
    hidden: str = "replaced"
    loss: str = "mse"
    norm_patch: bool = True
    brain_share: float = 0.0
    context: str = "tokens"
    decoder: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(width=64, depth=1, heads=4)
    )

    def check(self) -> None:
        """Refuses values that cannot work.

        Raises:
            ConfigError: A value is out of its range.
            UnknownNameError: ``hidden``, ``loss`` or ``context`` is not known.
        """
        if not 0 < self.ratio < 1:
            raise ConfigError(f"masked.ratio must be in (0, 1), got {self.ratio}")
        if not 0 <= self.brain_share < 1:
            raise ConfigError(f"masked.brain_share must be in [0, 1), got {self.brain_share}")
        for name, known in (("hidden", HIDDEN), ("loss", LOSSES), ("context", CONTEXTS)):
            if getattr(self, name) not in known:
                raise UnknownNameError(f"masked.{name}", getattr(self, name), known)
        size_of(self.block)
        self.decoder.check("masked.decoder")


def image_mask(
    n: int,
    grid: Size,
    block: Size,
    ratio: float,
    source: torch.Generator | None = None,
) -> Tensor:
    """Draws which patches are hidden.

    Blocks at the far sides are cut where the block does not divide the grid. The number of hidden
    blocks is the same in every volume; at least one is hidden and one is not.

    Args:
        n: Number of volumes, B.
        grid: Patches along each axis.
        block: Patches that are hidden together, along each axis.
        ratio: Share of blocks to hide.
        source: Source of randomness; torch's global one by default.

    Returns:
        (B, T) bool in C order of the grid, on the CPU.

    Raises:
        ConfigError: The grid is a single block.
    """
    blocks = [math.ceil(side / step) for side, step in zip(grid, block, strict=True)]
    total = math.prod(blocks)
    if total < 2:
        raise ConfigError(f"a grid of {grid} patches has one block of {block}; use smaller blocks")
    count = min(max(round(ratio * total), 1), total - 1)
    order = torch.rand(n, total, generator=source).argsort(dim=1)
    hidden = torch.zeros(n, total, dtype=torch.bool)
    hidden.scatter_(1, order[:, :count], value=True)
    hidden = hidden.view(n, *blocks)
    for axis, (side, step) in enumerate(zip(grid, block, strict=True), start=1):
        hidden = hidden.repeat_interleave(step, dim=axis).narrow(axis, 0, side)
    return hidden.flatten(1)


def keyed_mask(volumes: Tensor, grid: Size, block: Size, ratio: float) -> Tensor:
    """As :func:`image_mask`, a person's mask depending on that person's volume alone.

    Args:
        volumes: Volumes as stored, (B, 1, D, H, W), whose content is the key.
        grid: Patches along each axis.
        block: Patches that are hidden together, along each axis.
        ratio: Share of blocks to hide.
    """
    keys = [content_hash(volume.numpy()) for volume in volumes.detach().cpu()]
    masks = [image_mask(1, grid, block, ratio, generator("image mask", key)) for key in keys]
    return torch.cat(masks)


class MaskedAutoencoder(nn.Module):
    """Predicts the voxels of hidden patches; a network and what it learns from in one.

    Hidden voxels are set to 0 before the encoder's first operation, so nothing of them reaches any
    output through a receptive field. Masks come from torch's global generator in training, which
    the training loop seeds for each epoch, and from the person's own volume in validation.

    References:
        He et al. 2022, Masked autoencoders are scalable vision learners,
        10.1109/CVPR52688.2022.01553; Xie et al. 2022, SimMIM, 10.1109/CVPR52688.2022.00943, for
        encoders that see masked positions.

    Args:
        encoder: What is to be pretrained.
        config: Settings.
        shape: Voxels of prepared volumes along each axis.
        prepare: From stored to prepared volumes, e.g. ``PrepareVolumes``; nothing by default.

    Raises:
        ConfigError: A setting is out of range.
        UnknownNameError: ``hidden``, ``loss`` or ``context`` is not known.
    """

    def __init__(
        self,
        encoder: VolumeEncoder,
        config: MaskedConfig,
        shape: Sequence[int],
        prepare: nn.Module | None = None,
    ) -> None:
        super().__init__()
        config.check()
        self.encoder, self.config = encoder, config
        self.prepare = nn.Identity() if prepare is None else prepare
        self.block = size_of(config.block)
        self.mask_token = nn.Parameter(torch.randn(encoder.width) * 0.02)
        self.decoder = TokenDecoder(encoder, config, encoder.token_grid(shape))

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predicts from volumes as stored, ``t1w`` (B, 1, D, H, W).

        Returns:
            ``prediction`` and ``target`` (B, T, V), a patch's V voxels in C order, the target as
            prepared, not normalised; ``hidden`` (B, T) bool.
        """
        stored = inputs["t1w"]
        x = pad_to_multiple(self.prepare(stored), self.encoder.patch)
        grid = self.encoder.token_grid(x.shape[2:])
        if self.training:
            hidden = image_mask(len(x), grid, self.block, self.config.ratio)
        else:
            hidden = keyed_mask(stored, grid, self.block, self.config.ratio)
        hidden = hidden.to(x.device)
        prediction = self.reconstruct(x, hidden)
        return {
            "prediction": prediction,
            "target": to_patches(x, self.encoder.patch),
            "hidden": hidden,
        }

    def encode(self, x: Tensor, hidden: Tensor) -> Encoded:
        """What the encoder makes of the visible patches.

        Args:
            x: Prepared volumes, sides multiples of the patch, (B, 1, D, H, W).
            hidden: Which patches are hidden, (B, T) bool.
        """
        grid = self.encoder.token_grid(x.shape[2:])
        voxels = hidden.view(len(x), 1, *grid)
        for axis, step in enumerate(self.encoder.patch, start=2):
            voxels = voxels.repeat_interleave(step, dim=axis)
        drop = self.config.hidden == "dropped"
        visible = x.masked_fill(voxels, 0.0)
        return self.encoder.encode_masked(visible, hidden, self.mask_token, drop=drop)

    def reconstruct(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Predicted voxels of all patches, (B, T, V); arguments as of :meth:`encode`."""
        grid = self.encoder.token_grid(x.shape[2:])
        out: Tensor = self.decoder(self.encode(x, hidden), grid)
        return out

    # What the training loop asks for ---------------------------------------------------------

    def loss(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Mean over people of the mean over each one's hidden patches that hold brain."""
        del batch
        return masked_loss(
            outputs["prediction"].float(), outputs["target"].float(), outputs["hidden"], self.config
        )

    def backward(
        self, outputs: Mapping[str, Tensor], batch: Batch, scale: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Fills the gradients of ``scale(loss)`` and returns the detached loss."""
        loss = self.loss(outputs, batch)
        if not loss.requires_grad:
            raise MethodError("no parameter of this masked autoencoder can be trained")
        scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Matrices and kernels decay; vectors and position embeddings do not."""
        return parameter_groups(model, decays=lambda name: "position." not in name, order=(None,))


def masked_loss(prediction: Tensor, target: Tensor, hidden: Tensor, config: MaskedConfig) -> Tensor:
    """Error over hidden patches that hold brain; a volume without any adds 0.

    Args:
        prediction: Predicted voxels, (B, T, V).
        target: Voxels, 0 in the background, (B, T, V).
        hidden: Which patches are hidden, (B, T) bool.
        config: Settings.
    """
    counted = hidden & ((target != 0).float().mean(dim=2) > config.brain_share)  # b t
    error = prediction - patch_targets(target, config)
    each = (error.square() if config.loss == "mse" else error.abs()).mean(dim=2)  # b t
    each = torch.where(counted, each, 0.0)
    return (each.sum(dim=1) / counted.sum(dim=1).clamp_min(1)).mean()


def patch_targets(target: Tensor, config: MaskedConfig) -> Tensor:
    """Voxels as they are predicted: as they are, or in units of their patch, (B, T, V)."""
    if not config.norm_patch:
        return target
    mean = target.mean(dim=2, keepdim=True)
    variance = target.var(dim=2, keepdim=True)
    return (target - mean) / (variance + _EPSILON).sqrt()


class TokenDecoder(nn.Module):
    """From what an encoder gives to the voxels of each patch."""

    def __init__(self, encoder: VolumeEncoder, config: MaskedConfig, grid: Size) -> None:
        super().__init__()
        self.context = config.context
        width = config.decoder.width
        voxels = math.prod(encoder.patch)
        self.from_tokens = nn.Linear(encoder.width, width) if config.context != "pooled" else None
        self.from_pooled = nn.Linear(encoder.width, width) if config.context != "tokens" else None
        self.transformer = TokenTransformer(config.decoder, grid)
        self.head = nn.Linear(width, voxels)

    def forward(self, encoded: Encoded, grid: Size) -> Tensor:
        """Voxels of each patch, (B, T, V)."""
        n, t = encoded.tokens.shape[:2]
        x = encoded.tokens.new_zeros(n, t, self.head.in_features)
        if self.from_tokens is not None:
            x = x + self.from_tokens(encoded.tokens)
        if self.from_pooled is not None:
            x = x + self.from_pooled(encoded.pooled)[:, None]
        out: Tensor = self.head(self.transformer(x, grid))
        return out
