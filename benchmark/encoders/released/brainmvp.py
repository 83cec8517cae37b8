"""BrainMVP: a 3D UniFormer trained on 16,022 multi-parametric brain scans (Rui et al. 2025, CVPR).

Source: arXiv 2410.10604; github shaohao011/BrainMVP (no licence file found), weights linked from
its README. Names and shapes: ``models/uniformer_blocks.py`` (``uniformer_small``: the network of Li
et al. 2022, arXiv 2201.09450, patches of two voxels at each of four stages),
``models/Uniformer.py`` (prefix ``encoder.uniformer.``, ``decoder.`` and ``rep_template`` beside
it), ``main.py`` (one channel, ``state_dict`` of a parallel model), and issue 2 of that repository,
in which the authors confirm the single channel. Inputs: RAS, 1 mm, intensities scaled by
percentiles, crops of 96 x 96 x 96 (``utils/data_utils.py``). The released ``forward`` moves the
last axis of a volume to the front; so does this one, and tokens come back in the volume's own
order.

Not confirmed: the file itself could not be looked at. The released U-Net is not offered here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from benchmark.encoders.base import Encoded
from benchmark.encoders.released.files import ReleasedEncoder, under
from benchmark.encoders.volume import VolumeEncoder, pad_to_multiple

__all__ = ["BrainMVP"]

_EPS = 1e-6  # of the norms before attention; others have torch's default


class BrainMVP(ReleasedEncoder, VolumeEncoder):
    """The UniFormer: the coarsest map's positions as tokens, and their mean.

    Tokens are (B, T, widths[-1]), 216 of 512 features for 96 x 96 x 96. Its batch norms hold
    running statistics, so it must be in eval mode wherever it is frozen.

    Args:
        widths: Channels of the four stages, multiples of ``head``.
        depths: Blocks of the four stages; the first two stages are convolutions.
        head: Channels of a head of attention.
    """

    released_files: ClassVar = ("BrainMVP_uniformer.pt",)
    left_out: ClassVar = ("decoder.", "rep_template")
    gradcam_layer = "norm"

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 320, 512),
        depths: Sequence[int] = (3, 4, 8, 3),
        head: int = 64,
    ) -> None:
        super().__init__()
        self.patch = (16, 16, 16)
        self.width = widths[-1]
        self.embeddings = nn.ModuleList(
            _Merge(before, width) for before, width in zip((1, *widths[:-1]), widths, strict=True)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(
                _Local(width) if number < 2 else _Global(width, width // head) for _ in range(depth)
            )
            for number, (width, depth) in enumerate(zip(widths, depths, strict=True))
        )
        self.norm = nn.BatchNorm3d(self.width)

    def encode(self, x: Tensor) -> Encoded:
        """Volumes (B, 1, D, H, W), padded to multiples of 16, to tokens (B, T, d), their mean."""
        x = pad_to_multiple(x, self.patch).movedim(-1, 2)
        for merge, blocks in zip(self.embeddings, self.stages, strict=True):
            x = merge(x)
            for block in blocks if isinstance(blocks, nn.ModuleList) else ():
                x = block(x)
        tokens = self.norm(x).movedim(2, -1).flatten(2).transpose(1, 2)
        return Encoded(tokens, tokens.mean(dim=1))

    def select(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What lies under ``encoder.uniformer.`` and beside it."""
        state = super().select(state)
        prefix = "encoder.uniformer."
        others = {n: t for n, t in state.items() if not n.startswith(prefix)}
        return {**under(state, prefix), **others}

    def released_name(self, own: str) -> str | None:
        """As the released file calls our tensors, the four stages counted from 1."""
        head, _, rest = own.partition(".")
        if head not in {"embeddings", "stages"}:
            return own
        number, _, rest = rest.partition(".")
        return f"{'patch_embed' if head == 'embeddings' else 'blocks'}{int(number) + 1}.{rest}"


class _Merge(nn.Module):
    """Cubes of two voxels to one position, normalised over channels."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(before, width, kernel_size=2, stride=2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.proj(x).movedim(1, -1))
        return out.movedim(-1, 1)


class _Mlp(nn.Module):
    """Four times the width and back; pointwise, on maps or on tokens."""

    def __init__(self, width: int, *, maps: bool) -> None:
        super().__init__()
        self.fc1 = nn.Conv3d(width, 4 * width, 1) if maps else nn.Linear(width, 4 * width)
        self.fc2 = nn.Conv3d(4 * width, width, 1) if maps else nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(gelu(self.fc1(x)))
        return out


class _Local(nn.Module):
    """Relations within 5 x 5 x 5 neighbours, learned as a convolution per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pos_embed = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.norm1 = nn.BatchNorm3d(width)
        self.conv1 = nn.Conv3d(width, width, 1)
        self.attn = nn.Conv3d(width, width, 5, padding=2, groups=width)
        self.conv2 = nn.Conv3d(width, width, 1)
        self.norm2 = nn.BatchNorm3d(width)
        self.mlp = _Mlp(width, maps=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.conv2(self.attn(self.conv1(self.norm1(x))))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _Global(nn.Module):
    """Self-attention over all positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.pos_embed = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = _Mlp(width, maps=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attn(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        out: Tensor = tokens.transpose(1, 2).reshape(x.shape)
        return out


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, width)
        out: Tensor = self.proj(mixed)
        return out
