"""Encoders of volumes, time series, written text and genotypes, frozen or trained.

Names load on first use, since most of them need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.encoders.base import Encoded, Encoder, load_state
    from benchmark.encoders.conv_encoder import (
        ConvEncoder,
        ConvEncoderConfig,
        Maps,
        SwinEncoder,
        SwinEncoderConfig,
    )
    from benchmark.encoders.dense_vit import DenseViT, DenseViTConfig
    from benchmark.encoders.frozen import FeatureStore, frozen_features
    from benchmark.encoders.genetics import GeneticsEncoder
    from benchmark.encoders.gradcam import gradcam_maps, over_volumes
    from benchmark.encoders.lora import add_lora
    from benchmark.encoders.masked import MaskedAutoencoder, MaskedConfig
    from benchmark.encoders.pretraining import PretrainingConfig, build_encoder, pretrain
    from benchmark.encoders.readers import (
        ArrayReader,
        ColumnReader,
        GenotypeReader,
        Reader,
        SeriesReader,
        count_snps,
    )
    from benchmark.encoders.reports import ReportFeatures, sentences
    from benchmark.encoders.text import TextEncoder, llama_like
    from benchmark.encoders.timeseries import TimeSeriesEncoder
    from benchmark.encoders.tokens import TokenEncoder
    from benchmark.encoders.volume import PrepareVolumes, VolumeEncoder
    from benchmark.encoders.volume_decoders import ReconstructionDecoder, SegmentationDecoder
    from benchmark.encoders.volume_tokens import VolumeTokens
    from benchmark.encoders.volume_vit import VolumeViT, VolumeViTConfig

__all__ = [
    "ArrayReader",
    "ColumnReader",
    "ConvEncoder",
    "ConvEncoderConfig",
    "DenseViT",
    "DenseViTConfig",
    "Encoded",
    "Encoder",
    "FeatureStore",
    "GeneticsEncoder",
    "GenotypeReader",
    "Maps",
    "MaskedAutoencoder",
    "MaskedConfig",
    "PrepareVolumes",
    "PretrainingConfig",
    "Reader",
    "ReconstructionDecoder",
    "ReportFeatures",
    "SegmentationDecoder",
    "SeriesReader",
    "SwinEncoder",
    "SwinEncoderConfig",
    "TextEncoder",
    "TimeSeriesEncoder",
    "TokenEncoder",
    "VolumeEncoder",
    "VolumeTokens",
    "VolumeViT",
    "VolumeViTConfig",
    "add_lora",
    "build_encoder",
    "count_snps",
    "frozen_features",
    "gradcam_maps",
    "llama_like",
    "load_state",
    "over_volumes",
    "pretrain",
    "sentences",
]

_HOMES = {
    "ArrayReader": "benchmark.encoders.readers",
    "ColumnReader": "benchmark.encoders.readers",
    "ConvEncoder": "benchmark.encoders.conv_encoder",
    "ConvEncoderConfig": "benchmark.encoders.conv_encoder",
    "DenseViT": "benchmark.encoders.dense_vit",
    "DenseViTConfig": "benchmark.encoders.dense_vit",
    "Encoded": "benchmark.encoders.base",
    "Encoder": "benchmark.encoders.base",
    "FeatureStore": "benchmark.encoders.frozen",
    "GeneticsEncoder": "benchmark.encoders.genetics",
    "GenotypeReader": "benchmark.encoders.readers",
    "Maps": "benchmark.encoders.conv_encoder",
    "MaskedAutoencoder": "benchmark.encoders.masked",
    "MaskedConfig": "benchmark.encoders.masked",
    "PrepareVolumes": "benchmark.encoders.volume",
    "PretrainingConfig": "benchmark.encoders.pretraining",
    "Reader": "benchmark.encoders.readers",
    "ReconstructionDecoder": "benchmark.encoders.volume_decoders",
    "ReportFeatures": "benchmark.encoders.reports",
    "SegmentationDecoder": "benchmark.encoders.volume_decoders",
    "SeriesReader": "benchmark.encoders.readers",
    "SwinEncoder": "benchmark.encoders.conv_encoder",
    "SwinEncoderConfig": "benchmark.encoders.conv_encoder",
    "TextEncoder": "benchmark.encoders.text",
    "TimeSeriesEncoder": "benchmark.encoders.timeseries",
    "TokenEncoder": "benchmark.encoders.tokens",
    "VolumeEncoder": "benchmark.encoders.volume",
    "VolumeTokens": "benchmark.encoders.volume_tokens",
    "VolumeViT": "benchmark.encoders.volume_vit",
    "VolumeViTConfig": "benchmark.encoders.volume_vit",
    "add_lora": "benchmark.encoders.lora",
    "build_encoder": "benchmark.encoders.pretraining",
    "count_snps": "benchmark.encoders.readers",
    "frozen_features": "benchmark.encoders.frozen",
    "gradcam_maps": "benchmark.encoders.gradcam",
    "llama_like": "benchmark.encoders.text",
    "load_state": "benchmark.encoders.base",
    "over_volumes": "benchmark.encoders.gradcam",
    "pretrain": "benchmark.encoders.pretraining",
    "sentences": "benchmark.encoders.reports",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
