"""What a score loses elsewhere: on an external cohort, and on sites left out of training."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.metrics import METRICS
from benchmark.results.ledger import Ledger, RowKey
from benchmark.results.robustness.subject import Subject, percentile_interval
from benchmark.results.schema import EXTERNAL_PROTOCOL, LEAVE_SITE_OUT
from benchmark.stats import Candidate, Interval, draw_resamples
from benchmark.tasks import Task

__all__ = ["Kept", "external_drops", "is_dealt", "left_out_drops"]

Array = NDArray[Any]
Lines = list[dict[str, Any]]
_DEALT = re.compile(r"(?:\d+x)?\d+fold")


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a cell so that its rows can be compared with those of others.

    Attributes:
        ledger: Where the row comes from.
        task: Its task.
        candidate: Its primary metric with replicates, as scoring stored it.
        interval: The interval of the primary metric, as scoring stored it.
        subject: The row with its predictions; None where its lines are kept from before.
    """

    ledger: Ledger
    task: Task
    candidate: Candidate
    interval: Interval
    subject: Subject | None

    @property
    def key(self) -> RowKey:
        """The row's key."""
        return self.ledger.key

    @property
    def score(self) -> float:
        """Its primary metric."""
        return self.candidate.own.score

    @property
    def n(self) -> int:
        """Number of its people."""
        return self.candidate.own.n

    @property
    def fit(self) -> tuple[str, ...]:
        """What two rows of one method must share to be compared: all but cohort and protocol."""
        return self.key.task, self.key.track, self.key.method, self.key.derived_from

    @property
    def head(self) -> dict[str, Any]:
        """The leading columns of its lines."""
        return {**asdict(self.key), "metric": self.task.primary_metric}


def is_dealt(protocol: str) -> bool:
    """Whether a protocol deals everybody of a cohort into test folds."""
    return bool(_DEALT.fullmatch(protocol))


def external_drops(rows: Sequence[Kept]) -> list[dict[str, Any]]:
    """Lines of ``external_drop``: in-domain minus external, positive = worse outside.

    The people of the two cohorts are different, so the two bootstraps are independent: the interval
    is that of the difference of their replicates.
    """
    inside = {(x.key.cohort, *x.fit): x for x in rows if is_dealt(x.key.protocol)}
    lines = []
    for row in rows:
        key, trail = row.key, row.ledger.trail
        if key.protocol != EXTERNAL_PROTOCOL or trail is None:
            continue
        sign = 1.0 if METRICS[row.task.primary_metric].higher_is_better else -1.0
        for cohort in trail.sources:
            source = inside.get((cohort, *row.fit))
            if source is None:
                continue
            interval = percentile_interval(
                sign * (source.candidate.own.replicates - row.candidate.own.replicates)
            )
            lines.append(
                {
                    **source.head,
                    "external_cohort": key.cohort,
                    "in_domain": source.score,
                    "external": row.score,
                    "drop": sign * (source.score - row.score),
                    "drop_low": interval.low,
                    "drop_high": interval.high,
                    "n_in_domain": source.n,
                    "n_external": row.n,
                }
            )
    return lines


def left_out_drops(
    rows: Sequence[Kept], *, n_resamples: int = 2000, seed: int = 0
) -> tuple[Lines, Lines]:
    """Lines of ``leave_site_out`` and of ``left_out_sites``.

    Score with all sites in training minus score on sites left out, over all sites and on each. Both
    are on the people that both predicted; these are resampled within classes, once for both. A pair
    without predictions gives no line: it is kept from before.
    """
    left = {(x.key.cohort, *x.fit): x for x in rows if x.key.protocol == LEAVE_SITE_OUT}
    drops: Lines = []
    sites: Lines = []
    for row in rows:
        other = left.get((row.key.cohort, *row.fit))
        if other is None or not is_dealt(row.key.protocol):
            continue
        if row.subject is None or other.subject is None:
            continue
        pair = _Pair.of(row.subject, other.subject, n_resamples, seed)
        if pair is not None:
            drops.append(pair.line())
            sites += pair.site_lines()
    return drops, sites


