"""The store's intensities: white matter about 1, zero outside the brain, float16."""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmark.imaging.scan import ScanError

__all__ = ["WHITE_QUANTILE", "scale_intensity"]

# The phantoms' convention: this quantile of the brain is 1, and what is below a tenth of it is not
# brain.
WHITE_QUANTILE: Final = 0.85
_FLOOR: Final = 0.10


def scale_intensity(image: np.ndarray) -> np.ndarray:
    """Scales a brain by the 0.85 quantile of its own voxels.

    Args:
        image: Brain-extracted intensities (D, H, W), zero outside.

    Returns:
        float16 (D, H, W), finite, not negative; the quantile over positive voxels is 1.

    Raises:
        ScanError: Nothing is above zero.
    """
    brain = np.clip(np.asarray(image, dtype=np.float32), 0.0, None)
    for _ in range(2):  # the second quantile is of what the floor has left
        if not (brain > 0).any():
            raise ScanError("no intensity above zero is left in the brain")
        white = np.quantile(brain[brain > 0], WHITE_QUANTILE)
        brain = np.where(brain > _FLOOR * white, brain, 0.0)
    largest = float(np.finfo(np.float16).max)
    scaled: np.ndarray = np.clip(brain / white, 0.0, largest).astype(np.float16)
    return scaled
