"""Pretraining of volume encoders without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmark.config import typed
from benchmark.encoders.masked import MaskedAutoencoder, MaskedConfig
from benchmark.encoders.volume import PrepareVolumes, VolumeEncoder
from benchmark.errors import ConfigError, MethodError, UnknownNameError
from benchmark.method import RunContext
from benchmark.samples.samples import Samples
from benchmark.training.batches import BatchSource
from benchmark.training.config import TrainerConfig
from benchmark.training.devices import channels_last
from benchmark.training.keys import key
from benchmark.training.trainer import Trainer

__all__ = ["ENCODERS", "STAGE", "PretrainingConfig", "build_encoder", "preparation", "pretrain"]

ENCODERS = ("volume_vit", "dense_vit", "conv", "swin")
STAGE = "pretraining"


@dataclass
class PretrainingConfig:
    """One pretraining of a volume encoder.

    Attributes:
        encoder: One of ``ENCODERS``.
        settings: The encoder's own settings, all but its grid, which the volumes give.
        pool: Voxels that are averaged along each axis before the encoder.
        grid: Sides of the volumes that the encoder sees, e.g. [96, 96, 96]; empty: as stored.
        fit: How volumes come to that grid: ``pad`` or ``resample``.
        masked: What is hidden and how it is predicted.
        trainer: The training loop.
    """

    encoder: str = "volume_vit"
    settings: dict[str, Any] = field(default_factory=dict)
    pool: list[int] = field(default_factory=lambda: [1, 1, 1])
    grid: list[int] = field(default_factory=list)
    fit: str = "pad"
    masked: MaskedConfig = field(default_factory=MaskedConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)


def build_encoder(name: str, settings: Mapping[str, Any], shape: Sequence[int]) -> VolumeEncoder:
    """Makes an encoder with weights from torch's global generator.

    Args:
        name: One of ``ENCODERS``.
        settings: What differs from the defaults of the encoder's configuration.
        shape: Sides of prepared volumes in voxels, (D, H, W).

    Raises:
        UnknownNameError: There is no encoder of that name.
        ConfigError: A setting is unknown, of a wrong type or out of range, or is the grid.
    """
    if name not in ENCODERS:
        raise UnknownNameError("volume encoder", name, ENCODERS)
    if "grid" in settings:
        raise ConfigError(f"settings of {name}: the grid is that of the volumes; leave it out")
    kind, schema = _classes(name)
    values = {**settings, "grid": [int(side) for side in shape]}
    encoder: VolumeEncoder = kind(typed(schema, values, f"settings of {name}"))
    return encoder


def _classes(name: str) -> tuple[type, type]:
    if name == "volume_vit":
        from benchmark.encoders.volume_vit import VolumeViT, VolumeViTConfig

        return VolumeViT, VolumeViTConfig
    if name == "dense_vit":
        from benchmark.encoders.dense_vit import DenseViT, DenseViTConfig

        return DenseViT, DenseViTConfig
    from benchmark.encoders import conv_encoder

    if name == "conv":
        return conv_encoder.ConvEncoder, conv_encoder.ConvEncoderConfig
    return conv_encoder.SwinEncoder, conv_encoder.SwinEncoderConfig


def preparation(config: PretrainingConfig, spacing_mm: float) -> PrepareVolumes:
    """What must come before the encoder wherever it is used."""
    return PrepareVolumes(spacing_mm, config.pool, config.grid, config.fit)


def pretrain(
    train: Samples, val: Samples, config: PretrainingConfig, run: RunContext
) -> VolumeEncoder:
    """Trains an encoder to predict hidden parts of volumes.

    People without a volume are left out. A pretraining that was interrupted continues from its
    checkpoint in ``run.folder`` to the same weights.

    Args:
        train: People to learn from; labels are not looked at.
        val: People whose loss is watched.
        config: Settings.
        run: Seed, device, folder, log.

    Returns:
        The encoder in eval mode. It takes volumes that :func:`preparation` has seen.

    Raises:
        MethodError: The samples hold no volumes, or nobody to learn from.
        ConfigError: A setting is out of range, or ``pool`` does not divide the volumes.
    """
    sources = [_source(part) for part in (train, val)]
    if not len(sources[0]):
        raise MethodError("no training person has a T1w volume")
    prepare = preparation(config, train.spacing_mm)
    shape = prepare.shape(train.arrays["t1w"].shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(run.seed, STAGE, "init"))
        encoder = build_encoder(config.encoder, config.settings, shape)
        model = MaskedAutoencoder(encoder, config.masked, shape, prepare)
    channels_last(model)
    Trainer(model, model, sources[0], sources[1], config.trainer, run, STAGE).fit()
    return encoder.eval()


def _source(samples: Samples) -> BatchSource:
    if "t1w" not in samples.arrays:
        raise MethodError("pretraining needs T1w volumes, which these samples do not hold")
    volumes = samples.arrays["t1w"]
    return BatchSource({"t1w": volumes.subset(np.flatnonzero(volumes.available))})
