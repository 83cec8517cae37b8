"""Arrays and affines as SimpleITK has them, and back. ITK's world is LPS+, ours RAS+."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["array_of", "image_of", "matrix_of", "one_itk_thread"]

_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def one_itk_thread() -> None:
    """Asks ITK for one thread, here and now: its sums then have a fixed order."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def image_of(data: np.ndarray, affine: np.ndarray) -> Any:
    """A SimpleITK image of an array (D, H, W) with axes i j k and its RAS+ affine."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(data.T))
    world = _LPS @ affine
    spacing = np.sqrt((world[:3, :3] ** 2).sum(axis=0))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(world[:3, 3].tolist())
    image.SetDirection(_nearest_rotation(world[:3, :3] / spacing).ravel().tolist())
    return image


def array_of(image: Any) -> np.ndarray:
    """The array (D, H, W) of a SimpleITK image, axes i j k."""
    import SimpleITK

    array: np.ndarray = SimpleITK.GetArrayFromImage(image).T
    return array


def matrix_of(transform: Any) -> np.ndarray:
    """The (4, 4) RAS+ matrix of an affine SimpleITK transform, in its own direction."""
    matrix = np.eye(4)
    centre = np.array(transform.GetCenter())
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre + np.array(transform.GetTranslation()) - linear @ centre
    return _LPS @ matrix @ _LPS


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """ITK wants orthogonal directions; headers round theirs."""
    u, _, v = np.linalg.svd(matrix)
    rotation: np.ndarray = u @ v
    return rotation
