"""Small images with a known content, for the tests of preparation."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from benchmark.imaging.grid import sample
from benchmark.imaging.template import template


def write_nifti(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """A NIfTI file that states its orientation; 6 mm voxels by default."""
    affine = np.diag([6.0, 6.0, 6.0, 1.0]) if affine is None else affine
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    nibabel.save(image, path)
    return path


def ramp(shape: tuple[int, ...] = (20, 22, 24)) -> np.ndarray:
    """int16 voxels that are all different."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def brain_in_mni(spacing_mm: float = 4.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The template as a scan on the store's grid: intensities, mask, affine."""
    from benchmark.imaging.grid import store_affine

    whole = template()
    data = sample(whole.data, whole.affine, np.eye(4), spacing_mm)
    return data, data > 20, store_affine(data.shape, spacing_mm)


def write_brain(folder: Path, name: str, seed: int = 0) -> Path:
    """A noisy template brain in MNI space and its mask, named as fMRIPrep names them."""
    data, mask, affine = brain_in_mni()
    noise = np.random.default_rng(seed).normal(0, 4, data.shape)
    noisy = np.where(mask, np.clip(data + noise, 1, None), 0).astype(np.float32)
    stem = f"{name}_space-MNI152NLin2009cAsym_desc"
    write_nifti(folder / f"{stem}-brain_mask.nii.gz", mask.astype(np.uint8), affine)
    return write_nifti(folder / f"{stem}-preproc_T1w.nii.gz", noisy, affine)
