"""A vision transformer over a volume's patches as an anchor of fusion."""

from __future__ import annotations

from torch import Tensor

from benchmark.encoders.tokens import TokenEncoder
from benchmark.encoders.volume import pad_to_multiple
from benchmark.encoders.volume_vit import ViTEncoder
from benchmark.errors import MethodError

__all__ = ["VolumeAnchor"]


class VolumeAnchor(TokenEncoder):
    """A volume encoder whose transformer takes further tokens at its input.

    It is the encoder itself, not a copy, and encodes as that does. A volume of zeros is a missing
    one.

    Args:
        encoder: One that averages its tokens (``pooled: mean``).

    Attributes:
        encoder: As given.

    Raises:
        MethodError: The encoder pools by a token of its own.
    """

    def __init__(self, encoder: ViTEncoder) -> None:
        super().__init__()
        if encoder.cls is not None:
            raise MethodError("an anchor averages its tokens: build its encoder with pooled: mean")
        self.encoder = encoder
        self.width = encoder.width
        self.lora_targets = ("qkv",)  # one layer makes queries, keys and values

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Patches of prepared volumes (B, 1, D, H, W), positions added: (B, T, d), and mask."""
        tokens = self.encoder.embed(pad_to_multiple(x, self.encoder.patch))
        grid = self.encoder.token_grid(x.shape[2:])
        there = x.flatten(1).any(dim=1, keepdim=True)
        return tokens + self.encoder.transformer.position(grid), there.expand(tokens.shape[:2])

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        for block in self.encoder.transformer.blocks:
            tokens = block(tokens, mask)
        out: Tensor = self.encoder.transformer.norm(tokens)
        return out
