"""Registers a brain to the MNI template with twelve parameters (SimpleITK).

Correlation of brain-extracted images: turns of a coarse grid are tried first, then position, turn
and size are fitted, then all twelve parameters at 4 mm and at 2 mm. Samples lie on a regular grid
and sums have one order, so the same scan gives the same matrix twice.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from benchmark.imaging.itk import image_of, matrix_of, one_itk_thread
from benchmark.imaging.scan import ScanError
from benchmark.imaging.template import template

__all__ = ["REGISTRATION_SETTINGS", "Registration", "register"]

REGISTRATION_SETTINGS: Final[dict[str, Any]] = {
    "metric": "correlation",
    "levels_mm": [8.0, 4.0, 2.0],
    "samples": [1.0, 0.5, 0.1],
    "pitch_degrees": [-40, -20, 0, 20, 40],
    "yaw_and_roll_degrees": [-15, 0, 15],
    "seed": 2009,
    "margin_mm": 60.0,
    "iterations": 100,
    "convergence": 1e-5,
    "window": 5,
}
_SMALLEST, _LARGEST = 0.5, 2.0  # volume of the template over that of the brain


@dataclass(frozen=True, slots=True)
class Registration:
    """What was fitted.

    Attributes:
        from_mni: (4, 4) from MNI coordinates to the scan's world, mm.
        correlation: Of the two images on the 2 mm level's samples, background included.
        magnification: MNI volume over native volume.
    """

    from_mni: np.ndarray
    correlation: float
    magnification: float


def register(brain: np.ndarray, affine: np.ndarray) -> Registration:
    """Fits the affine transform between a brain and the template.

    Args:
        brain: Brain-extracted intensities (D, H, W), zero outside.
        affine: (4, 4) to the scan's world, mm.

    Raises:
        ScanError: The fit failed, or makes the brain half or twice its size.
    """
    import SimpleITK

    one_itk_thread()
    whole = image_of(np.asarray(brain, dtype=np.float32), affine)
    margin = REGISTRATION_SETTINGS["margin_mm"]
    moving = {mm: _coarse(whole, mm, margin) for mm in REGISTRATION_SETTINGS["levels_mm"]}
    try:
        similarity = _best_turn(moving[8.0])
        _fit(similarity, moving, 4.0, _regular(2.0))
        transform = SimpleITK.AffineTransform(3)
        transform.SetCenter(similarity.GetCenter())
        transform.SetMatrix(similarity.GetMatrix())
        transform.SetTranslation(similarity.GetTranslation())
        _fit(transform, moving, 4.0, _line_search)
        value = _fit(transform, moving, 2.0, _line_search)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ScanError(f"the registration to MNI failed ({reason})") from error
    from_mni = matrix_of(transform)
    magnification = 1.0 / float(np.linalg.det(from_mni[:3, :3]))
    if not _SMALLEST < magnification < _LARGEST:
        raise ScanError(
            f"the registration to MNI gives the brain {magnification:.2f} times its size, expected "
            f"{_SMALLEST:g} to {_LARGEST:g}"
        )
    return Registration(from_mni, float(np.sqrt(max(-value, 0.0))), magnification)


def _coarse(image: Any, spacing_mm: float, margin_mm: float) -> Any:
    """An image smoothed, resampled to cubes on its own axes, and put into air."""
    import SimpleITK

    smooth = SimpleITK.SmoothingRecursiveGaussian(image, spacing_mm / 2.355)
    pairs = zip(image.GetSize(), image.GetSpacing(), strict=True)
    size = [int(np.ceil(n * edge / spacing_mm)) for n, edge in pairs]
    coarse = SimpleITK.Resample(
        smooth,
        size,
        SimpleITK.Transform(),
        SimpleITK.sitkLinear,
        image.GetOrigin(),
        [spacing_mm] * 3,
        image.GetDirection(),
        0.0,
        SimpleITK.sitkFloat32,
    )
    # Points outside an image do not count for the metric: with air about the brain, all count.
    margin = [round(margin_mm / spacing_mm)] * 3
    return SimpleITK.ConstantPad(coarse, margin, margin, 0.0)


@lru_cache(maxsize=4)
def _fixed(spacing_mm: float) -> Any:
    whole = template()
    return _coarse(image_of(whole.data, whole.affine), spacing_mm, 0.0)


def _method(spacing_mm: float) -> Any:
    import SimpleITK

    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetInterpolator(SimpleITK.sitkLinear)
    settings = REGISTRATION_SETTINGS
    share = settings["samples"][settings["levels_mm"].index(spacing_mm)]
    if share < 1.0:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(share, settings["seed"])
    return method


def _best_turn(moving: Any) -> Any:
    """Centres of gravity laid on each other, turned as correlates best."""
    import SimpleITK

    fixed = _fixed(8.0)
    centred = SimpleITK.CenteredTransformInitializer(
        fixed,
        moving,
        SimpleITK.Similarity3DTransform(),
        SimpleITK.CenteredTransformInitializerFilter.MOMENTS,
    )
    centred = SimpleITK.Similarity3DTransform(centred)
    method = _method(8.0)
    found: list[tuple[float, int, int, Any]] = []
    side = REGISTRATION_SETTINGS["yaw_and_roll_degrees"]
    turns = itertools.product(REGISTRATION_SETTINGS["pitch_degrees"], side, side)
    for pitch, roll, yaw in turns:
        turn = SimpleITK.Euler3DTransform()
        turn.SetRotation(*(float(np.radians(angle)) for angle in (pitch, roll, yaw)))
        trial = SimpleITK.Similarity3DTransform(centred)
        trial.SetMatrix(turn.GetMatrix())
        method.SetInitialTransform(trial, True)
        still = pitch**2 + roll**2 + yaw**2  # of equals the smallest turn
        found.append((method.MetricEvaluate(fixed, moving), still, len(found), trial))
    return min(found)[3]


def _regular(step: float) -> Any:
    def choose(method: Any) -> None:
        iterations = REGISTRATION_SETTINGS["iterations"]
        method.SetOptimizerAsRegularStepGradientDescent(step, 1e-3, iterations, 0.7, 1e-8)

    return choose


def _line_search(method: Any) -> None:
    settings = REGISTRATION_SETTINGS
    method.SetOptimizerAsConjugateGradientLineSearch(
        1.0, settings["iterations"], settings["convergence"], settings["window"]
    )


def _fit(transform: Any, moving: dict[float, Any], spacing_mm: float, optimizer: Any) -> float:
    """Improves a transform in place; returns the metric, minus the squared correlation."""
    method = _method(spacing_mm)
    optimizer(method)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, True)
    method.Execute(_fixed(spacing_mm), moving[spacing_mm])
    return float(method.GetMetricValue())
