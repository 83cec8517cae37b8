"""Pyramids that begin below full resolution, and their decoders."""

import pytest
import torch

from benchmark.encoders import (
    ConvEncoder,
    ConvEncoderConfig,
    ReconstructionDecoder,
    SegmentationDecoder,
)
from benchmark.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_a_pyramid_may_begin_at_half_resolution(norm: str) -> None:
    config = ConvEncoderConfig(widths=[4, 8, 16], blocks=[0, 1, 1], stride=2, norm=norm)
    encoder, x = ConvEncoder(config), torch.randn(2, 1, 16, 18, 16)
    h, skips = encoder.encode_maps(x)
    assert encoder.patch == (8, 8, 8)
    assert h.shape == (2, 16, 2, 3, 2)
    assert [s.shape[1:] for s in skips] == [(4, 8, 12, 8), (8, 4, 6, 4)]
    segment = SegmentationDecoder(encoder.widths, 2, encoder.stride, [0, 1], norm)
    assert segment(h, skips, x.shape[2:]).shape == (2, 2, 16, 18, 16)
    rebuild = ReconstructionDecoder(encoder.widths, encoder.stride, [0, 0], norm)
    assert rebuild(h).shape == (2, 1, 16, 24, 16)
    kinds = {type(m).__name__ for m in [*encoder.modules(), *segment.modules()]}
    assert ("BatchNorm3d" in kinds) == (norm == "batch")
    assert ("GroupNorm" in kinds) == (norm == "group")


def test_each_position_gives_its_own_voxels() -> None:
    decoder = ReconstructionDecoder([2, 4], stride=2, blocks=[0]).eval()
    with torch.no_grad():
        decoder.last[2].conv.weight.zero_()
        decoder.last[2].conv.bias.copy_(torch.arange(8.0))
        out = decoder(torch.randn(1, 4, 1, 1, 1))
    block = out[0, 0, :2, :2, :2]
    assert block.flatten().tolist() == list(range(8))
    assert torch.equal(out[0, 0, 2:, :2, 2:], block)


def test_numbers_of_blocks_strides_and_norms_are_checked() -> None:
    with pytest.raises(ConfigError, match="as many numbers of blocks"):
        SegmentationDecoder([4, 8, 16], blocks=[1])
    with pytest.raises(ConfigError, match="stride of 1 or 2"):
        ConvEncoder(ConvEncoderConfig(stride=3))
    with pytest.raises(UnknownNameError, match="norm"):
        ConvEncoder(ConvEncoderConfig(norm="batsh"))


def test_a_scale_without_blocks_is_no_mere_convolution() -> None:
    encoder = ConvEncoder(ConvEncoderConfig(widths=[4, 8], blocks=[0, 1])).eval()
    x = torch.randn(1, 1, 4, 4, 4)
    once, twice = (encoder.encode_maps(v).skips[0] for v in (x, -x))
    assert once.min() >= 0
    assert not torch.allclose(once, -twice)
