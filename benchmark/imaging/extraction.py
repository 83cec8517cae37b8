"""Finds the brain with deepbet, or takes a mask that is given.

deepbet is a published network (Fisch et al. 2024, 10.1016/j.compbiomed.2024.108845; MIT licence)
whose weights are in its wheel. Nothing is fitted here. It runs on RAS+ voxels on one thread.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmark.errors import ConfigError
from benchmark.imaging.reading import read_scan
from benchmark.imaging.scan import Scan, ScanError
from benchmark.store.hashing import tree_sha256

__all__ = ["brain_mask", "brain_ml", "given_mask", "weights_sha256"]

_LEAST_ML: Final = 300.0
_THRESHOLD: Final = 0.5


@lru_cache(maxsize=1)
def _network() -> Any:
    import torch

    torch.set_num_threads(1)
    try:
        from deepbet import BrainExtraction
    except ImportError as error:
        raise ConfigError(
            "brain extraction needs the package deepbet; install the group: pip install -c "
            "requirements.lock -e '.[imaging]'"
        ) from error
    with warnings.catch_warnings():  # torch has a successor for the format of the weights
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        return BrainExtraction(no_gpu=True)


@lru_cache(maxsize=1)
def weights_sha256() -> str:
    """One hash over deepbet's weight files."""
    from deepbet.utils import DATA_PATH

    return tree_sha256([Path(DATA_PATH) / "models"])


def brain_mask(scan: Scan) -> np.ndarray:
    """Extracts the brain.

    Args:
        scan: RAS+ voxels.

    Returns:
        Boolean mask (D, H, W): one piece without holes.

    Raises:
        ScanError: No brain was found.
        ConfigError: deepbet is not installed.
    """
    network = _network()
    try:
        probability = network.run_model(np.ascontiguousarray(scan.data, dtype=np.float32))
        mask = network.postprocess(probability > _THRESHOLD)
    except (AssertionError, ValueError, IndexError, RuntimeError) as error:
        raise ScanError(f"no brain was found (deepbet: {error})") from error
    return _checked(np.asarray(mask, dtype=bool), scan)


def given_mask(scan: Scan, path: Path, like: Scan, axes: str = "") -> np.ndarray:
    """Reads a mask that lies on a scan's own voxels.

    Args:
        scan: The scan in RAS+.
        path: The mask's file; voxels above 0 are brain.
        like: The scan as it was read, whose grid the mask must have.
        axes: As the scan's.

    Raises:
        ScanError: The grids differ, or the mask is empty.
    """
    from benchmark.imaging.orientation import to_ras

    mask = read_scan(path, axes)
    same = mask.data.shape == like.data.shape and np.allclose(mask.affine, like.affine, atol=1e-2)
    if not same:
        raise ScanError(
            f"{path}: a mask of {mask.data.shape} voxels that lie elsewhere than the scan's "
            f"{like.data.shape}, expected the same grid"
        )
    return _checked(to_ras(mask).data > 0, scan)


def brain_ml(mask: np.ndarray, scan: Scan) -> float:
    """Volume of a mask in ml."""
    return float(mask.sum()) * scan.voxel_mm3 / 1000.0


def _checked(mask: np.ndarray, scan: Scan) -> np.ndarray:
    volume = brain_ml(mask, scan)
    if volume < _LEAST_ML:
        raise ScanError(f"a brain of {volume:.0f} ml was found, expected {_LEAST_ML:.0f} or more")
    return mask
