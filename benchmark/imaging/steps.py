"""From one file to one stored volume; each step says what it did, with what, fitted on what."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np

from benchmark.imaging import bias, extraction, registration
from benchmark.imaging.grid import sample, store_shape
from benchmark.imaging.intensity import WHITE_QUANTILE, scale_intensity
from benchmark.imaging.orientation import axis_codes, to_ras
from benchmark.imaging.reading import read_scan
from benchmark.imaging.regions import measure_regions
from benchmark.imaging.scan import DONE, Scan, ScanError, ScanSource
from benchmark.imaging.template import TEMPLATE_NAME, template

__all__ = ["QC_SPACING_MM", "Prepared", "StepError", "prepare_scan"]

QC_SPACING_MM: Final = 2.0
_THIS_SCAN: Final = "this scan alone"
_T = TypeVar("_T")


class StepError(ScanError):
    """A step failed.

    Attributes:
        step: Its name.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(reason)
        self.step = step


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scan in the store's space.

    Attributes:
        volume: float16 (D, H, W) on the store's grid, white matter about 1, zero outside.
        qc_brain: float32 (80, 96, 80), the same brain at 2 mm, for quality control.
        qc_mask: float32 (80, 96, 80), share of each 2 mm voxel inside the brain mask.
        regions: ``<region>_mm3`` and ``head_size_mm3`` in the person's own size; NaN where the
            scan came in MNI space and its size is not known.
        record: JSON-able: source, steps, and what each found.
    """

    volume: np.ndarray
    qc_brain: np.ndarray
    qc_mask: np.ndarray
    regions: dict[str, float]
    record: dict[str, Any]


@dataclass(slots=True)
class _Steps:
    """Runs steps one after the other and keeps their records."""

    records: list[dict[str, Any]] = field(default_factory=list)

    def run(self, step: str, tool: str, fitted_on: str, work: Callable[[], _T]) -> _T:
        wall, processor = time.perf_counter(), time.process_time()
        try:
            result = work()
        except ScanError as error:
            raise StepError(step, str(error)) from error
        self.records.append(
            {
                "step": step,
                "tool": f"{tool} {importlib.metadata.version(tool)}" if tool else "this project",
                "fitted_on": fitted_on,
                "seconds": round(time.perf_counter() - wall, 3),
                "cpu_seconds": round(time.process_time() - processor, 3),
            }
        )
        return result

    def skip(self, step: str, why: str) -> None:
        self.records.append({"step": step, "skipped": why})

    def note(self, **facts: Any) -> None:
        """Adds to the record of the last step."""
        self.records[-1] |= facts


def prepare_scan(source: ScanSource, spacing_mm: float) -> Prepared:
    """Prepares one scan: orientation, brain, receive field, MNI, grid, intensity.

    Args:
        source: The scan and what has been done to it.
        spacing_mm: Voxel size of the store.

    Raises:
        StepError: A step failed; it names the step and the reason.
    """
    done = DONE[source.done]
    steps = _Steps()
    raw = steps.run("read", "isal", "nothing", lambda: read_scan(source.path, source.axes))
    steps.note(shape=[*raw.data.shape], voxel_mm=[round(float(x), 4) for x in raw.voxel_mm])
    scan = steps.run("orientation", "nibabel", "nothing", lambda: to_ras(raw))
    steps.note(from_axes=axis_codes(raw.affine), to_axes="RAS")
    mask = _brain(steps, source, raw, scan)
    flat = _flat(steps, source, scan, mask)
    brain = np.where(mask, flat, np.float32(0.0))
    from_mni, magnification = _to_mni(steps, source, scan, brain, known="mni" in done)

    def onto_grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        fine, extent = (
            sample(image, scan.affine, from_mni, QC_SPACING_MM) for image in (brain, mask)
        )
        if spacing_mm == QC_SPACING_MM:
            return fine, fine, extent
        return sample(brain, scan.affine, from_mni, spacing_mm), fine, extent

    grid, qc_brain, qc_mask = steps.run("crop", "scipy", "nothing", onto_grid)
    ml = extraction.brain_ml(mask, scan)
    kept = float(qc_mask.sum()) * QC_SPACING_MM**3 / 1000.0
    lost = max(0.0, 1.0 - kept / (ml * (magnification or 1.0)))
    steps.note(shape=[*store_shape(spacing_mm)], spacing_mm=spacing_mm)
    volume = steps.run("intensity", "", _THIS_SCAN, lambda: scale_intensity(grid))
    steps.note(quantile=WHITE_QUANTILE, dtype=str(volume.dtype))
    record = {
        "participant_id": source.participant,
        "session_id": source.session,
        "source": {"file": source.path.name, "sha256": raw.sha256, "done": source.done},
        "steps": steps.records,
        "brain_ml": round(ml, 1),
        "magnification": round(magnification, 5) if magnification else None,
        "outside_share": round(lost, 5),
        "from_mni": from_mni.round(6).tolist(),
    }
    return Prepared(volume, qc_brain, qc_mask, _regions(volume, spacing_mm, magnification), record)


def _brain(steps: _Steps, source: ScanSource, raw: Scan, scan: Scan) -> np.ndarray:
    if source.mask is not None:
        path = source.mask
        mask = steps.run(
            "brain", "nibabel", "not known: the mask was given",
            lambda: extraction.given_mask(scan, path, raw, source.axes),
        )  # fmt: skip
        steps.note(mask=path.name)
        return mask
    mask = steps.run(
        "brain", "deepbet", "nothing here: published weights", lambda: extraction.brain_mask(scan)
    )
    steps.note(weights_sha256=extraction.weights_sha256())
    return mask


def _flat(steps: _Steps, source: ScanSource, scan: Scan, mask: np.ndarray) -> np.ndarray:
    if "bias" in DONE[source.done]:
        steps.skip("bias", f"done by {source.done}")
        return scan.data
    flat, receive = steps.run(
        "bias", "SimpleITK", _THIS_SCAN, lambda: bias.correct_bias(scan, mask)
    )
    steps.note(**bias.N4_SETTINGS, field_sd=round(float(receive[mask].std()), 4))
    return flat


def _to_mni(
    steps: _Steps, source: ScanSource, scan: Scan, brain: np.ndarray, known: bool
) -> tuple[np.ndarray, float]:
    """From MNI to the scan's world, and how much larger MNI makes it; 0 where not known."""
    if known:
        steps.skip("mni", f"done by {source.done}")
        return np.eye(4), 0.0
    name = f"{TEMPLATE_NAME}, and this scan"
    fit = steps.run("mni", "SimpleITK", name, lambda: registration.register(brain, scan.affine))
    steps.note(
        **registration.REGISTRATION_SETTINGS,
        template_sha256=template().sha256,
        correlation=round(fit.correlation, 4),
    )
    return fit.from_mni, fit.magnification


def _regions(volume: np.ndarray, spacing_mm: float, magnification: float) -> dict[str, float]:
    """Measured in the stored volume, then taken back to the person's own size."""
    measured = measure_regions(volume, spacing_mm)
    own = 1.0 / magnification if magnification else float("nan")
    return {name: value * own for name, value in measured.items()}
