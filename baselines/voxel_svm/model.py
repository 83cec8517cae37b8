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

from benchmark.api import MethodError, RunContext, Samples, SklearnMethod, Task

FWHM_PER_SIGMA = 2.3548
BRIGHT_PERCENTILE, EDGE = 95, 0.5  # the outline lies where a volume falls below this share of it
NORM = 100.0  # root mean square over training people, so that C means the same on every grid
FOLDS, LEAST_FOLDS = 5, 2  # of Platt scaling; a class of fewer people has fewer folds


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


def platt_folds(train: Samples, task: Task) -> int:
    """Folds of Platt scaling: five, or as many as the smallest class has people, at least two.

    Raises:
        MethodError: A class has a single training person.
    """
    y, known = train.labels(task.name)
    classes, counts = np.unique(y[known].astype(np.int64), return_counts=True)
    for k, count in zip(classes, counts, strict=True):
        if count < LEAST_FOLDS:
            raise MethodError(
                f"voxel_svm: class {task.classes[k]} of {task.name} has {count} training person, "
                f"and Platt scaling by cross-validation needs {LEAST_FOLDS}; train on more people"
            )
    return min([FOLDS, *counts.tolist()])


class VoxelSvm(SklearnMethod):
    """C is chosen on validation people; Platt scaling stays inside the training people."""

    _rotation: PCA | None = None
    _scale = 1.0

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._folds: dict[str, int] = {}

    def fit(self, train: Samples, val: Samples, tasks: Sequence[Task], run: RunContext) -> None:
        self._folds = {t.name: platt_folds(train, t) for t in tasks if t.classes}
        voxels = self._voxels(train)
        if np.ptp(voxels, axis=0).any():
            self._rotation = PCA(svd_solver="full").fit(voxels)
            self._scale = float(np.sqrt(self._rotation.explained_variance_.sum()))
        super().fit(train, val, tasks, run)

    def features(self, samples: Samples) -> np.ndarray:
        if self._rotation is None:  # all training people look the same
            return np.zeros((samples.n, 1))
        return self._rotation.transform(self._voxels(samples)) / self._scale * NORM

    def candidates(self, task: Task) -> Sequence[Any]:
        return [self._machine(task, penalty) for penalty in self.config.penalties]

    def estimator(self, task: Task) -> Any:
        return self._machine(task, self.config.penalties[0])

    def _machine(self, task: Task, penalty: float) -> Any:
        if not task.classes:
            return SVR(kernel="linear", C=100 * penalty)
        machine = SVC(kernel="linear", C=penalty, class_weight="balanced")
        folds = self._folds.get(task.name, FOLDS)
        return CalibratedClassifierCV(machine, cv=folds, ensemble=False)

    def _voxels(self, samples: Samples) -> np.ndarray:
        volumes = samples.volumes()  # n d h w
        if self.config.outline:
            return outlines(volumes).reshape(len(volumes), -1)
        if self.config.smoothing_mm:
            sigma = self.config.smoothing_mm / samples.spacing_mm / FWHM_PER_SIGMA
            volumes = gaussian_filter(volumes, (0, sigma, sigma, sigma))
        flat = volumes.reshape(len(volumes), -1)
        return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
