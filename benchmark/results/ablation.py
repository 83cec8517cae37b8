"""From the ledgers of a claim's arms to differences with intervals, and a verdict."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import vocabulary as v
from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.results.cell import build_cell
from benchmark.results.ledger import Ledger
from benchmark.results.score_cell import ScoredEntry, score_cell
from benchmark.stats import draw_resamples, paired_gain
from benchmark.stats.candidate import widened_by_seeds
from benchmark.tasks import Task

__all__ = [
    "VERDICTS",
    "ablation_table",
    "confidence_lines",
    "contrast_line",
    "order_lines",
    "transfer_line",
    "unjudged_line",
    "verdict",
]

Array = NDArray[Any]
SHOWN: Final = "shown"
NOT_SHOWN: Final = "not shown"
REVERSED: Final = "reversed"
NOT_JUDGED: Final = "not judged"
CONTRAST: Final = "contrast"  # the kind of a line that is a difference of two gains
VERDICTS: Final = (SHOWN, NOT_SHOWN, REVERSED, NOT_JUDGED)
_THIRDS: Final = ("least confident third", "middle third", "most confident third")


def verdict(low: float, high: float) -> str:
    """What an interval of a claimed gain says; without one nothing is judged.

    >>> verdict(0.01, 0.05), verdict(-0.02, 0.05), verdict(-0.05, -0.01)
    ('shown', 'not shown', 'reversed')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOT_JUDGED
    if low > 0:
        return SHOWN
    return REVERSED if high < 0 else NOT_SHOWN


def order_lines(
    ledgers: Mapping[str, Ledger],
    task: Task,
    *,
    to_first: bool = False,
    n_resamples: int = 2000,
) -> list[dict[str, Any]]:
    """Differences between successive arms, and between the last and the first where there are more.

    Args:
        ledgers: By arm, in the claimed order, lowest first; each method's key is its arm.
        task: The task.
        to_first: Instead between each arm and the first, where the others have no order.
        n_resamples: Bootstrap resamples of participants, shared by all arms.

    Returns:
        Lines of ``lower higher score_lower score_higher difference low high n n_lower n_higher``:
        positive where the claim holds. The seeds' spread is part of the interval. ``n_lower`` and
        ``n_higher`` are the people behind each side, here those that both arms predicted.

    Raises:
        ResultError: An arm cannot be scored.
    """
    scored = _scored(ledgers, task, n_resamples)
    names = list(ledgers)
    pairs = list(itertools.pairwise(names))
    if to_first:
        pairs = [(names[0], name) for name in names[1:]]
    elif len(names) > 2:
        pairs.append((names[0], names[-1]))
    better = METRICS[task.primary_metric].higher_is_better
    lines = []
    for lower, higher in pairs:
        ours, theirs = scored[higher].candidate, scored[lower].candidate
        gain, low, high = paired_gain(ours, theirs, higher_is_better=better)
        on_both = ours.against(theirs)
        lines.append(
            {
                "lower": lower,
                "higher": higher,
                "score_lower": theirs.against(ours).score,
                "score_higher": on_both.score,
                "difference": gain,
                "low": low,
                "high": high,
                "n": on_both.n,
                "n_lower": on_both.n,
                "n_higher": on_both.n,
            }
        )
    return lines


def transfer_line(
    home: Ledger, away: Ledger, task: Task, *, n_resamples: int = 2000
) -> dict[str, Any]:
    """The score at home minus that on an external cohort; the two bootstraps are independent.

    So are the seeds' parts, although the same models predict both: where their scores rise and fall
    together the interval is rather too wide.
    """
    (inside,) = _scored({home.key.method: home}, task, n_resamples).values()
    (outside,) = _scored({away.key.method: away}, task, n_resamples).values()
    sign = 1.0 if METRICS[task.primary_metric].higher_is_better else -1.0
    ours, theirs = inside.candidate, outside.candidate
    replicates = sign * (ours.own.replicates - theirs.own.replicates)
    seeds = [ours.seed_part, theirs.seed_part]
    low, high = _limits(widened_by_seeds(replicates, seeds, home.key.cohort, away.key.cohort))
    return {
        "lower": away.key.cohort,
        "higher": home.key.cohort,
        "score_lower": theirs.own.score,
        "score_higher": ours.own.score,
        "difference": sign * (ours.own.score - theirs.own.score),
        "low": low,
        "high": high,
        "n": ours.own.n + theirs.own.n,
        "n_lower": theirs.own.n,
        "n_higher": ours.own.n,
    }


def contrast_line(
    ledgers: Mapping[str, Mapping[str, Ledger]],
    tasks: tuple[Task, Task],
    *,
    n_resamples: int = 2000,
) -> dict[str, Any]:
    """The gain of the last arm over the first on one task minus that on another.

    The bootstraps of the two tasks are independent. Where they share people (CN in ``mci_cn`` and
    ``ad_cn``) the gains rise and fall together, so the interval is rather too wide.

    Args:
        ledgers: By task, then by arm, lowest first.
        tasks: The task whose gain is claimed to be larger, and the other one.
        n_resamples: Bootstrap resamples of participants.

    Raises:
        ResultError: The tasks have different metrics, or an arm cannot be scored.
    """
    if len({task.primary_metric for task in tasks}) > 1:
        raise ResultError(f"gains on {' and '.join(t.name for t in tasks)} have different metrics")
    sign = 1.0 if METRICS[tasks[0].primary_metric].higher_is_better else -1.0
    gains, replicates, sizes = [], [], []
    seeds: list[tuple[float, int]] = []
    people: set[str] = set()
    for task in tasks:
        scored = _scored(ledgers[task.name], task, n_resamples)
        first, last = (scored[list(ledgers[task.name])[k]].candidate for k in (0, -1))
        ours, theirs = last.against(first), first.against(last)
        gains.append(sign * (ours.score - theirs.score))
        replicates.append(sign * (ours.replicates - theirs.replicates))
        sizes.append(ours.n)
        seeds += [first.seed_part, last.seed_part]
        people |= {
            str(who) for one in ledgers[task.name].values() for who in one.frame[v.PARTICIPANT_ID]
        }
    more, less = (f"gain on {task.name}" for task in tasks)
    low, high = _limits(widened_by_seeds(replicates[0] - replicates[1], seeds, more, less))
    return {
        "kind": CONTRAST,
        "lower": less,
        "higher": more,
        "score_lower": gains[1],
        "score_higher": gains[0],
        "difference": gains[0] - gains[1],
        "low": low,
        "high": high,
        "n": len(people),
        "n_lower": sizes[1],
        "n_higher": sizes[0],
    }


