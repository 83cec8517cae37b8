"""Brain-JEPA: a vision transformer over pieces of regions' fMRI series (Dong et al. 2024, NeurIPS).

Source: arXiv 2409.19407; github Eric-LRL/Brain-JEPA (no licence file found), weights linked from
its README. Names and shapes: ``src/models/vision_transformer.py`` (``VisionTransformer``,
``GradTs_2dPE``), ``configs/ukb_vitb_ep300.yaml`` (450 regions, 160 frames, pieces of 16, ViT-B,
positions by ``mapping``), ``src/train.py`` (a checkpoint holds ``target_encoder``, a parallel
model's, so ``module.`` before each name) and ``downstream_tasks/main_finetune.py``, which reads
that part. Regions: 400 of Schaefer's atlas and 50 of Tian's; the gradients that give their
positions are the repository's ``data/gradient_mapping_450.csv``, (450, 30), which is no part of the
weights and must be given.

Not confirmed: the file itself could not be looked at; whether the published series were normalised
(the downstream code offers to, with one mean and spread a person).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.encoders.base import check_finite
from benchmark.encoders.released.vit import PackedTransformer
from benchmark.errors import MethodError

__all__ = ["BrainJEPA"]

_NAMES = {
    "qkv": "attn.qkv",
    "proj": "attn.proj",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "norm1": "norm1",
    "norm2": "norm2",
}
_FASTEST, _SLOWEST = 1.0, 1e4  # radians a piece, of the sines that tell time


class BrainJEPA(PackedTransformer):
    """The target encoder: a token for each region and piece of time, (B, R * P, d), and their mean.

    A position is half sines of the piece's number, half a projection of the region's gradients,
    scaled over all regions to -1..1. With the published sizes there are 4,500 tokens of 768
    features. A person of zeros is a missing one.

    Args:
        regions: R.
        frames: Frames that it takes, a multiple of ``piece``.
        piece: Frames of a piece.
        gradients: Gradients of each region.
        width: Features of a token.
        depth: Blocks.
        heads: Heads of attention.
    """

    released_files: ClassVar = ("jepa-ep300.pth.tar",)
    wrappers: ClassVar = ("target_encoder", "state_dict", "model")

    gradients: Tensor

    def __init__(
        self,
        regions: int = 450,
        frames: int = 160,
        piece: int = 16,
        gradients: int = 30,
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
    ) -> None:
        super().__init__(width, depth, heads, 4 * width, qkv_bias=True, eps=1e-6)
        if frames % piece:
            raise MethodError(f"{frames} frames cannot be cut into pieces of {piece}")
        self.regions, self.frames, self.piece = regions, frames, piece
        self.patch_embedding = nn.Conv2d(1, width, kernel_size=(1, piece), stride=(1, piece))
        times = torch.arange(frames // piece).repeat(regions)
        self.time = nn.Parameter(_sines(times, width // 2), requires_grad=False)
        self.place = nn.Linear(gradients, width // 2)
        self.register_buffer("gradients", torch.full((regions, gradients), torch.nan))

    def read_gradients(self, file: Path) -> None:
        """Reads the regions' gradients, a table without a header.

        Args:
            file: A csv file, (R, gradients).

        Raises:
            MethodError: There is no such file, it has another shape, or a number is not finite.
        """
        if not file.is_file():
            raise MethodError(f"{file}: expected the regions' gradients, which are not there")
        table = torch.from_numpy(np.loadtxt(file, delimiter=",", ndmin=2))
        if table.shape != self.gradients.shape:
            raise MethodError(
                f"{file}: gradients are {tuple(table.shape)}, expected "
                f"{tuple(self.gradients.shape)}"
            )
        check_finite({"gradients": table}, str(file))
        self.gradients.copy_(table)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, R * P, d), a region's pieces in a row, and mask, of series (B, T, R).

        Raises:
            MethodError: The series are of another shape, or no gradients were given.
        """
        if x.ndim != 3 or x.shape[1:] != (self.frames, self.regions):
            raise MethodError(
                f"Brain-JEPA takes series (B, {self.frames}, {self.regions}), not {tuple(x.shape)}"
            )
        if bool(self.gradients.isnan().any()):
            raise MethodError(
                "Brain-JEPA needs the regions' gradients, which are no part of its weights: "
                "read_gradients(file), with data/gradient_mapping_450.csv of its repository"
            )
        tokens = self.patch_embedding(x.transpose(1, 2)[:, None]).flatten(2).transpose(1, 2)
        place = self.place(self.gradients).repeat_interleave(self.frames // self.piece, dim=0)
        low, high = place.min(), place.max()
        place = (place - low) / (high - low) * 2.0 - 1.0
        there = x.flatten(1).any(dim=1, keepdim=True)
        position = torch.cat([self.time, place], dim=1)
        return tokens + position, there.expand(tokens.shape[:2])

    def released_name(self, own: str) -> str | None:
        """As the released file calls our tensors; gradients are only ours."""
        head, _, rest = own.partition(".")
        if head == "gradients":
            return None
        if head == "blocks":
            number, module, kind = rest.split(".")
            return f"blocks.{number}.{_NAMES[module]}.{kind}"
        simple = {
            "patch_embedding": f"patch_embed.proj.{rest}",
            "time": "pos_embed_proj.emb_h",
            "place": f"pos_embed_proj.predictor_pos_embed_proj.{rest}",
        }
        return simple.get(head, own)


def _sines(times: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of times (N,) at ``width // 2`` frequencies, (N, width)."""
    count = width // 2
    slowing = _SLOWEST ** -(torch.arange(count, dtype=torch.float64) / count)
    angles = times[:, None] * _FASTEST * slowing
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()
