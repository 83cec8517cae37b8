"""Resting-state fMRI: ROI time series whose within-network correlation is exactly the coupling.

Autoregressive noise is orthonormalised symmetrically (Loewdin), then mixed by a factor model per
network, so the sample correlation averaged over a network's pairs equals the person's coupling
and a reader of the series can, in principle, recover it without loss.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import expit

__all__ = ["FRAMES", "NETWORKS", "ROIS", "couplings", "make_series"]

FRAMES: Final = 110
NETWORKS: Final = (
    ("default_mode", 5),
    ("motor", 4),
    ("visual", 3),
    ("frontoparietal", 3),
    ("salience", 3),
)
ROIS: Final = tuple(f"{name}_{k + 1}" for name, size in NETWORKS for k in range(size))
_AUTOREGRESSION: Final = 0.45  # lag-one, at a repetition time of about 2 s
_BURN_IN: Final = 20
_LOADING_SD: Final = 0.20
_BETWEEN_SD: Final = 0.25  # between-network mixing, uninformative
_BACKGROUND: Final = (0.3, 0.5)  # latent coupling of the other networks: mean, sd


def couplings(latent: np.ndarray) -> np.ndarray:
    """Within-network correlation of latent couplings: 0.9 / (1 + exp(-z))."""
    correlation: np.ndarray = 0.9 * expit(latent)
    return correlation


def _orthonormal_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Zero-mean autoregressive series with identity sample covariance, (count, FRAMES)."""
    shocks = rng.standard_normal((count, FRAMES + _BURN_IN))
    series = np.zeros_like(shocks)
    for t in range(1, shocks.shape[1]):
        series[:, t] = _AUTOREGRESSION * series[:, t - 1] + shocks[:, t]
    series = series[:, _BURN_IN:]
    series = series - series.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(series @ series.T / FRAMES)
    whitened: np.ndarray = (vectors / np.sqrt(values)) @ vectors.T @ series
    return whitened


def _loadings(size: int, coupling: float, rng: np.random.Generator) -> np.ndarray:
    """Loadings below 1 whose pairwise products average to ``coupling``."""
    spread = 1.0 + _LOADING_SD * (rng.random(size) - 0.5)
    pairs = (spread.sum() ** 2 - (spread**2).sum()) / (size * (size - 1))
    loadings: np.ndarray = np.minimum(spread * np.sqrt(coupling / pairs), 0.999)
    return loadings


def make_series(latent_couplings: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws one person's time series.

    Args:
        latent_couplings: Latent couplings of the default-mode and motor networks, (2,).
        rng: The person's fMRI stream.

    Returns:
        float16 (T, R), each ROI z-scored.
    """
    others = _BACKGROUND[0] + _BACKGROUND[1] * rng.standard_normal(len(NETWORKS) - 2)
    strength = couplings(np.concatenate([latent_couplings, others]))
    noise = _orthonormal_noise(len(NETWORKS) + len(ROIS), rng)
    factors, own = noise[: len(NETWORKS)], noise[len(NETWORKS) :]
    mixing = np.eye(len(NETWORKS)) + _BETWEEN_SD * rng.standard_normal((len(NETWORKS),) * 2)
    factors = mixing / np.linalg.norm(mixing, axis=1, keepdims=True) @ factors
    rows = []
    start = 0
    for network, (_, size) in enumerate(NETWORKS):
        loading = _loadings(size, float(strength[network]), rng)[:, None]
        rest = own[start : start + size]
        rows.append(loading * factors[network] + np.sqrt(1 - loading**2) * rest)
        start += size
    return np.concatenate(rows).T.astype(np.float16)
