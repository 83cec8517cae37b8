"""The score with modalities missing: for everybody, complete cases, and those left with some.

A method is asked again with modalities hidden from the test people; nothing is fitted anew. Each
set of people keeps its weights of the cell's shared resamples, so the interval of a drop is paired.
Without complete cases beside it, a small drop may only say that few people had what was hidden.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.results.cell import CellEntry, build_cell
from benchmark.results.ledger import first_line
from benchmark.results.missing_answers import N_SHOWN, SHOWN
from benchmark.results.robustness.subject import Subject, percentile_interval
from benchmark.results.view import EntryView, MetricScore, entry_view

__all__ = ["COMPLETE", "EVERYBODY", "FULL", "SOME", "complete_cases", "missing_lines"]

Array = NDArray[Any]
Lines = list[dict[str, Any]]

FULL: Final = "full"
EVERYBODY: Final = "everybody"
COMPLETE: Final = "complete"
SOME: Final = "some"
_DROP: Final = re.compile(r"drop-(\d+)")


def missing_lines(subject: Subject) -> Lines:
    """Lines of ``missing_modalities`` for one row; none where there could be no answers.

    The full set is the row's own ledger.
    """
    ledger = subject.entry.ledger
    if ledger.missing is None:
        return [_gap(subject, ledger.missing_note)] if ledger.missing_note else []
    answers = ledger.missing.assign(
        **{v.PARTICIPANT_ID: ledger.missing[v.PARTICIPANT_ID].astype(str)}
    )
    counts = answers.pivot_table(
        index=v.PARTICIPANT_ID, columns=SHOWN, values=N_SHOWN, aggfunc="max"
    )
    own = pd.Index(subject.cell.participant_ids[subject.rows].astype(str))
    counts = counts.reindex(own).fillna(0)
    sets = _Sets(subject, complete_cases(counts))
    names = sorted(str(name) for name in counts.columns)
    modalities = {m for name in names if not _DROP.fullmatch(name) for m in name.split("+")}
    n_modalities = len(modalities) if sets.complete is not None else None
    head = {"shown": FULL, "n_modalities": n_modalities, "percent": 0}
    left = counts.to_numpy().max(axis=1) >= 1  # what hides nothing leaves no less than any other
    lines = sets.lines(head, subject.entry, left)
    for name in names:
        drop = _DROP.fullmatch(name)
        head = {
            "shown": name,
            "n_modalities": None if drop else len(name.split("+")),
            "percent": int(drop[1]) if drop else None,
        }
        try:
            entry = _entry(subject, answers.loc[answers[SHOWN] == name])
        except ResultError as error:  # the other sets of modalities do not need this one
            said = {"status": "undefined", "note": first_line(error)}
            lines.append({**subject.head, **head, "people": EVERYBODY, **said})
            continue
        lines += sets.lines(head, entry, counts[name].to_numpy() >= 1)
    return lines


def complete_cases(counts: pd.DataFrame) -> Array | None:
    """Who has every modality that the answers name.

    Somebody has all modalities of a set where as many of theirs were left as the set names. Each
    modality stands in a set that holds it and what the method requires alone.

    Args:
        counts: How many of a person's modalities were left, a line per person and a column per
            ``shown``.

    Returns:
        Shape (N,), bool; None where there is one set only, which is what the method requires: then
        the modality that was hidden has no name, and who has it cannot be told.

    >>> counts = pd.DataFrame({"report": [1, 0], "t1w": [1, 1], "drop-50": [2, 1]})
    >>> complete_cases(counts).tolist()
    [True, False]
    """
    sets = {str(name): str(name).split("+") for name in counts if not _DROP.fullmatch(str(name))}
    if len(sets) < 2:
        return None
    complete = np.ones(len(counts), dtype=bool)
    for modality in {m for kept in sets.values() for m in kept}:
        having = [counts[name] == len(kept) for name, kept in sets.items() if modality in kept]
        complete &= np.any(having, axis=0)
    return complete


def _gap(subject: Subject, note: str) -> dict[str, Any]:
    return {**subject.head, "shown": "", "people": "", "status": "missing", "note": note}


def _entry(subject: Subject, frame: pd.DataFrame) -> CellEntry:
    """Answers as predictions of the row's people, in the order of the row.

    Raises:
        ResultError: They are not valid, or of other people, labels, folds or seeds.
    """
    own = subject.entry
    ledger = replace(own.ledger, frame=frame, validation=None, missing=None)
    cell = build_cell([ledger], subject.task, subject.key.protocol)
    if cell.gaps:
        raise ResultError(cell.gaps[0].error)
    found = cell.entries[0]
    ids = subject.cell.participant_ids[own.rows].astype(str)
    if not np.array_equal(cell.participant_ids.astype(str), ids):
        n = len(np.intersect1d(cell.participant_ids.astype(str), ids))
        raise ResultError(f"asked of {n} of {len(ids)} people: not in every fold")
    pairs = (
        (cell.y_true, subject.y_true[own.rows]),
        (found.folds, own.folds),
        (found.seeds, own.seeds),
    )
    if not all(np.array_equal(a, b) for a, b in pairs):
        raise ResultError("labels, folds or seeds are not those of the predictions")
    return replace(found, rows=own.rows)


@dataclass(slots=True)
class _Sets:
    """Scores of sets of people, of which those that are the same are scored once.

    Attributes:
        subject: The row.
        complete: Which of its people are complete cases; None where that is not known.
    """

    subject: Subject
    complete: Array | None
    _full: dict[bytes, tuple[float, Array]] = field(default_factory=dict)

    def lines(self, head: dict[str, Any], entry: CellEntry, left: Array) -> Lines:
        """One line per set of people.

        Args:
            head: The columns that say what was shown.
            entry: The answers.
            left: Whom one or more modalities are left, shape (n,).
        """
        done: dict[bytes, dict[str, Any]] = {}
        lines = []
        for people, inside in ((EVERYBODY, None), (COMPLETE, self.complete), (SOME, left)):
            line = {**self.subject.head, **head, "people": people, "n_everybody": len(entry.rows)}
            if people == COMPLETE and inside is None:
                note = "who has every modality cannot be told from the answers"
                lines.append(line | {"status": "undefined", "note": note})
                continue
            rows = entry.rows if inside is None else entry.rows[inside]
            if rows.tobytes() not in done:
                done[rows.tobytes()] = self._scored(entry, rows)
            lines.append(line | done[rows.tobytes()])
        return lines

    def _scored(self, entry: CellEntry, rows: Array) -> dict[str, Any]:
        subject = self.subject
        line = {"n": len(rows), "n_smallest_class": subject.smallest_class(rows)}
        refused = subject.too_few(rows)
        if refused:
            return line | {"status": "suppressed", "note": refused}
        if entry is subject.entry and len(rows) == len(subject.rows):
            score, interval = subject.own.score, subject.interval
            drop: dict[str, float] = {}
        else:
            view = entry_view(subject.cell, entry, rows)
            replicates = view.resampled(subject.metric, subject.weights(rows))
            found = self._score(view, rows, replicates)
            score, interval = found.score, found.interval
            drop = {} if entry is subject.entry else self._drop(rows, score, replicates)
        if not math.isfinite(score):
            return line | {"status": "undefined", "note": "the metric has no value on these people"}
        span = {"ci_low": interval.low, "ci_high": interval.high, "ci_method": interval.method}
        return line | {"score": score, **span, **drop, "status": "done", "note": ""}

    def _score(self, view: EntryView, rows: Array, replicates: Array) -> MetricScore:
        return view.score(self.subject.metric, self.subject.weights(rows), replicates)

    def _drop(self, rows: Array, score: float, replicates: Array) -> dict[str, float]:
        whole, resampled = self._of_full_set(rows)
        interval = percentile_interval(self.subject.sign * (resampled - replicates))
        return {
            "drop": self.subject.sign * (whole - score),
            "drop_low": interval.low,
            "drop_high": interval.high,
        }

    def _of_full_set(self, rows: Array) -> tuple[float, Array]:
        """Score and replicates of some people with everything they have."""
        subject = self.subject
        if len(rows) == len(subject.rows):
            return subject.own.score, subject.own.replicates
        if rows.tobytes() not in self._full:
            plain = subject.view(rows).plain(subject.metric)
            self._full[rows.tobytes()] = float(plain.mean()), subject.replicates(rows)
        return self._full[rows.tobytes()]
