"""Reads what the runs of a claim's arms expose, and sums it up for readers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.ablations.inside_tables import (
    EMBEDDING_COLUMNS,
    EVERYBODY,
    INSIDES_COLUMNS,
    NEIGHBOURS,
    OVERLAP,
)
from benchmark.ablations.study import Study, record
from benchmark.ablations.summaries import (
    class_means,
    layout,
    map_perplexity,
    neighbours,
    overlaps,
    routing,
)
from benchmark.errors import ResultError
from benchmark.method_info import BY_CLASS, EMBEDDING, ROUTING, Shown
from benchmark.registry import get_method
from benchmark.runs.job import Job, Workspace
from benchmark.runs.people import tasks_of
from benchmark.tasks import get_task

__all__ = ["study_insides"]

Array = NDArray[Any]
_NUMBERS: Final = ("value", "low", "high", "chosen", "chance", "x", "y", "perplexity")


@dataclass(frozen=True)
class Fit:
    """One run of an arm.

    Attributes:
        job: What was fitted.
        people: Ids of the test people with a label of the task, (N,).
        classes: Their classes as text, (N,).
        arrays: What was asked for, by name, a row a person.
    """

    job: Job
    people: Array
    classes: Array
    arrays: dict[str, Array]


def study_insides(
    study: Study, claims: Sequence[str], workspace: Workspace, *, n_resamples: int = 2000
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sums up the arrays that the methods declare (``MethodInfo.exposes``), arm by arm.

    Args:
        study: All claims with their runs.
        claims: Those to sum up.
        workspace: Where the runs are.
        n_resamples: Bootstrap resamples of people.

    Returns:
        Two tables, of columns ``INSIDES_COLUMNS`` and ``EMBEDDING_COLUMNS``. An array that a run
        does not hold is a line whose ``note`` says so.
    """
    lines: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    known: dict[tuple[str, str, str], tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
    for name in claims:
        for arm, task, shown, ids in _declared(study, name):
            runs = [(study.jobs[i], record(i, study.jobs[i], workspace)) for i in ids]
            fits = hashlib.sha256(" ".join(ids).encode()).hexdigest()[:12]
            cohort = study.claims[name].cohort
            key = (fits, shown.array, f"{cohort} {task}")
            if key not in known:
                known[key] = _summed(shown, runs, cohort, task, n_resamples)
            facts = {"claim": name, "arm": arm, "row": runs[0][0].row, "cohort": cohort}
            facts |= {
                "task": task,
                "array": shown.array,
                "title": shown.title,
                "about": shown.about,
            }
            for found, table in zip(known[key], (lines, points), strict=True):
                table += [facts | {"fits": fits} | line for line in found]
    return _table(lines, INSIDES_COLUMNS), _table(points, EMBEDDING_COLUMNS)


def _table(lines: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(lines, columns=[*columns])
    whole = [name for name in ("n", "seed", "fold", "epoch", "person") if name in table]
    numbers = [name for name in _NUMBERS if name in table]
    kinds: dict[str, str] = dict.fromkeys(whole, "Int64") | dict.fromkeys(numbers, "float64")
    texts = [name for name in columns if name not in kinds]
    return table.astype(kinds).fillna(dict.fromkeys(texts, ""))


def _declared(study: Study, name: str) -> Iterator[tuple[str, str, Shown, tuple[str, ...]]]:
    """Arm, fitted task, array and run ids; routing once for each set of runs."""
    seen = set()
    for (claim, arm, task), ids in study.runs.items():
        if claim != name:
            continue
        for shown in get_method(study.jobs[ids[0]].method).exposes:
            once = (shown.array, ids, task if shown.kind != ROUTING else "")
            if once not in seen:
                seen.add(once)
                yield arm, task, shown, ids


def _summed(
    shown: Shown, runs: Sequence[tuple[Job, Path]], cohort: str, task: str, n_resamples: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines of both tables."""
    try:
        fits = [_read(shown, job, folder, cohort, task) for job, folder in runs]
        if shown.kind == BY_CLASS:
            return _by_class(shown, fits, n_resamples), []
        if shown.kind == ROUTING:
            return [*_routings(fits, shown.array), *_overlap_lines(fits, shown.array)], []
        near = _near(fits, n_resamples)
        try:
            return near, _map(fits)
        except ResultError as error:
            return [*near, {"kind": shown.kind, "note": f"no map: {error}"}], []
    except ResultError as error:
        return [{"kind": shown.kind, "note": str(error)}], []


def _read(shown: Shown, job: Job, folder: Path, cohort: str, task: str) -> Fit:
    """Reads a run.

    Raises:
        ResultError: It exposes no such array, or does not hold a person of its ledger.
    """
    path = folder / "exposed" / f"{cohort}.npz"
    if not path.is_file():
        raise ResultError(f"{job.label}: nothing was exposed for {cohort}")
    with np.load(path, allow_pickle=False) as stored:
        names = [name for name in stored.files if _is_meant(shown, name)]
        if not names:
            raise ResultError(f"{shown.array!r} is not exposed by these settings")
        arrays = {name: stored[name] for name in names}
        order = pd.Index(stored[v.PARTICIPANT_ID].astype(str))
    ledger = pd.read_parquet(folder / "predictions.parquet")
    own = (ledger["cohort"] == cohort) & (ledger["task"] == task) & (ledger["part"] == v.TEST)
    labels = ledger.loc[own].drop_duplicates(v.PARTICIPANT_ID)
    rows = order.get_indexer(labels[v.PARTICIPANT_ID].astype(str))
    if not len(rows) or (rows < 0).any():
        raise ResultError(f"{job.label}: {path.name} does not hold the test people of {task}")
    names_of_classes = get_task(task).classes
    classes = [
        names_of_classes[int(y)] if names_of_classes else EVERYBODY for y in labels["y_true"]
    ]
    people = labels[v.PARTICIPANT_ID].to_numpy(dtype=str)
    taken = {name: values[rows] for name, values in arrays.items()}
    return Fit(job, people, np.array(classes), taken)


def _is_meant(shown: Shown, name: str) -> bool:
    if shown.kind == EMBEDDING:
        return name.startswith(shown.array) and name.removeprefix(shown.array).isdecimal()
    return name == shown.array


def _in_order(fits: Sequence[Fit], lines: pd.DataFrame) -> pd.DataFrame:
    """Lines by class, in the order of the task's classes."""
    parts = tasks_of(tuple(part for fit in fits for part in fit.job.parts))
    order = list(dict.fromkeys(name for task in parts for name in task.classes))
    place = {name: k for k, name in enumerate(order)}
    return lines.sort_values(
        ["group", "column"], key=lambda c: c.map(lambda x: place.get(x, x)), kind="stable"
    )


def _by_class(shown: Shown, fits: Sequence[Fit], n_resamples: int) -> list[dict[str, Any]]:
    arrays = [fit.arrays[shown.array].reshape(len(fit.people), -1) for fit in fits]
    widths = {array.shape[1] for array in arrays}
    if len(widths) > 1:
        raise ResultError(f"{shown.array!r} has {sorted(widths)} columns in different runs")
    (width,) = widths
    given = shown.names_on(fits[0].job.track)
    names = given if len(given) == width else [str(k + 1) for k in range(width)]
    return _mean_lines(shown.kind, fits, np.concatenate(arrays), list(names), n_resamples)


def _mean_lines(
    kind: str, fits: Sequence[Fit], values: Array, names: list[str], n_resamples: int
) -> list[dict[str, Any]]:
    means = class_means(
        values,
        np.concatenate([fit.people for fit in fits]),
        np.concatenate([fit.classes for fit in fits]),
        np.concatenate([np.full(len(fit.people), fit.job.seed) for fit in fits]),
        n_resamples=n_resamples,
    )
    lines = []
    for found in _in_order(fits, means).to_dict("records"):
        line = {str(key): value for key, value in found.items()}
        lines.append({"kind": kind, "item": names[int(line.pop("column"))]} | line)
    return lines


def _routings(fits: Sequence[Fit], array: str) -> Iterator[dict[str, Any]]:
    """A matrix for each fit: experts of different fits have nothing to do with one another."""
    for fit in fits:
        tasks, (means, chosen) = tasks_of(fit.job.parts), routing(_weights(fit, array))
        facts = {"kind": ROUTING, "n": len(fit.people), "seed": fit.job.seed, "fold": fit.job.fold}
        for t, task in enumerate(tasks):
            for e in range(means.shape[1]):
                found = {"value": float(means[t, e]), "chosen": float(chosen[t, e])}
                yield facts | {"group": task.name, "item": f"expert {e + 1}", **found}


def _weights(fit: Fit, array: str) -> Array:
    weights, n_tasks = fit.arrays[array], len(tasks_of(fit.job.parts))
    if weights.ndim != 3 or weights.shape[1] != n_tasks:
        raise ResultError(
            f"{fit.job.label}: {array!r} has shape {weights.shape}, expected (people, {n_tasks} "
            "tasks, experts)"
        )
    if weights.shape[2] == 1:
        raise ResultError("one expert, so nothing is routed")
    return weights


def _overlap_lines(fits: Sequence[Fit], array: str) -> Iterator[dict[str, Any]]:
    """How far pairs of tasks share experts: mean, least and most over the fits."""
    names = [task.name for task in tasks_of(fits[0].job.parts)]
    found = np.stack([overlaps(routing(_weights(fit, array))[0]) for fit in fits])
    people = len({who for fit in fits for who in fit.people})
    for a, first in enumerate(names):
        for b, second in enumerate(names[a + 1 :], a + 1):
            values = found[:, a, b]
            spread = {"low": float(values.min()), "high": float(values.max()), "n": people}
            line = {"kind": OVERLAP, "group": first, "item": second}
            yield line | {"value": float(values.mean()), **spread}


def _near(fits: Sequence[Fit], n_resamples: int) -> list[dict[str, Any]]:
    """Share of a person's nearest people, in the embedding itself, who are of the same class."""
    if set(fits[0].classes) == {EVERYBODY}:
        raise ResultError("a regression has no classes to tell apart in an embedding")
    epochs = _epochs(fits)
    if min(len(fit.people) for fit in fits) < 2:
        raise ResultError("a fold holds fewer than two people")
    values, chances = [], []
    for fit in fits:
        both = [neighbours(fit.arrays[epochs[epoch]], fit.classes) for epoch in epochs]
        values.append(np.stack([share for share, _ in both], axis=1))
        chances.append(pd.Series(both[0][1], index=fit.classes))
    names = [f"epoch {epoch}" for epoch in epochs]
    chance = pd.concat(chances).groupby(level=0).mean()
    lines = _mean_lines(NEIGHBOURS, fits, np.concatenate(values), names, n_resamples)
    return [line | {"chance": float(chance[line["group"]])} for line in lines]


def _epochs(fits: Sequence[Fit]) -> dict[int, str]:
    """Array by epoch, in order.

    Raises:
        ResultError: Runs differ in their epochs.
    """
    names = {frozenset(fit.arrays) for fit in fits}
    if len(names) > 1:
        raise ResultError("runs differ in the epochs whose embedding they kept")
    (own,) = names
    return dict(sorted((int(re.findall(r"\d+$", name)[0]), name) for name in own))


def _map(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """One fit's people after each epoch: those of the first seed and fold."""
    fit = min(fits, key=lambda one: (one.job.seed, one.job.fold))
    epochs = _epochs(fits)
    facts = {
        "seed": fit.job.seed,
        "fold": fit.job.fold,
        "perplexity": map_perplexity(len(fit.people)),
    }
    maps = layout([fit.arrays[name] for name in epochs.values()])
    return [
        facts | {"epoch": epoch, "person": k, "group": fit.classes[k], "x": float(x), "y": float(y)}
        for epoch, placed in zip(epochs, maps, strict=True)
        for k, (x, y) in enumerate(placed)
    ]
