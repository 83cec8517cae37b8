"""Finds one brain under two names: equal bytes, or nearly the same picture.

Brains in one space all look alike, so a perceptual hash of the picture itself would call everybody
a twin of everybody. What is compared is how a person *differs* from the cohort's mean picture, in
8 x 8 x 8 block means: two people are twins when these differences correlate above a threshold. Two
large heads may differ from the mean in the same way, so a suspicion must hold once more after the
strongest modes by which the others vary (head size, contrast, bias) are taken out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from benchmark.errors import CohortError
from benchmark.leakage.naming import listed

__all__ = [
    "NEAR_DUPLICATE",
    "ImageTwins",
    "Pictures",
    "block_means",
    "describe",
    "find_twins",
    "twins_among",
]

NEAR_DUPLICATE: Final = 0.95  # correlation of the differences from the mean picture
_BLOCKS = 8
_N_MODES = 3
_LEAST_FOR_MODES = 20  # people outside all suspected pairs
_CHUNK = 512


Suspect = tuple[int, int, float]  # rows of two pictures and their similarity


@dataclass(frozen=True, slots=True)
class ImageTwins:
    """Two participants whose stored volumes, or other contents, are the same or nearly so.

    Attributes:
        first: A participant id.
        second: Another participant id, later in order.
        similarity: 1.0 for equal bytes, otherwise the correlation of the differences.
        exact: Whether the bytes are equal.
        kind: What is equal or alike, in words.
    """

    first: str
    second: str
    similarity: float
    exact: bool
    kind: str = "T1w image"


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is compared of the volumes of some visits; see :func:`describe`.

    Attributes:
        owners: Whose visit each volume is.
        hashes: SHA-256 of each volume's bytes.
        features: The :func:`block_means` of each volume, shape (N, 512).
    """

    owners: tuple[str, ...]
    hashes: tuple[str, ...]
    features: np.ndarray


def block_means(volume: np.ndarray) -> np.ndarray:
    """Means over at most 8 x 8 x 8 blocks of a volume.

    Args:
        volume: Shape (D, H, W).

    Returns:
        Shape (512,) float64, fewer where a side is shorter than 8 voxels.
    """
    depth, height, width = (_averaging(length) for length in volume.shape)
    slabs = np.tensordot(depth, np.asarray(volume, dtype=np.float64), axes=1)
    return np.asarray(height @ slabs @ width.T).ravel()


@cache
def _averaging(length: int) -> np.ndarray:
    """Weights that average ``length`` voxels into at most 8 blocks, (blocks, length)."""
    edges = np.linspace(0, length, min(_BLOCKS, length) + 1).astype(int)
    weights = np.zeros((len(edges) - 1, length))
    for block, (begin, end) in enumerate(pairwise(edges)):
        weights[block, begin:end] = 1 / (end - begin)
    return weights


def describe(
    volumes: Sequence[np.ndarray] | np.ndarray,
    rows: Sequence[int],
    owners: Sequence[str],
    source: str = "the volumes",
) -> Pictures:
    """Reads what is compared of each volume, once; memory is one volume and (N, 512) numbers.

    Args:
        volumes: Shape (N, D, H, W), typically a memory map, or a list of volumes.
        rows: Rows to look at, one per visit with an image.
        owners: Whose visit each row is, same length. One row may appear for two owners.
        source: Where the volumes come from, for the message.

    Raises:
        CohortError: Volumes with NaN or infinity, by participant and row: they resemble nobody.
    """
    hashes: dict[int, str] = {}
    means: dict[int, np.ndarray] = {}
    broken: set[int] = set()
    for row in sorted(set(rows)):
        volume = np.ascontiguousarray(volumes[row])
        with np.errstate(invalid="ignore", over="ignore"):
            means[row] = block_means(volume)
        # A mean over NaN or infinity is not finite either; one over huge values may overflow.
        if not np.isfinite(means[row]).all() and not np.isfinite(volume).all():
            broken.add(row)
        hashes[row] = hashlib.sha256(volume.data).hexdigest()
    if broken:
        owned = [
            f"participant {owners[k]}, row {row}" for k, row in enumerate(rows) if row in broken
        ]
        raise CohortError(
            f"{source}: NaN or infinity in {len(broken)} volume(s): {listed(owned)}; expected "
            "finite intensities. Correct or leave out these scans and prepare the cohort again "
            "with `neurodx prepare --force`"
        )
    features = np.array([means[row] for row in rows]) if means else np.zeros((0, 1))
    return Pictures(tuple(owners), tuple(hashes[row] for row in rows), features)


