"""What training contributes: the spread between seeds, and the curve over few labels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmark.results.robustness.subject import Subject
from benchmark.results.robustness.transfer import Kept

__all__ = ["FEW_LABEL", "few_label_curve", "seed_variance_line"]

FEW_LABEL: Final = re.compile(r"few-label-(\d+)")
_FULL: Final = "3fold"  # the protocol whose test folds the few-label points share
_LEAST_SEEDS: Final = 3


def seed_variance_line(subject: Subject) -> dict[str, Any]:
    """The line of ``seed_variance`` for one row.

    ``seed_sd``: standard deviation of the score between seeds, for one training. ``sample_sd``:
    that between samples of people, given the fitted models. ``seed_share``: the seeds' part of the
    sum of both variances.
    """
    own, seeds = subject.candidate, subject.candidate.seeds
    replicates = own.own.replicates[np.isfinite(own.own.replicates)]
    sample = float(replicates.std(ddof=1)) if len(replicates) > 1 else math.nan
    line = {**subject.head, "seeds": seeds, "sample_sd": sample}
    if seeds < _LEAST_SEEDS:
        note = f"{seeds} of {_LEAST_SEEDS} seeds: training randomness is not known"
        return line | {"status": "undefined", "note": note}
    total = own.seed_sd**2 + sample**2
    share = own.seed_sd**2 / total if total > 0 else math.nan
    return line | {"seed_sd": own.seed_sd, "seed_share": share, "status": "done", "note": ""}


def few_label_curve(
    rows: Sequence[Kept], omitted: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Lines of ``few_label``: the score at each share of the training labels.

    A point is a row of protocol ``few-label-<percent>``. Where a method has one, its row of
    protocol ``3fold``, which has the same test folds, is the point at 100 %.

    Args:
        rows: All scored rows.
        omitted: By cohort, the points that its split left out (``omitted`` of the manifest of
            ``few-label``): fewer than 2 people of a class.
    """
    curves = {(x.key.cohort, *x.fit) for x in rows if _percent(x) not in (None, 100)}
    lines = [
        _point(row, percent)
        for row in rows
        if (percent := _percent(row)) is not None and (row.key.cohort, *row.fit) in curves
    ]
    shown = {(*_head(line), line["percent"]) for line in lines}
    for line in list(lines):
        for point in omitted.get(line["cohort"], ()):
            missing = (*_head(line), int(point["percent"]))
            if point["task"] != line["task"] or missing in shown:
                continue
            shown.add(missing)
            note = f"fold {point['fold']} has {point['people']} people of class {point['class']}"
            keys = ("cohort", "task", "track", "protocol", "method", "derived_from", "metric")
            kept = {name: line[name] for name in keys}
            said = {"percent": int(point["percent"]), "status": "omitted", "note": note}
            lines.append(kept | {"protocol": f"few-label-{point['percent']}"} | said)
    return lines


def _percent(row: Kept) -> int | None:
    protocol = row.key.protocol
    match = FEW_LABEL.fullmatch(protocol)
    if match:
        return int(match[1])
    return 100 if protocol == _FULL else None


def _head(line: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(line[k] for k in ("cohort", "task", "track", "method", "derived_from"))


def _point(row: Kept, percent: int) -> dict[str, Any]:
    return {
        **row.head,
        "percent": percent,
        "score": row.score,
        "ci_low": row.interval.low,
        "ci_high": row.interval.high,
        "n": row.n,
        "status": "done" if math.isfinite(row.score) else "undefined",
        "note": "",
    }
