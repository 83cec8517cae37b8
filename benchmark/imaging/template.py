"""The MNI template that scans are registered to: ICBM152 2009a symmetric, shipped by nilearn."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from benchmark.errors import ConfigError
from benchmark.imaging.grid import sample
from benchmark.imaging.scan import Scan
from benchmark.store.hashing import file_sha256

__all__ = ["TEMPLATE_NAME", "template", "template_on_grid", "template_path"]

TEMPLATE_NAME: Final = "MNI ICBM152 2009a nonlinear symmetric, T1w, brain only"
_FILE: Final = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def template_path() -> Path:
    """Where nilearn keeps the template.

    Raises:
        ConfigError: It is not there.
    """
    import nilearn

    path = Path(nilearn.__file__).parent / "datasets" / "data" / _FILE
    if not path.is_file():
        raise ConfigError(
            f"{path}: the ICBM152 template that nilearn ships is not there; reinstall the locked "
            "requirements with `make setup`"
        )
    return path


@lru_cache(maxsize=1)
def template() -> Scan:
    """The template at 1 mm, float32, zero outside the brain; do not write to it."""
    import nibabel

    path = template_path()
    image = nibabel.load(path)
    data = np.asarray(image.dataobj, dtype=np.float32, order="F")
    data.setflags(write=False)
    return Scan(data, np.asarray(image.affine, dtype=np.float64), file_sha256(path))


@lru_cache(maxsize=4)
def template_on_grid(spacing_mm: float) -> np.ndarray:
    """The template on the store's grid, (D, H, W) float32; do not write to it."""
    whole = template()
    grid = sample(whole.data, whole.affine, np.eye(4), spacing_mm)
    grid.setflags(write=False)
    return grid