def find_twins(
    volumes: Sequence[np.ndarray] | np.ndarray,
    rows: Sequence[int],
    owners: Sequence[str],
    threshold: float = NEAR_DUPLICATE,
) -> list[ImageTwins]:
    """Finds twins among volumes; see :func:`describe` and :func:`twins_among`."""
    return twins_among(describe(volumes, rows, owners), threshold)


def twins_among(pictures: Pictures, threshold: float = NEAR_DUPLICATE) -> list[ImageTwins]:
    """Finds pairs of participants that share a picture.

    Args:
        pictures: As :func:`describe` returns.
        threshold: Correlation from which two pictures are twins.

    Returns:
        Pairs of different participants, sorted; exact twins once, as exact.
    """
    names = pictures.owners
    twins: dict[tuple[str, str], ImageTwins] = {}
    differences = _differences(pictures.features)
    suspects = list(_similar(_unit(differences), threshold))
    suspects = _confirmed(differences, suspects, threshold)
    for i, j, similarity in suspects:
        _keep(twins, names[i], names[j], similarity, exact=False)
    for group in _equal(pictures.hashes):
        for k, i in enumerate(group):
            for j in group[k + 1 :]:
                _keep(twins, names[i], names[j], 1.0, exact=True)
    return [twins[pair] for pair in sorted(twins)]


def _keep(
    twins: dict[tuple[str, str], ImageTwins], a: str, b: str, similarity: float, *, exact: bool
) -> None:
    first, second = sorted((str(a), str(b)))
    known = twins.get((first, second))
    if first != second and (known is None or exact or similarity > known.similarity):
        twins[first, second] = ImageTwins(first, second, similarity, exact)


def _differences(features: np.ndarray) -> np.ndarray:
    """Each person's difference from the mean picture, gain removed; (N, 512)."""
    if not len(features):
        return features
    level = np.abs(features).mean(axis=1, keepdims=True)
    scaled = features / np.where(level > 0, level, 1.0)
    centred = scaled - scaled.mean(axis=0)
    return np.asarray(centred - centred.mean(axis=1, keepdims=True))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), 0.0)


def _confirmed(differences: np.ndarray, suspects: list[Suspect], threshold: float) -> list[Suspect]:
    """Suspects that stay alike without the modes by which all the other people vary."""
    involved = {i for pair in suspects for i in pair[:2]}
    others = np.delete(differences, sorted(involved), axis=0)
    if not suspects or len(others) < _LEAST_FOR_MODES:
        return suspects
    # Eigenvalues ascend: the last vectors are the strongest modes.
    modes = np.linalg.eigh(others.T @ others).eigenvectors[:, -_N_MODES:].T
    kept = []
    for i, j, _ in suspects:
        pair = differences[[i, j]]
        first, second = _unit(pair - (pair @ modes.T) @ modes)
        similarity = float(min(first @ second, 1.0))
        if similarity >= threshold:
            kept.append((i, j, similarity))
    return kept


def _similar(units: np.ndarray, threshold: float) -> Iterator[Suspect]:
    for begin in range(0, len(units), _CHUNK):
        correlation = units[begin : begin + _CHUNK] @ units.T
        left, right = np.nonzero(correlation >= threshold)
        for i, j in zip(left, right, strict=True):
            if begin + i < j:
                yield int(begin + i), int(j), float(min(correlation[i, j], 1.0))


def _equal(hashes: Sequence[str]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for row, value in enumerate(hashes):
        groups.setdefault(value, []).append(row)
    return [group for group in groups.values() if len(group) > 1]
