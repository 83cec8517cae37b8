"""Intensities that do not depend on the scanner's gain."""

from __future__ import annotations

from torch import Tensor

__all__ = ["BRAIN_THRESHOLD", "standardised"]

BRAIN_THRESHOLD = 0.1  # of white matter, which the store scales to about 1


def standardised(x: Tensor) -> Tensor:
    """Zero mean and unit variance over the voxels above the threshold; the others become 0.

    Args:
        x: Volumes as stored, (B, 1, D, H, W). An empty volume stays empty.
    """
    axes = (1, 2, 3, 4)
    brain = (x > BRAIN_THRESHOLD).to(x.dtype)
    n = brain.sum(dim=axes, keepdim=True).clamp_min(1)
    mean = (x * brain).sum(dim=axes, keepdim=True) / n
    centred = (x - mean) * brain
    variance = centred.square().sum(dim=axes, keepdim=True) / n
    return centred / (variance + 1e-6).sqrt()
