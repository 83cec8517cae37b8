"""Lines the ledgers of one cell up on the same people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.metrics import check_participants
from benchmark.metrics.validation import check_classification, check_regression
from benchmark.results.ledger import Gap, Ledger, first_line, prediction_columns, require_columns
from benchmark.results.schema import EXTERNAL_PROTOCOL
from benchmark.stats import seeded_generator, strata_codes
from benchmark.tasks import Task

__all__ = ["Cell", "CellEntry", "anonymous_index", "build_cell"]

Array = NDArray[Any]
_REPEATED = re.compile(r"(\d+)x(\d+)fold")


@dataclass(frozen=True, slots=True)
class CellEntry:
    """One ledger on the cell's people.

    A *replica* holds one prediction per person: the out-of-fold predictions of one seed (and one
    repeat of the folds), or one fold model's predictions of an external cohort. The score is the
    mean over replicas.

    Attributes:
        ledger: Where it comes from.
        rows: Row numbers of its people in the cell, ascending, shape (n,).
        predictions: Shape (R, n, K) or (R, n).
        folds: Fold of each person in each replica, shape (R, n); zeros where external.
        seeds: Seed of each replica, shape (R,).
        n_folds: Number of fold models per seed.
    """

    ledger: Ledger
    rows: Array
    predictions: Array
    folds: Array
    seeds: Array
    n_folds: int


@dataclass(frozen=True, slots=True)
class Cell:
    """People and predictions of one cohort, task and protocol.

    Attributes:
        participant_ids: Sorted, shape (N,): everybody whom some method predicted.
        y_true: Class index or value, shape (N,).
        strata: Resampling strata, shape (N,): fold and class where each person has one fold.
        entries: Whole ledgers.
        gaps: Ledgers that contradict themselves or the others.
    """

    participant_ids: Array
    y_true: Array
    strata: Array
    entries: tuple[CellEntry, ...]
    gaps: tuple[Gap, ...]


@dataclass(slots=True)
class _Truth:
    """What all ledgers of a cell must agree on: label and folds of each person."""

    labels: dict[str, float]
    folds: dict[str, tuple[int, ...]]
    external: bool = False  # folds are then models: an oracle is one, a method has several
    source: str = ""

    def take(self, frame: pd.DataFrame, method: str) -> None:
        """Adds a ledger's people.

        Raises:
            ResultError: A person's label or folds differ from another method's.
        """
        first = frame.drop_duplicates("participant_id")
        labels = dict(zip(first["participant_id"], first["y_true"], strict=True))
        folds: dict[str, tuple[int, ...]] = {}
        ordered = frame.sort_values(["seed", "fold"])
        ordered = ordered[ordered["seed"] == ordered["seed"].iloc[0]]
        for person, fold in zip(ordered["participant_id"], ordered["fold"], strict=True):
            folds[person] = (*folds.get(person, ()), fold)
        compared: list[tuple[Mapping[str, Any], Mapping[str, Any], str]]
        compared = [(self.labels, labels, "label"), (self.folds, folds, "fold")]
        for known, new, what in compared[:1] if self.external else compared:
            wrong = [p for p in new if p in known and known[p] != new[p]]
            if wrong:
                raise ResultError(
                    f"{method}: the {what} of {len(wrong)} participants differs from "
                    f"{self.source}'s (first: {wrong[0]}, {new[wrong[0]]} against "
                    f"{known[wrong[0]]}); rerun both on the same cohort and split"
                )
        self.labels.update(labels)
        self.folds.update(folds)
        self.source = self.source or method


def build_cell(ledgers: Sequence[Ledger], task: Task, protocol: str) -> Cell:
    """Aligns the ledgers of one cell; one that is not valid becomes a gap.

    Args:
        ledgers: Same cohort, task and protocol; those with folds come first in any case.
        task: The task.
        protocol: The protocol, which tells repeats of folds apart.
    """
    truth = _Truth({}, {}, external=protocol == EXTERNAL_PROTOCOL)
    frames: list[tuple[Ledger, pd.DataFrame]] = []
    gaps: list[Gap] = []
    for ledger in sorted(ledgers, key=lambda x: ("fold" not in x.frame, x.key)):
        try:
            frame = _clean(ledger, task, protocol, truth)
            truth.take(frame, ledger.key.candidate)
        except ResultError as error:
            gaps.append(Gap(ledger.key, "failed", first_line(error), ledger.facts))
        else:
            frames.append((ledger, frame))
    ids = np.array(sorted(truth.labels), dtype=object)
    y_true = np.array([truth.labels[i] for i in ids], dtype=np.float64)
    entries = [_entry(ledger, frame, ids, task, protocol) for ledger, frame in frames]
    return Cell(
        ids, y_true, _strata(ids, y_true, truth, task, protocol), tuple(entries), tuple(gaps)
    )


def _clean(ledger: Ledger, task: Task, protocol: str, truth: _Truth) -> pd.DataFrame:
    where = f"{ledger.key.method} on {ledger.key.cohort} / {ledger.key.task}"
    columns = prediction_columns(task.classes)
    require_columns(ledger.frame, [v.PARTICIPANT_ID, "y_true", *columns], where)
    frame = ledger.frame.assign(
        participant_id=ledger.frame[v.PARTICIPANT_ID].astype(str),
        seed=ledger.frame.get("seed", 0),
        y_true=ledger.frame["y_true"].astype(np.float64),
    )
    frame = _with_folds(frame, truth, protocol, where)
    values = frame[["y_true", *columns]].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        bad = frame["participant_id"][~np.isfinite(values).all(axis=1)]
        raise ResultError(
            f"{where}: labels and predictions must be finite; {bad.nunique()} participants have "
            f"NaN or infinity (first: {bad.iloc[0]})"
        )
    distinct = frame[["participant_id", "y_true"]].drop_duplicates()
    if distinct["participant_id"].duplicated().any():
        raise ResultError(f"{where}: a participant has two different labels")
    check = check_classification if task.classes else check_regression
    check(values[:, 0], values[:, 1:] if task.classes else values[:, 1], name=where)
    replica = _replica(frame, protocol)
    sizes = replica.value_counts()
    for name in sizes.index:
        check_participants(frame["participant_id"][replica == name].to_numpy(), where)
    if frame["participant_id"].nunique() * len(sizes) != len(frame):
        raise ResultError(
            f"{where}: every seed and fold model must predict the same people, got "
            f"{sizes.min()} to {sizes.max()} of {frame['participant_id'].nunique()}"
        )
    return frame.assign(replica=replica)


def _with_folds(frame: pd.DataFrame, truth: _Truth, protocol: str, where: str) -> pd.DataFrame:
    if "fold" in frame:
        return frame
    if protocol == EXTERNAL_PROTOCOL:
        known = frame[frame["participant_id"].isin(truth.folds)]
        return known.assign(fold=0) if len(known) else frame.assign(fold=0)
    if not truth.folds:
        raise ResultError(f"{where}: no method of this cell is whole, so the folds are not known")
    folds = [(p, fold) for p, several in truth.folds.items() for fold in several]
    table = pd.DataFrame(folds, columns=["participant_id", "fold"])
    return frame.merge(table, on="participant_id", how="inner", validate="one_to_many")


def _replica(frame: pd.DataFrame, protocol: str) -> pd.Series:
    """Name of the replica of each row: seed and repeat, or seed and fold model."""
    if protocol == EXTERNAL_PROTOCOL:
        part = frame["fold"]
    else:
        match = _REPEATED.fullmatch(protocol)
        part = frame["fold"] // int(match[2]) if match else frame["fold"] * 0
    return frame["seed"].astype(str) + "/" + part.astype(str)


def _entry(ledger: Ledger, frame: pd.DataFrame, ids: Array, task: Task, protocol: str) -> CellEntry:
    columns = prediction_columns(task.classes)
    own = np.unique(frame["participant_id"].to_numpy(dtype=str))
    rows = np.searchsorted(ids.astype(str), own)
    predictions, folds, seeds = [], [], []
    for _, part in frame.sort_values(["seed", "fold"]).groupby("replica", sort=False):
        ordered = part.sort_values("participant_id")
        predictions.append(ordered[columns].to_numpy(dtype=np.float64))
        external = protocol == EXTERNAL_PROTOCOL
        folds.append(np.zeros(len(own)) if external else ordered["fold"].to_numpy())
        seeds.append(int(ordered["seed"].iloc[0]))
    stacked = np.stack(predictions)
    n_folds = int(frame.groupby("seed")["fold"].nunique().max())
    values = stacked if task.classes else stacked[..., 0]
    return CellEntry(ledger, rows, values, np.stack(folds), np.array(seeds), n_folds)


def _strata(ids: Array, y_true: Array, truth: _Truth, task: Task, protocol: str) -> Array:
    folds = np.zeros(len(ids))
    if protocol != EXTERNAL_PROTOCOL and not _REPEATED.fullmatch(protocol):
        folds = np.array([truth.folds[i][0] for i in ids], dtype=np.float64)
    classes = y_true if task.classes else np.zeros(len(ids))
    return strata_codes(folds, classes) if len(ids) else folds


def anonymous_index(participant_ids: Array, cell: tuple[str, str, str]) -> Array:
    """A number per person whose order says nothing about the id."""
    index: Array = seeded_generator("anonymous", *cell).permutation(len(participant_ids))
    return index
