"""BrainSegFounder: a Swin transformer trained on UK Biobank's T1 and T2 scans (Cox et al. 2024).

Source: 10.1016/j.media.2024.103301; github lab-smile/BrainSegFounder (GPL-3.0), weights linked from
its README. Names and shapes: ``pretrain/models/ssl_head.py`` (MONAI's ``SwinTransformer`` as
``swinViT``, heads ``rotation_head``, ``contrastive_head``, ``conv``) and ``pretrain/main_T1T2.py``
(2, 6 or 18 blocks in the third stage, 3, 4 or 6 heads in the first, ``state_dict`` of a parallel
model, so ``module.`` before each name). ``downstream/ATLAS/finetune.py`` also meets files whose
names lack ``swinViT``; both are read.

Not confirmed: which of those sizes each published file has, and its channels (1 in ``main.py``, 2
in ``main_T1T2.py``): a wrong choice is named when loading. A network of two channels that is given
T1 alone sees zeros in the place of T2, which is inferred; the authors train that layer anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from monai.networks.nets.swin_unetr import SwinTransformer, compute_mask, get_window_size
from torch import Tensor
from torch.nn.functional import layer_norm

from benchmark.encoders.base import Encoded
from benchmark.encoders.released.files import ReleasedEncoder, under
from benchmark.encoders.volume import VolumeEncoder, pad_to_multiple
from benchmark.errors import MethodError

__all__ = ["BrainSegFounder"]

_WINDOW = 7


class BrainSegFounder(ReleasedEncoder, VolumeEncoder):
    """The Swin transformer: the coarsest map's positions as tokens, and their mean.

    Tokens are (B, T, 16 * feature_size), 27 of 768 features for 96 x 96 x 96, normalised as MONAI
    does.

    Args:
        channels: 1 (T1), or 2 (T1, T2).
        feature_size: Channels after the first layer, a multiple of every ``heads`` it meets.
        depths: Blocks of the four stages.
        heads: Heads of attention of the four stages.
    """

    released_files: ClassVar = ("model_bestValRMSE.pt", "final_model.pth")
    left_out: ClassVar = ("rotation_head.", "contrastive_head.", "conv.")

    def __init__(
        self,
        channels: int = 2,
        feature_size: int = 48,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
    ) -> None:
        super().__init__()
        self.channels = channels
        self.width = 16 * feature_size
        self.patch = (32, 32, 32)
        self.swin = SwinTransformer(
            in_chans=channels,
            embed_dim=feature_size,
            window_size=(_WINDOW,) * 3,
            patch_size=(2, 2, 2),
            depths=list(depths),
            num_heads=list(heads),
            mlp_ratio=4.0,
            qkv_bias=True,
            spatial_dims=3,
        )

    def encode(self, x: Tensor) -> Encoded:
        """Volumes (B, C, D, H, W), C up to ``channels``, to tokens (B, T, d) and their mean.

        Raises:
            MethodError: There are more channels.
        """
        absent = self.channels - x.shape[1]
        if absent < 0:
            raise MethodError(f"BrainSegFounder has {self.channels} channels, not {x.shape[1]}")
        if absent:
            x = torch.cat([x, x.new_zeros(len(x), absent, *x.shape[2:])], dim=1)
        h = self.swin.patch_embed(pad_to_multiple(x, self.patch)).movedim(1, -1)
        for stage in (self.swin.layers1, self.swin.layers2, self.swin.layers3, self.swin.layers4):
            h = _run_stage(stage[0], h)
        h = layer_norm(h, [self.width])
        tokens = h.flatten(1, 3)
        return Encoded(tokens, tokens.mean(dim=1))

    def select(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What lies under ``swinViT.``, and whatever else there is beside it."""
        state = super().select(state)
        tower = under(state, "swinViT.")
        others = {n: t for n, t in state.items() if not n.startswith("swinViT.")}
        return {**tower, **others}

    def released_name(self, own: str) -> str | None:
        """As the released file calls our tensors."""
        return own.removeprefix("swin.")


def _run_stage(stage: Any, x: Tensor) -> Tensor:
    """A stage's blocks and merging on (B, i, j, k, C); MONAI's own ``forward`` needs einops."""
    sides = x.shape[1:4]
    window, shift = get_window_size(sides, stage.window_size, stage.shift_size)
    padded = [-(-side // step) * step for side, step in zip(sides, window, strict=True)]
    mask = compute_mask(padded, window, shift, x.device)
    for block in stage.blocks:
        x = block(x, mask)
    out: Tensor = stage.downsample(x)
    return out