def confidence_lines(
    ledger: Ledger, task: Task, *, n_resamples: int = 2000
) -> list[dict[str, Any]]:
    """Accuracy by thirds of confidence: middle over least, most over middle, most over least.

    Confidence is the largest class probability, ranked within each fold. Means over seeds; from
    three seeds on their spread is part of the interval.

    Raises:
        ResultError: The task has no classes, or the ledger cannot be scored.
    """
    if not task.classes:
        raise ResultError(f"confidence needs classes; {task.name!r} is a {task.kind}")
    cell = build_cell([ledger], task, ledger.key.protocol)
    if cell.gaps:
        raise ResultError(cell.gaps[0].error)
    (entry,) = cell.entries
    weights = draw_resamples(cell.participant_ids, cell.strata, n_resamples=n_resamples)
    weights = np.vstack([np.ones(weights.shape[1]), weights]).astype(np.float64)[:, entry.rows]
    shares = np.zeros((len(entry.predictions), len(_THIRDS), len(weights)))
    for replica, folds, share in zip(entry.predictions, entry.folds, shares, strict=True):
        right = (replica.argmax(axis=1) == cell.y_true[entry.rows]).astype(np.float64)
        third = _thirds(replica.max(axis=1), folds)
        for k in range(len(_THIRDS)):
            mine = weights[:, third == k]
            total = mine.sum(axis=1)  # 0 where a resample leaves the third out
            hits = mine @ right[third == k]
            np.divide(hits, total, out=share[k], where=total > 0)
            share[k][total == 0] = np.nan
    means = shares.mean(axis=0)
    sizes = np.bincount(third, minlength=len(_THIRDS)).tolist()  # the same in every replica
    lines = []
    for lower, higher in ((0, 1), (1, 2), (0, 2)):
        by_seed = shares[:, higher] - shares[:, lower]
        difference = by_seed.mean(axis=0)
        n_seeds = len(by_seed)
        variance = float(by_seed[:, 0].var(ddof=1)) / n_seeds if n_seeds >= 3 else 0.0
        names = (_THIRDS[lower], _THIRDS[higher])
        low, high = _limits(widened_by_seeds(difference[1:], [(variance, n_seeds - 1)], *names))
        lines.append(
            {
                "lower": _THIRDS[lower],
                "higher": _THIRDS[higher],
                "score_lower": means[lower, 0],
                "score_higher": means[higher, 0],
                "difference": difference[0],
                "low": low,
                "high": high,
                "n": len(entry.rows),
                "n_lower": sizes[lower],
                "n_higher": sizes[higher],
            }
        )
    return lines


def _thirds(confidence: Array, folds: Array) -> Array:
    """0, 1 or 2 for each person: the third of the fold's people, least confident first."""
    third = np.zeros(len(confidence), dtype=np.int64)
    for fold in np.unique(folds):
        members = np.flatnonzero(folds == fold)
        order = members[np.argsort(confidence[members], kind="stable")]
        third[order] = np.arange(len(order)) * len(_THIRDS) // len(order)
    return third


def _limits(replicates: Array) -> tuple[float, float]:
    finite = replicates[np.isfinite(replicates)]
    if len(finite) < 0.95 * len(replicates):
        return math.nan, math.nan
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def _scored(ledgers: Mapping[str, Ledger], task: Task, n_resamples: int) -> dict[str, ScoredEntry]:
    protocol = next(iter(ledgers.values())).key.protocol
    cell = build_cell(list(ledgers.values()), task, protocol)
    if cell.gaps:
        raise ResultError("; ".join(f"{gap.key.method}: {gap.error}" for gap in cell.gaps))
    scored = score_cell(cell, task, n_resamples=n_resamples)
    by_name = {entry.key.method: entry for entry in scored.entries}
    return {name: by_name[ledger.key.method] for name, ledger in ledgers.items()}


def unjudged_line(note: str) -> dict[str, Any]:
    """The line of a claim or task that cannot be judged, and why."""
    numbers = ("score_lower", "score_higher", "difference", "low", "high")
    line: dict[str, Any] = {"lower": "", "higher": "", **dict.fromkeys(numbers, math.nan)}
    return line | {"n": 0, "n_lower": 0, "n_higher": 0, "note": note}


def ablation_table(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The lines of all claims as one table, each with its verdict and why there is none."""
    table = [{"note": "", **line, "verdict": verdict(line["low"], line["high"])} for line in lines]
    for line in table:
        if line["verdict"] == NOT_JUDGED and not line["note"]:
            line["note"] = "undefined in more than 5 % of resamples"
    return pd.DataFrame(table)
