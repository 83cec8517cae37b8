"""A linear support vector machine on voxels, through an exact rotation.

A linear SVM depends on the voxels only through inner products. Rotating N training volumes into
their own span (at most N dimensions) keeps every inner product, so the machine is the same and
each fit costs N x N instead of N x voxels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.svm import SVC, SVR

from benchmark.api import RunContext, Samples, SklearnMethod, Task

FWHM_PER_SIGMA = 2.3548


class VoxelSvm(SklearnMethod):
    """C is chosen on validation people; Platt scaling stays inside the training people."""

    _rotation: PCA | None = None
    _scale = 1.0

    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        voxels = self._voxels(train)
        self._rotation = PCA(svd_solver="full").fit(voxels)
        # Unit mean squared norm: C then means the same on every grid.
        self._scale = float(np.sqrt(self._rotation.explained_variance_.sum()))
        super().fit(train, val, tasks, run)

    def features(self, samples: Samples) -> np.ndarray:
        assert self._rotation is not None
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
        if self.config.smoothing_mm:
            sigma = self.config.smoothing_mm / samples.spacing_mm / FWHM_PER_SIGMA
            volumes = gaussian_filter(volumes, (0, sigma, sigma, sigma))
        flat = volumes.reshape(len(volumes), -1)
        return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
