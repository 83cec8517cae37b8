"""A vision transformer of volumes as an encoder whose tokens can be taken apart and joined."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from benchmark.encoders.tokens import TokenEncoder
from benchmark.encoders.volume import PrepareVolumes, pad_to_multiple
from benchmark.encoders.volume_vit import ViTEncoder

__all__ = ["VolumeTokens"]


class VolumeTokens(TokenEncoder):
    """Volumes as stored to patch tokens, through any encoder with a transformer.

    Positions, and the cls token where there is one, are part of what ``embed`` makes, so tokens
    that are joined at the input have none. A volume of zeros is a missing one and has no token.

    Args:
        encoder: The transformer and what makes its tokens.
        prepare: What volumes go through before it.
    """

    lora_targets = ("qkv",)

    def __init__(self, encoder: ViTEncoder, prepare: PrepareVolumes) -> None:
        super().__init__()
        self.encoder = encoder
        self.prepare = prepare
        self.width = encoder.width

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, d), a cls token first, and mask (B, T) of volumes (B, 1, D, H, W)."""
        present = x.flatten(1).any(dim=1)
        x = self.prepare(x)
        grid = self.encoder.token_grid(x.shape[2:])
        tokens = self.encoder.embed(pad_to_multiple(x, self.encoder.patch))
        tokens = tokens + self.encoder.transformer.position(grid)
        if self.encoder.cls is not None:
            cls = self.encoder.cls.expand(len(tokens), 1, -1)
            tokens = torch.cat([cls, tokens], dim=1)
        return tokens, present[:, None].expand(tokens.shape[:2])

    def _transform(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.encoder.transformer.run(tokens, mask)

    def load_pretrained(self, path: Path) -> None:
        """Loads weights of the encoder inside, as a pretraining writes them."""
        self.encoder.load_pretrained(path)