@dataclass(frozen=True, slots=True)
class _Pair:
    """One row fitted with all sites and with sites left out, on the people of both.

    Attributes:
        ours: With all sites.
        theirs: With sites left out.
        places: Row numbers of their common people in the cell of each.
        weights: Bootstrap weights of these people, shape (n, B).
    """

    ours: Subject
    theirs: Subject
    places: tuple[Array, Array]
    weights: Array

    @classmethod
    def of(cls, ours: Subject, theirs: Subject, n_resamples: int, seed: int) -> _Pair | None:
        ids = np.intersect1d(_ids(ours), _ids(theirs))
        if not len(ids):
            return None
        places = (_rows(ours, ids), _rows(theirs, ids))
        strata = ours.y_true[places[0]] if ours.task.classes else np.zeros(len(ids))
        weights = draw_resamples(ids, strata, n_resamples=n_resamples, seed=seed).T
        return cls(ours, theirs, places, np.ascontiguousarray(weights))

    def line(self) -> dict[str, Any]:
        everybody = np.arange(len(self.weights))
        return {**self.ours.head, **self._compared(everybody), "n": len(everybody)}

    def site_lines(self) -> Lines:
        inside = np.searchsorted(self.theirs.rows, self.places[1])
        folds = self.theirs.entry.folds[0][inside]
        return [self._site_line(f"{fold:g}", np.flatnonzero(folds == fold)) for fold in set(folds)]

    def _site_line(self, fold: str, chosen: Array) -> dict[str, Any]:
        mine, other = (rows[chosen] for rows in self.places)
        line = {
            **self.ours.head,
            "site": self._site(other) or f"fold {fold}",
            "n": len(chosen),
            "n_smallest_class": self.ours.smallest_class(mine),
        }
        refused = self.ours.too_few(mine)
        if refused:
            return line | {"status": "suppressed", "note": refused}
        compared = self._compared(chosen)
        if not math.isfinite(compared["drop"]):
            note = "the metric has no value on these people"
            return line | {"status": "undefined", "note": note}
        found = self.theirs.view(other).score(self.theirs.metric, self.theirs.weights(other))
        span = {"left_out_low": found.interval.low, "left_out_high": found.interval.high}
        return line | compared | span | {"status": "done", "note": ""}

    def _site(self, rows: Array) -> str:
        """The site of most of some people; empty where it is not known."""
        if v.SITE_ID not in self.theirs.people:
            return ""
        names = self.theirs.people[v.SITE_ID].iloc[rows].dropna().astype(str)
        return str(names.mode().iloc[0]) if len(names) else ""

    def _compared(self, chosen: Array) -> dict[str, Any]:
        subjects = (self.ours, self.theirs)
        views = [s.view(rows[chosen]) for s, rows in zip(subjects, self.places, strict=True)]
        metric, sign = self.ours.metric, self.ours.sign
        scores = [float(view.plain(metric).mean()) for view in views]
        weights = np.ascontiguousarray(self.weights[chosen])
        replicates = [view.resampled(metric, weights) for view in views]
        interval = percentile_interval(sign * (replicates[0] - replicates[1]))
        return {
            "in_domain": scores[0],
            "left_out": scores[1],
            "drop": sign * (scores[0] - scores[1]),
            "drop_low": interval.low,
            "drop_high": interval.high,
        }


def _ids(subject: Subject) -> Array:
    ids: Array = subject.cell.participant_ids[subject.rows].astype(str)
    return ids


def _rows(subject: Subject, ids: Array) -> Array:
    """Row numbers in the cell of some ids, ascending."""
    rows: Array = np.searchsorted(subject.cell.participant_ids.astype(str), ids)
    return rows
