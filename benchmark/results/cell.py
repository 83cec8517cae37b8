"""Lines the ledgers of one cell up on the same people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.metrics import check_participants
from benchmark.metrics.validation import check_classification, check_regression
from benchmark.results.agreement import disputed, folds_of, labels_of
from benchmark.results.ledger import Gap, Ledger, first_line, prediction_columns, require_columns
from benchmark.results.schema import EXTERNAL_PROTOCOL
from benchmark.stats import seeded_generator, strata_codes
from benchmark.tasks import Task

__all__ = ["REPEATED", "Cell", "CellEntry", "anonymous_index", "build_cell"]

Array = NDArray[Any]
REPEATED: Final = re.compile(r"(\d+)x(\d+)fold")


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


def build_cell(ledgers: Sequence[Ledger], task: Task, protocol: str) -> Cell:
    """Aligns the ledgers of one cell; one that is not valid becomes a gap.

    So does one that states another label or fold of a person than more than half of those that
    predicted the person; where there is no such majority all of them do (``agreement``).

    Args:
        ledgers: Same cohort, task and protocol; those with folds come first in any case.
        task: The task.
        protocol: The protocol, which tells repeats of folds apart.
    """
    builder = _Builder(task, protocol)
    for ledger in sorted(ledgers, key=lambda x: (not x.has_folds, x.key)):
        builder.add(ledger.read())
    builder.drop(disputed(builder.labels, "label"))
    builder.clean(with_folds=True)
    if protocol != EXTERNAL_PROTOCOL:  # folds are then models: an oracle is one, a method several
        builder.drop(disputed(builder.folds, "fold"))
    builder.clean(with_folds=False)
    return builder.cell()


@dataclass(slots=True)
class _Builder:
    """The ledgers of a cell on their way.

    Attributes:
        task: The task.
        protocol: The protocol.
        given: By candidate, ledgers that may still enter, with text as ids.
        ready: Those that are clean.
        labels: What each that was given states of each person.
        folds: What each that is ready states.
        gaps: Why the others are refused.
    """

    task: Task
    protocol: str
    given: dict[str, tuple[Ledger, pd.DataFrame]] = field(default_factory=dict)
    ready: dict[str, tuple[Ledger, pd.DataFrame]] = field(default_factory=dict)
    labels: dict[str, dict[str, float]] = field(default_factory=dict)
    folds: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def add(self, ledger: Ledger) -> None:
        """Takes a ledger with text as ids and one label per person."""
        try:
            plain = _plain(ledger, self.task)
        except ResultError as error:
            self._refuse(ledger, first_line(error))
        else:
            self.given[ledger.key.candidate] = ledger, plain
            self.labels[ledger.key.candidate] = labels_of(plain)

    def drop(self, reasons: Mapping[str, str]) -> None:
        """Refuses some ledgers."""
        for name, why in reasons.items():
            ledger = self.given[name][0]
            self._refuse(ledger, f"{_where(ledger)}: {why}")
            self.given.pop(name)
            self.ready.pop(name, None)
            self.folds.pop(name, None)

    def clean(self, *, with_folds: bool) -> None:
        """Makes the ledgers that have folds ready, or those that take them from the others."""
        folds = {} if with_folds else _united(self.folds)
        for name, (ledger, plain) in list(self.given.items()):
            if ("fold" in plain) != with_folds:
                continue
            try:
                frame = _clean(ledger, plain, self.task, self.protocol, folds)
            except ResultError as error:
                self._refuse(ledger, first_line(error))
                self.given.pop(name)
            else:
                self.ready[name] = ledger, frame
                self.folds[name] = folds_of(frame)

    def cell(self) -> Cell:
        """The cell of the ledgers that are ready."""
        folds = _united(self.folds)
        labels = _united({name: self.labels[name] for name in self.ready})
        ids = np.array(sorted(folds), dtype=object)
        y_true = np.array([labels[i] for i in ids], dtype=np.float64)
        strata = _strata(ids, y_true, folds, self.task, self.protocol)
        entries = [_entry(*row, ids, self.task, self.protocol) for row in self.ready.values()]
        return Cell(ids, y_true, strata, tuple(entries), tuple(self.gaps))

    def _refuse(self, ledger: Ledger, why: str) -> None:
        self.gaps.append(Gap(ledger.key, "failed", why, ledger.facts))


def _united(stated: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What all ledgers state of each person, where they agree."""
    return {person: value for values in stated.values() for person, value in values.items()}


def _where(ledger: Ledger) -> str:
    return f"{ledger.key.method} on {ledger.key.cohort} / {ledger.key.task}"


def _plain(ledger: Ledger, task: Task) -> pd.DataFrame:
    where, columns = _where(ledger), prediction_columns(task.classes)
    require_columns(ledger.frame, [v.PARTICIPANT_ID, "y_true", *columns], where)
    frame = ledger.frame.assign(
        participant_id=ledger.frame[v.PARTICIPANT_ID].astype(str),
        seed=ledger.frame.get("seed", 0),
        y_true=ledger.frame["y_true"].astype(np.float64),
    )
    distinct = frame[["participant_id", "y_true"]].dropna().drop_duplicates()
    if distinct["participant_id"].duplicated().any():
        raise ResultError(f"{where}: a participant has two different labels")
    return frame


def _clean(
    ledger: Ledger,
    plain: pd.DataFrame,
    task: Task,
    protocol: str,
    known: Mapping[str, tuple[int, ...]],
) -> pd.DataFrame:
    where, columns = _where(ledger), prediction_columns(task.classes)
    frame = _with_folds(plain, known, protocol, where)
    values = frame[["y_true", *columns]].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        bad = frame["participant_id"][~np.isfinite(values).all(axis=1)]
        raise ResultError(
            f"{where}: labels and predictions must be finite; {bad.nunique()} participants have "
            f"NaN or infinity (first: {bad.iloc[0]})"
        )
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


def _with_folds(
    frame: pd.DataFrame, known: Mapping[str, tuple[int, ...]], protocol: str, where: str
) -> pd.DataFrame:
    if "fold" in frame:
        return frame
    if protocol == EXTERNAL_PROTOCOL:
        shared = frame[frame["participant_id"].isin(known)]
        return shared.assign(fold=0) if len(shared) else frame.assign(fold=0)
    if not known:
        raise ResultError(f"{where}: no method of this cell is whole, so the folds are not known")
    folds = [(p, fold) for p, several in known.items() for fold in several]
    table = pd.DataFrame(folds, columns=["participant_id", "fold"])
    return frame.merge(table, on="participant_id", how="inner", validate="one_to_many")


def _replica(frame: pd.DataFrame, protocol: str) -> pd.Series:
    """Name of the replica of each row: seed and repeat, or seed and fold model."""
    if protocol == EXTERNAL_PROTOCOL:
        part = frame["fold"]
    else:
        match = REPEATED.fullmatch(protocol)
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


def _strata(
    ids: Array, y_true: Array, known: Mapping[str, tuple[int, ...]], task: Task, protocol: str
) -> Array:
    folds = np.zeros(len(ids))
    if protocol != EXTERNAL_PROTOCOL and not REPEATED.fullmatch(protocol):
        folds = np.array([known[i][0] for i in ids], dtype=np.float64)
    classes = y_true if task.classes else np.zeros(len(ids))
    return strata_codes(folds, classes) if len(ids) else folds


def anonymous_index(participant_ids: Array, cell: tuple[str, str, str]) -> Array:
    """A number per person whose order says nothing about the id."""
    index: Array = seeded_generator("anonymous", *cell).permutation(len(participant_ids))
    return index
