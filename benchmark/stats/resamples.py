"""Participant bootstrap weights, shared by every method of a cell.

People are drawn with replacement within strata (fold and class). A stratum of n people draws
n - 1 and weighs each by n / (n - 1): the plain bootstrap of n draws understates the variance by
the factor (n - 1) / n, which is a tenth where a fold holds ten people of a class.

References:
    Rao and Wu 1988, 10.1080/01621459.1988.10478591 (rescaled bootstrap within strata).
    Davison and Hinkley 1997, 10.1017/CBO9780511802843 (section 3.2).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import ResultError

__all__ = ["draw_resamples", "jackknife_weights", "seeded_generator", "strata_codes"]

Array = NDArray[Any]


def seeded_generator(*parts: object) -> np.random.Generator:
    """Returns a generator that depends on the named parts only, the same on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def strata_codes(*columns: Array) -> Array:
    """Numbers the distinct rows of some columns, shape (N,), int64."""
    stacked = np.stack([np.unique(np.asarray(c), return_inverse=True)[1] for c in columns], axis=1)
    codes: Array = np.unique(stacked, axis=0, return_inverse=True)[1].reshape(-1)
    return codes


def draw_resamples(
    participant_ids: Array, strata: Array, *, n_resamples: int = 2000, seed: int = 0
) -> Array:
    """Draws bootstrap weights of participants within strata.

    The draw depends on the seed, the set of ids and their strata, never on their order. A stratum
    of one person keeps weight 1.

    Args:
        participant_ids: Distinct ids, shape (N,).
        strata: Stratum of each, shape (N,).
        n_resamples: B.
        seed: Seed.

    Returns:
        Weights, shape (B, N), float32, whose transpose is contiguous. Each stratum's weights sum
        to its number of people.

    Raises:
        ResultError: An id appears twice, or the shapes differ.
    """
    ids = np.asarray(participant_ids, dtype=str)
    strata = np.asarray(strata)
    if ids.shape != strata.shape or len(np.unique(ids)) != len(ids):
        raise ResultError(
            f"resampling needs one stratum per distinct participant, got {ids.shape} ids "
            f"({len(np.unique(ids))} distinct) and {strata.shape} strata"
        )
    order = np.argsort(ids, kind="stable")
    codes = np.unique(strata, return_inverse=True)[1][order]
    layout = hashlib.sha256("\x1f".join(ids[order]).encode() + codes.tobytes()).hexdigest()
    generator = seeded_generator("resamples", seed, n_resamples, layout)
    by_person = np.empty((len(ids), n_resamples), dtype=np.float32)
    for code in np.unique(codes):
        members = order[codes == code]
        by_person[members] = _stratum_weights(len(members), n_resamples, generator)
    weights: Array = by_person.T
    return weights


def _stratum_weights(size: int, n_resamples: int, generator: np.random.Generator) -> Array:
    if size == 1:
        return np.ones((1, n_resamples), dtype=np.float32)
    drawn = generator.integers(0, size, (size - 1, n_resamples))
    cell = drawn * n_resamples + np.arange(n_resamples)
    counts = np.bincount(cell.ravel(), minlength=size * n_resamples)
    scaled: Array = (counts.reshape(size, n_resamples) * (size / (size - 1))).astype(np.float32)
    return scaled


def jackknife_weights(strata: Array, people: slice = slice(None)) -> Array:
    """Weights that leave one person out, the rest of the stratum scaled up.

    The row of person i has weight 0 for i and n / (n - 1) for the others of the same stratum, so
    every stratum keeps its total. A person alone in a stratum cannot be left out: all ones.

    Args:
        strata: Stratum of each person, shape (N,).
        people: Whom to leave out in turn; a slice bounds the memory where N is large.

    Returns:
        Shape (number left out, N), float64, whose transpose is contiguous.
    """
    codes, sizes = np.unique(strata, return_inverse=True, return_counts=True)[1:]
    left_out = np.arange(len(codes))[people]
    size = sizes[codes[left_out]]
    scale = np.where(size > 1, size / np.maximum(size - 1, 1), 1.0)
    by_person = np.where(codes[:, None] == codes[left_out], scale, 1.0)
    by_person[left_out, np.arange(len(left_out))] = np.where(size > 1, 0.0, 1.0)
    weights: Array = by_person.T
    return weights
