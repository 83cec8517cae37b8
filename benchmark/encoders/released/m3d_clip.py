"""M3D-CLIP: a 3D vision transformer trained on CT volumes and reports (Bai et al. 2024).

Source: arXiv 2404.00578; code github BAAI-DCAI/M3D (MIT), weights huggingface
GoodBaiBai88/M3D-CLIP. Names and shapes: ``LaMed/src/model/CLIP.py`` (``vision_encoder``,
``mm_vision_proj``, sizes in ``M3DCLIPConfig``), ``LaMed/src/model/multimodal_encoder/vit.py``
(MONAI 1.3.0's patches through a linear layer and transformer blocks without a bias for queries,
keys and values) and issue 24 of that repository, which prints the names in ``pretrained_ViT.bin``.
Inputs: volumes scaled to 0..1 and resized to 32 x 256 x 256, axial slices first
(``Data/process/m3d_cap_data_prepare.py``).

Not confirmed: that the weights were published under the code's MIT licence; the file itself could
not be looked at. Volumes of another depth than 32 take interpolated positions, which is not in the
release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from benchmark.encoders.released.files import under
from benchmark.encoders.released.vit import ReleasedViT

__all__ = ["M3DCLIP"]


class M3DCLIP(ReleasedViT):
    """The vision tower of M3D-CLIP.

    Tokens are (B, 1 + T, d), the cls token first; 1 + 2048 of 768 features for 32 x 256 x 256.
    ``pooled`` is the cls token, projected into the space that texts share unless ``projection`` is
    off; the published similarity also divides it by its length.

    Args:
        shape: Voxels that positions are learned for.
        patch: Voxels of a patch.
        width: Features of a token.
        depth: Blocks.
        heads: Heads of attention.
        hidden: Features inside each block's MLP.
        projection: Whether there is one; ``pretrained_ViT.bin`` holds none.
    """

    released_files: ClassVar = ("model.safetensors", "pytorch_model.bin", "pretrained_ViT.bin")
    left_out: ClassVar = ("language_encoder.", "mm_language_proj.", "logit_scale")

    def __init__(
        self,
        shape: Sequence[int] = (32, 256, 256),
        patch: Sequence[int] = (4, 16, 16),
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        projection: bool = True,
    ) -> None:
        super().__init__(width, depth, heads, hidden, qkv_bias=False, eps=1e-5)
        self._make_input(shape, patch, cls=True)
        self.patch_embedding = nn.Linear(patch[0] * patch[1] * patch[2], width)
        self.projection = nn.Linear(width, width) if projection else None

    def _patches(self, x: Tensor) -> Tensor:
        return self._linear_patches(x)

    def _pool(self, tokens: Tensor, mask: Tensor, first: int) -> Tensor:
        cls = tokens[:, first]
        if self.projection is not None:
            cls = self.projection(cls)
        return cls.masked_fill(~mask[:, first, None], 0.0)

    def select(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The vision tower of the whole model, or a file of that tower alone."""
        state = super().select(state)
        tower = under(state, "vision_encoder.")
        if not tower:
            return dict(state)
        others = {n: t for n, t in state.items() if not n.startswith("vision_encoder.")}
        if self.projection is None:
            others = {n: t for n, t in others.items() if not n.startswith("mm_vision_proj.")}
        return {**tower, **others}

    def released_name(self, own: str) -> str | None:
        """As the released files call our tensors."""
        head, _, kind = own.partition(".")
        if head == "patch_embedding":
            return f"patch_embedding.patch_embeddings.1.{kind}"
        if head == "projection":
            return f"mm_vision_proj.{kind}"
        return super().released_name(own)
