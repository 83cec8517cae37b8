"""A linear support vector machine on voxels, through an exact rotation.

A linear SVM depends on the voxels only through inner products. Rotating N training volumes into
their own span (at most N dimensions) keeps every inner product, so the machine is the same and
each fit costs N x N instead of N x voxels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.svm import SVC, SVR

from benchmark.api import RunContext, Samples, SklearnMethod, Task

FWHM_PER_SIGMA = 2.3548
BRIGHT_PERCENTILE, EDGE = 95, 0.5  # the outline lies where a volume falls below this share of it


def outlines(volumes: np.ndarray) -> np.ndarray:
    """What lies within the outline of each brain, holes filled: its shape and nothing inside.

    Args:
        volumes: Skull-stripped volumes, (N, D, H, W).

    Returns:
        1 inside and 0 outside, (N, D, H, W) float32.
    """
    bright = np.percentile(volumes, BRIGHT_PERCENTILE, axis=(1, 2, 3), keepdims=True)
    inside = volumes > EDGE * bright
    return np.stack([binary_fill_holes(one) for one in inside]).astype(np.float32)


class VoxelSvm(SklearnMethod):
    """C is chosen on validation people; Platt scaling stays inside the training people."""

    _rotation: PCA | None = None
    _scale = 1.0

    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        voxels = self._voxels(train)
        if np.ptp(voxels, axis=0).any():
            self._rotation = PCA(svd_solver="full").fit(voxels)
            # Unit mean squared norm: C then means the same on every grid.
            self._scale = float(np.sqrt(self._rotation.explained_variance_.sum()))
        super().fit(train, val, tasks, run)

    def features(self, samples: Samples) -> np.ndarray:
        if self._rotation is None:  # all training people look the same
            return np.zeros((samples.n, 1))
        return self._rotation.transform(self._voxels(samples)) / self._scale * 100.0

    def candidates(self, task: Task) -> Sequence[Any]:
        return [self._machine(task, penalty) for penalty in self.config.penalties]

    def estimator(self, task: Task) -> Any:
        return self._machine(task, self.config.penalties[0])

    @staticmethod
    def _machine(task: Task, penalty: float) -> Any:
        if not task.classes:
            return SVR(kernel="linear", C=100 * penalty)
        machine = SVC(kernel="linear", C=penalty, class_weight="balanced")
        return CalibratedClassifierCV(machine, cv=5, ensemble=False)

    def _voxels(self, samples: Samples) -> np.ndarray:
        volumes = samples.volumes()  # n d h w
        if self.config.outline:
            return outlines(volumes).reshape(len(volumes), -1)
        if self.config.smoothing_mm:
            sigma = self.config.smoothing_mm / samples.spacing_mm / FWHM_PER_SIGMA
            volumes = gaussian_filter(volumes, (0, sigma, sigma, sigma))
        flat = volumes.reshape(len(volumes), -1)
        return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
