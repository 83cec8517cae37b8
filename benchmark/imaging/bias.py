"""Corrects the receive field with N4 (Tustison et al. 2010, 10.1109/TMI.2010.2046908).

The field is a B-spline fitted to this scan's brain alone, on voxels of about 4 mm; it is evaluated
at the scan's own voxels.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmark.imaging.itk import array_of, image_of, one_itk_thread
from benchmark.imaging.scan import Scan

__all__ = ["N4_SETTINGS", "correct_bias"]

N4_SETTINGS: Final[dict[str, float | list[int]]] = {
    "fit_voxel_mm": 4.0,
    "iterations": [50, 50, 50, 50],
    "convergence": 1e-3,
}


def correct_bias(scan: Scan, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divides a scan by its smooth receive field.

    Args:
        scan: RAS+ voxels.
        mask: Where the field is fitted, (D, H, W).

    Returns:
        Corrected float32 intensities (D, H, W), and the field, mean 1 over the mask.
    """
    import SimpleITK

    one_itk_thread()
    data = np.clip(scan.data, 0.0, None)
    image = image_of(data, scan.affine)
    fit_mm = float(N4_SETTINGS["fit_voxel_mm"])  # type: ignore[arg-type]
    shrink = [max(1, round(fit_mm / edge)) for edge in scan.voxel_mm]
    region = image_of(mask.astype(np.uint8), scan.affine)
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(N4_SETTINGS["iterations"])
    n4.SetConvergenceThreshold(N4_SETTINGS["convergence"])
    n4.Execute(SimpleITK.Shrink(image, shrink), SimpleITK.Shrink(region, shrink))
    field = np.exp(array_of(n4.GetLogBiasFieldAsImage(image)))
    field /= field[mask].mean()
    return (data / field).astype(np.float32, order="F"), field
