"""Reads one T1w file and refuses what is no whole three-dimensional head.

A compressed NIfTI is decompressed in one piece by ISA-L and its voxels are looked at in place, so
that reading costs little more than decompressing.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmark.imaging.scan import Scan, ScanError

__all__ = ["decompressed", "read_scan"]

_LEAST_VOXELS: Final = 16  # along each axis
_VOXEL_MM: Final = (0.2, 8.0)
_FIELD_MM: Final = (80.0, 600.0)
_NIFTI_SIZES: Final = {348: "Nifti1Header", 540: "Nifti2Header"}
_GZIP_MAGIC: Final = b"\x1f\x8b"
_TRUNCATED: Final = "truncated or damaged"


def decompressed(packed: bytes, path: Path) -> bytes:
    """Decompresses gzip and checks its checksum.

    Raises:
        ScanError: The data end early or do not match their checksum.
    """
    from isal import igzip, isal_zlib
    from isal.igzip_lib import IsalError

    if not packed.startswith(_GZIP_MAGIC):
        raise ScanError(f"{path}: {_TRUNCATED} (not gzip, as its name says)")
    stream = isal_zlib.decompressobj(wbits=31)
    size = int.from_bytes(packed[-4:], "little")  # of the usual single member below 4 GiB
    try:
        whole: bytes = stream.decompress(packed, max_length=size)
        if not stream.eof or stream.unused_data.startswith(_GZIP_MAGIC):
            whole = igzip.decompress(packed)
    except (IsalError, OSError, EOFError) as error:  # type: ignore[misc] # a stub without bases
        raise ScanError(f"{path}: {_TRUNCATED} ({error})") from error
    return whole


def read_scan(path: Path, axes: str = "") -> Scan:
    """Reads a scan.

    Args:
        path: ``.nii``, ``.nii.gz``, or what nibabel reads (``.mgz``, ``.hdr``/``.img``).
        axes: Directions of the voxel axes where the header does not state them, e.g. "RAS".

    Returns:
        Finite intensities (D, H, W) and the affine; trailing axes of length 1 are dropped.

    Raises:
        ScanError: The file is missing, truncated, not three-dimensional, empty, holds NaN or
            infinity, does not say how it lies in space, or is no head's size.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror})") from error
    digest = hashlib.sha256(packed).hexdigest()
    if path.name.endswith((".nii.gz", ".nii")):
        raw = decompressed(packed, path) if path.suffix == ".gz" else packed
        data, affine = _nifti(raw, path, axes)
    else:
        data, affine = _other(path, axes)
    _check_values(data, path)
    _check_space(data, affine, path)
    return Scan(data, affine, digest)


def _nifti(raw: bytes, path: Path, axes: str) -> tuple[np.ndarray, np.ndarray]:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    first = raw[:4]
    sizes = (int.from_bytes(first, "little"), int.from_bytes(first, "big"))
    kind = next((_NIFTI_SIZES[n] for n in sizes if n in _NIFTI_SIZES), None)
    if kind is None:
        raise ScanError(f"{path}: not a NIfTI file (header size {sizes[0]}, expected 348 or 540)")
    try:
        header = getattr(nibabel, kind).from_fileobj(BytesIO(raw))
        dtype, offset = header.get_data_dtype(), int(header["vox_offset"])
    except (ImageFileError, HeaderDataError) as error:
        raise ScanError(f"{path}: damaged header ({error})") from error
    shape = _spatial(header.get_data_shape(), path)
    if dtype.kind not in "iuf":
        raise ScanError(f"{path}: voxels are {dtype}, expected real numbers")
    count = int(np.prod(shape))
    missing = offset + count * dtype.itemsize - len(raw)
    if missing > 0:
        raise ScanError(f"{path}: {_TRUNCATED} ({missing} bytes of voxels are missing)")
    data = np.frombuffer(raw, dtype, count, offset).reshape(shape, order="F")
    slope, intercept = header.get_slope_inter()
    if slope not in (None, 1.0) or intercept not in (None, 0.0):
        data = data.astype(np.float32) * np.float32(slope or 1.0) + np.float32(intercept or 0.0)
    stated = _states_orientation(header)
    affine = _affine(header.get_best_affine(), header.get_zooms()[:3], stated, axes, path)
    return data, affine


