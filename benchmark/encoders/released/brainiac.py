"""BrainIAC: encoders trained by contrast on brain MRI (Tak et al. 2026).

Source: 10.1101/2024.12.02.24317992 and 10.1038/s41593-026-02202-6; github AIM-KannLab/BrainIAC. The
weights are for non-commercial academic research (CC BY-NC 4.0 in 2025, a research-only licence of
Mass General Brigham since 2026).

Two networks were released. ``BrainIAC.ckpt`` since August 2025 is MONAI 1.3.2's ViT: names and
sizes from ``src/model.py`` (``ViTBackboneNet``, prefix ``backbone.``) and from the names that
issues 3 and 17 of that repository print; inputs: whole brains resized to 96 x 96 x 96, each
normalised over its non-zero voxels (``src/dataset.py``). The network before it is MONAI's ResNet-50
with a 7-voxel stem of stride 2: ``src/BrainIAC/model.py`` and ``load_brainiac.py`` of March 2025;
inputs resized to 128 x 128 x 128 and scaled to 0..1 (``dataset2.py``).

Not confirmed: the files themselves could not be looked at. They are training checkpoints that may
hold more than tensors, which is refused; save their ``state_dict`` alone in that case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from monai.networks.nets.resnet import ResNet, ResNetBottleneck
from torch import Tensor, nn

from benchmark.encoders.base import Encoded
from benchmark.encoders.released.files import ReleasedEncoder, under
from benchmark.encoders.released.vit import ReleasedViT
from benchmark.encoders.tokens import masked_mean
from benchmark.encoders.volume import VolumeEncoder

__all__ = ["BrainIAC", "BrainIACResNet"]


class BrainIAC(ReleasedViT):
    """The vision transformer: tokens (B, T, d), 216 of 768 features for 96 x 96 x 96.

    Args:
        shape: Voxels that positions are learned for.
        patch: Voxels of a patch.
        width: Features of a token.
        depth: Blocks.
        heads: Heads of attention.
        hidden: Features inside each block's MLP.
        pooled: The ``first`` token, which the released code takes (the network has no cls token),
            or the ``mean``.
    """

    released_files: ClassVar = ("BrainIAC.ckpt", "model.safetensors", "pytorch_model.bin")

    def __init__(
        self,
        shape: Sequence[int] = (96, 96, 96),
        patch: Sequence[int] = (16, 16, 16),
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        pooled: Literal["first", "mean"] = "first",
    ) -> None:
        super().__init__(width, depth, heads, hidden, qkv_bias=False, eps=1e-5)
        self._make_input(shape, patch, cls=False)
        self.patch_embedding = nn.Conv3d(1, width, kernel_size=self.patch, stride=self.patch)
        self.pooled = pooled

    def _patches(self, x: Tensor) -> Tensor:
        out: Tensor = self.patch_embedding(x)
        return out.flatten(2).transpose(1, 2)

    def _pool(self, tokens: Tensor, mask: Tensor, first: int) -> Tensor:
        return masked_mean(tokens, mask) if self.pooled == "mean" else tokens[:, first]

    def select(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What lies under ``backbone.``; the heads of training are left out."""
        return under(super().select(state), "backbone.")

    def released_name(self, own: str) -> str | None:
        """As the released file calls our tensors."""
        head, _, kind = own.partition(".")
        if head == "patch_embedding":
            return f"patch_embedding.patch_embeddings.{kind}"
        return super().released_name(own)


class BrainIACResNet(ReleasedEncoder, VolumeEncoder):
    """The ResNet-50 of early 2025: the last map's positions as tokens (B, T, 2048), and their mean.

    Args:
        blocks: Bottleneck blocks of the four stages.
        widths: Their inner channels; a token has four times the last.
        bias_downsample: Whether shortcuts have a bias, as MONAI's default has it.
    """

    released_files: ClassVar = ("BrainIAC.ckpt",)
    gradcam_layer = "network.layer4"

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 6, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        *,
        bias_downsample: bool = True,
    ) -> None:
        super().__init__()
        self.network = ResNet(
            ResNetBottleneck,
            list(blocks),
            list(widths),
            n_input_channels=1,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=bias_downsample,
        )
        self.patch = (32, 32, 32)
        self.width = 4 * widths[-1]

    def encode(self, x: Tensor) -> Encoded:
        """Volumes (B, 1, D, H, W) to tokens (B, T, d), in C order, and their mean (B, d)."""
        net = self.network
        x = net.maxpool(net.act(net.bn1(net.conv1(x))))
        x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        tokens = x.flatten(2).transpose(1, 2)
        return Encoded(tokens, tokens.mean(dim=1))

    def select(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What lies under ``backbone.``, or ``module.``, where training calls the network so."""
        return under(state, "backbone.") or super().select(state)

    def released_name(self, own: str) -> str | None:
        """As the released file calls our tensors."""
        return own.removeprefix("network.")
