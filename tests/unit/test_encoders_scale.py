"""Parameters of the encoders at the paper's scale, and at the small one."""

from __future__ import annotations

import pytest
import torch
from test_encoders_volume import count

from benchmark.encoders import (
    DenseViT,
    DenseViTConfig,
    SwinEncoder,
    SwinEncoderConfig,
    VolumeViT,
    VolumeViTConfig,
)
from benchmark.encoders.dense_vit import dense_vit_paper


@pytest.mark.slow
def test_the_papers_scale() -> None:
    with torch.device("meta"):
        dense = DenseViT(dense_vit_paper())
        vit = VolumeViT(
            VolumeViTConfig(
                grid=[32, 256, 256], patch=[4, 16, 16], width=768, depth=12, heads=12, mlp_ratio=4.0
            )
        )
        assert dense(torch.zeros(1, 1, 96, 96, 96)).tokens.shape == (1, 216, 768)
        assert vit(torch.zeros(1, 1, 32, 256, 256)).tokens.shape == (1, 2048, 768)
    assert dense.token_grid((96, 96, 96)) == (6, 6, 6)
    assert count(dense) == pytest.approx(88.2e6, rel=0.01)
    assert count(vit) == pytest.approx(87.4e6, rel=0.01)


@pytest.mark.slow
def test_the_papers_swin_encoder() -> None:
    encoder = SwinEncoder(SwinEncoderConfig())
    assert encoder.widths == (48, 48, 96, 192, 384, 768)
    assert 30e6 < count(encoder) < 62e6


def test_the_small_scale_is_small() -> None:
    assert count(DenseViT(DenseViTConfig())) < 250_000
    assert count(VolumeViT(VolumeViTConfig())) < 250_000