def _other(path: Path, axes: str) -> tuple[np.ndarray, np.ndarray]:
    import nibabel

    try:
        image = nibabel.load(path)
        shape = _spatial(image.shape, path)
        data = np.asarray(image.dataobj).reshape(shape, order="F")
    except ScanError:
        raise
    except Exception as error:  # each format fails in its own way
        raise ScanError(f"{path}: {_TRUNCATED} ({type(error).__name__}: {error})") from error
    stated = _states_orientation(image.header, always=isinstance(image, nibabel.MGHImage))
    zooms = image.header.get_zooms()[:3]
    return data, _affine(np.asarray(image.affine, dtype=np.float64), zooms, stated, axes, path)


def _states_orientation(header: Any, always: bool = False) -> bool:
    """Whether a header says how the voxels lie; ``.mgz`` always does, Analyze never."""
    if always:
        return True
    codes = [k for k in ("sform_code", "qform_code") if k in header]
    return any(int(header[code]) > 0 for code in codes)


def _spatial(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """The three axes of a volume; further ones must have length 1."""
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise ScanError(f"{path}: shape {tuple(shape)}, expected one volume (D, H, W)")
    d, h, w = (int(n) for n in shape[:3])
    if min(d, h, w) < _LEAST_VOXELS:
        raise ScanError(
            f"{path}: shape {(d, h, w)}, expected {_LEAST_VOXELS} voxels or more along each axis"
        )
    return d, h, w


def _affine(
    affine: np.ndarray, zooms: tuple[float, ...], stated: bool, axes: str, path: Path
) -> np.ndarray:
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff

    if axes:
        if len(axes) != 3 or any(len(set(axes) & set(pair)) != 1 for pair in ("LR", "AP", "IS")):
            raise ScanError(f"{path}: axes {axes!r}, expected three directions such as 'RAS'")
        turned = inv_ornt_aff(axcodes2ornt(tuple(axes)), (1, 1, 1))
        return np.linalg.inv(turned)[:4, :4] @ np.diag([*zooms, 1.0])
    if not stated:
        raise ScanError(
            f"{path}: does not state its orientation (sform and qform code 0, or Analyze); give "
            "the directions of its axes, e.g. axes 'RAS'"
        )
    return np.asarray(affine, dtype=np.float64)


def _check_values(data: np.ndarray, path: Path) -> None:
    if data.dtype.kind == "f":
        bad = int(data.size - np.isfinite(data).sum())
        if bad:
            raise ScanError(f"{path}: {bad} of {data.size} voxels are NaN or infinite")
    if data.min() == data.max():
        raise ScanError(f"{path}: empty (every voxel is {data.flat[0]})")


def _check_space(data: np.ndarray, affine: np.ndarray, path: Path) -> None:
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    volume = abs(np.linalg.det(affine[:3, :3]))
    if not np.isfinite(affine).all() or volume < 0.5 * lengths.prod() or volume == 0.0:
        raise ScanError(f"{path}: its affine is singular or skewed: {affine[:3].tolist()}")
    low, high = _VOXEL_MM
    if lengths.min() < low or lengths.max() > high:
        sizes = " x ".join(f"{x:.3g}" for x in lengths)
        raise ScanError(f"{path}: voxels of {sizes} mm, expected {low:g} to {high:g} mm")
    extent = lengths * data.shape
    low, high = _FIELD_MM
    if extent.min() < low or extent.max() > high:
        sizes = " x ".join(f"{x:.0f}" for x in extent)
        raise ScanError(f"{path}: a field of view of {sizes} mm, expected {low:g} to {high:g} mm")
