"""Volumes through an encoder that is not trained: loaded once, and computed once a person."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from torch import Tensor, from_numpy, nn

from benchmark.api import AugmentConfig, MethodError
from benchmark.encoders import Encoded, FeatureStore, frozen_features
from benchmark.encoders.frozen import fingerprint
from methods.brain_adapter.network import Network

__all__ = ["ImageFeatures"]


class ImageFeatures:
    """What a frozen encoder makes of volumes that nothing is trained or varied in front of.

    Args:
        network: Holds the encoder and what comes before it.
        augment: How training volumes are varied.
        store: Where features are kept.

    Raises:
        MethodError: Features would change while training.
    """

    def __init__(self, network: Network, augment: AugmentConfig, store: FeatureStore) -> None:
        kind = network.config.adapter.kind
        varied = [name for name, value in asdict(augment).items() if value]
        if kind != "none" or varied:
            raise MethodError(
                "cache_image needs adapter.kind=none and no augmentation, since features are "
                f"computed once; got kind {kind!r}, augment {', '.join(varied) or 'nothing'}"
            )
        self.view, self.store = _View(network).eval(), store
        config = network.config
        before = (config.adapter.stride, config.grid, config.fit, config.read_out)
        built = (config.encoder, config.settings, network.encoder_grid)
        settings = (*before, *built)
        self.identity = fingerprint(network.vit, settings, network.prepare.normalise.spacing_mm)

    def __call__(self, volumes: object) -> np.ndarray:
        """One row a person, (N, d) float32; zeros where there is no volume."""
        available = volumes.available  # type: ignore[attr-defined]
        out = np.zeros((len(available), self.view.network.image.linear.in_features), np.float32)
        for row in np.flatnonzero(available):
            one = volumes.take(np.array([row]))  # type: ignore[attr-defined]
            (encoded,) = frozen_features(self.view, [one], self.store, self.identity, _batch)
            out[row] = encoded.pooled[0].numpy()
        return out


class _View(nn.Module):
    """The way from a stored volume to what is read of the encoder, as one vector."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Encoded:
        """Volumes (1, 1, D, H, W) to their features."""
        features = self.network.encode(x.to(next(self.network.parameters()).device))
        return Encoded(features[:, :0, None].expand(-1, -1, features.shape[1]), features)


def _batch(volume: np.ndarray) -> Tensor:
    return from_numpy(volume)[:, None]
