"""What is kept beside a ledger: how a method answers with less, and what it shows of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import vocabulary as v
from benchmark.errors import MethodError
from benchmark.method import Method
from benchmark.registry import get_method
from benchmark.runs.job import Job
from benchmark.runs.ledger import answer_rows
from benchmark.runs.people import Cell
from benchmark.samples import Samples
from benchmark.samples.align import align_samples
from benchmark.samples.hide import hide
from benchmark.store.atomic import replace_file

__all__ = ["DROP_PERCENTS", "exposed", "missing_rows", "shown_by", "write_exposed"]

DROP_PERCENTS = (20, 50, 70)
_TAKEN = (v.PARTICIPANT_ID, "file", "allow_pickle")


def missing_rows(method: Method, job: Job, cell: Cell, train: Samples) -> pd.DataFrame | None:
    """Predicts the test people with every subset of the modalities, and with some at random.

    Args:
        method: A fitted method.
        job: The job.
        cell: The cohort.
        train: The training samples, whose columns the others take.

    Returns:
        A ledger with two more columns: ``shown``, the modalities that were left (``t1w+report``) or
        ``drop-50`` where each measured modality of each person was dropped with probability 0.5,
        and ``n_shown``, how many of the person's were left. None where the method does not cope
        with missing modalities, or has fewer than two.
    """
    info = get_method(job.method)
    samples = align_samples(cell.samples(job, v.TEST).without_labels(), like=train)
    optional = [m for m, has in samples.available.items() if has.any() and m not in info.requires]
    if not info.copes_with_missing or len(optional) + len(info.requires) < 2 or not optional:
        return None
    tables = []
    for shown, hidden in _ways(samples, optional, cell.people[v.TEST], needs=len(info.requires)):
        less = hide(samples, hidden)
        n_shown = np.sum([less.available[m] for m in (*info.requires, *optional)], axis=0)
        rows = answer_rows(method, job, cell, v.TEST, less)
        counts = dict(zip(cell.people[v.TEST], n_shown.tolist(), strict=True))
        tables.append(rows.assign(shown=shown, n_shown=rows[v.PARTICIPANT_ID].map(counts)))
    return pd.concat(tables, ignore_index=True)


def _ways(
    samples: Samples, optional: list[str], people: tuple[str, ...], needs: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Each way of hiding: its name, and by modality from whom it is taken."""
    everybody = np.ones(samples.n, dtype=bool)
    for size in range(0 if needs else 1, len(optional)):
        for kept in combinations(optional, size):
            always = [m for m in samples.available if m not in optional]
            always = [m for m in always if samples.available[m].any()]
            name = "+".join([*always, *kept])
            yield name, {m: everybody for m in optional if m not in kept}
    for percent in DROP_PERCENTS:
        yield f"drop-{percent}", _dropped(samples.available, optional, people, percent / 100, needs)


def _dropped(
    available: Mapping[str, np.ndarray],
    optional: list[str],
    people: tuple[str, ...],
    rate: float,
    needs: int,
) -> dict[str, np.ndarray]:
    """Whose modalities are dropped; the draw hangs on person and modality, so rates are nested.

    Where nothing is required, a person keeps the measured modality that was drawn last to go.
    """
    draws = np.array([[_uniform(who, m) for m in optional] for who in people])
    has = np.stack([available[m] for m in optional], axis=1)
    gone = has & (draws < rate)
    if not needs:
        alone = (gone == has).all(axis=1) & has.any(axis=1)
        last = np.where(has, draws, -1.0).argmax(axis=1)
        gone[alone, last[alone]] = False
    return {m: gone[:, k] for k, m in enumerate(optional)}


def _uniform(*parts: object) -> float:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def exposed(method: Method, job: Job, cell: Cell, train: Samples) -> dict[str, np.ndarray] | None:
    """What a method shows of its inner workings for the test people; None where it shows nothing.

    Raises:
        MethodError: An array does not have one row a person, holds objects, or has a name that the
            file needs for itself.
    """
    samples = align_samples(cell.samples(job, v.TEST).without_labels(), like=train)
    return shown_by(method, samples, job.label) or None


def shown_by(method: Method, samples: Samples, label: str) -> dict[str, np.ndarray]:
    """What :meth:`Method.expose` gives, and what :meth:`Method.embed` gives as ``embedding``.

    Args:
        method: A fitted method.
        samples: The people.
        label: What is run, for messages.

    Raises:
        MethodError: As :func:`exposed`.
    """
    shown: dict[str, np.ndarray] = {}
    for ask in (method.expose, lambda people: {"embedding": method.embed(people)}):
        try:
            given = ask(samples)
        except NotImplementedError:
            continue
        shown |= {name: np.asarray(values) for name, values in given.items()}
    for name, values in shown.items():
        if name in _TAKEN:
            raise MethodError(
                f"{label}: expose() gave an array called {name!r}, a name that the file needs for "
                "itself; give it another"
            )
        if values.ndim == 0 or len(values) != samples.n:
            raise MethodError(
                f"{label}: expose() or embed() gave {name!r} of shape {values.shape}, expected one "
                f"row for each of {samples.n} people"
            )
        if values.dtype.kind not in "biufU":
            raise MethodError(
                f"{label}: expose() gave {name!r} of type {values.dtype}, expected numbers or text"
            )
    return shown


def write_exposed(path: Path, people: tuple[str, ...], shown: Mapping[str, np.ndarray]) -> None:
    """Writes ``<cohort>.npz``: the arrays, and ``participant_id`` in their order."""
    arrays: dict[str, np.ndarray] = {
        name: values.astype(np.float32) if values.dtype == np.float64 else values
        for name, values in shown.items()
    }
    arrays[v.PARTICIPANT_ID] = np.array(people, dtype=np.str_)
    with replace_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
