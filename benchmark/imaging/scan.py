"""What a scan is before and after it was read, and what may have been done to it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from benchmark.errors import CohortError

__all__ = ["DONE", "Scan", "ScanError", "ScanSource"]

# Steps that a pipeline has done already. "bias": the receive field was corrected; "mni": the world
# coordinates are MNI's; nothing here says that the skull is gone: a mask says so.
DONE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "raw": frozenset(),
        "corrected": frozenset({"bias"}),
        "t1-linear": frozenset({"bias", "mni"}),
        "fmriprep": frozenset({"bias"}),
        "fmriprep-mni": frozenset({"bias", "mni"}),
        "freesurfer-orig": frozenset(),
    }
)


class ScanError(CohortError):
    """A scan cannot be prepared; the message says why."""


@dataclass(frozen=True, slots=True)
class ScanSource:
    """One scan to be prepared.

    Attributes:
        participant: Identifier of the person.
        session: Identifier of the visit.
        path: ``.nii``, ``.nii.gz``, ``.mgz`` or ``.hdr``/``.img``.
        done: A key of :data:`DONE`: what was done to it.
        mask: A brain mask on the same voxels, where there is one; no brain extraction then.
        axes: Directions of the three voxel axes, e.g. "RAS" or "LIA", for files whose header does
            not state them; "" to believe the header.
    """

    participant: str
    session: str
    path: Path
    done: str = "raw"
    mask: Path | None = None
    axes: str = ""

    @property
    def name(self) -> str:
        """Participant and session as one folder name."""
        return f"{self.participant}_{self.session}"


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan in memory.

    Attributes:
        data: Intensities (D, H, W), any real number type.
        affine: (4, 4) from voxel indices to world coordinates in mm, RAS+.
        sha256: Hash of the file.
    """

    data: np.ndarray
    affine: np.ndarray
    sha256: str

    @property
    def voxel_mm(self) -> np.ndarray:
        """Edge lengths of a voxel along the three array axes, (3,)."""
        lengths: np.ndarray = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return lengths

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))
