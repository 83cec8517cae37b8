"""Turns a scan's axes to the store's: i to the right, j to the front, k up (RAS+)."""

from __future__ import annotations

import numpy as np

from benchmark.imaging.scan import Scan

__all__ = ["axis_codes", "to_ras"]


def axis_codes(affine: np.ndarray) -> str:
    """Directions in which the voxel axes point, e.g. "LIA"."""
    from nibabel.orientations import aff2axcodes

    return "".join(aff2axcodes(affine))


def to_ras(scan: Scan) -> Scan:
    """Permutes and flips voxel axes so that each lies closest to its world axis.

    Nothing is interpolated: an oblique scan stays oblique, and its affine says so.

    Returns:
        The scan with float32 intensities in Fortran order.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    orientation = io_orientation(scan.affine)
    turned = apply_orientation(scan.data, orientation)
    affine = scan.affine @ inv_ornt_aff(orientation, scan.data.shape)
    return Scan(np.asfortranarray(turned, dtype=np.float32), affine, scan.sha256)
