"""One task over several cohorts: pooled differences, who wins how often, whether orders agree.

Data sets are cohorts, which hold different people. A cohort counts once: where it has folds of its
own these are taken, otherwise the answers of models fitted elsewhere. Where these were fitted on
another cohort of the pool, people differ and the models are the same ones: trainings are counted
beside cohorts.

Within a cohort rows are compared on the people that both predicted, as on the board: everything but
the table of scores is made from the gains of pairs on their common people.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS
from benchmark.results.folders import cell_file
from benchmark.results.replicates import CellCandidates, read_replicates
from benchmark.results.schema import EXTERNAL_PROTOCOL
from benchmark.stats import (
    Candidate,
    CriticalDifference,
    critical_difference,
    holm,
    pool_random_effects,
    rank_agreement,
)
from benchmark.stats.candidate import difference_with_seed_noise

__all__ = ["Across", "across_cohorts"]

Array = NDArray[Any]
_LEAST_KNOWN = 0.95  # share of resamples in which a difference must be defined
_TIE = 1e-9  # gains up to this size are none


@dataclass(frozen=True, slots=True)
class Across:
    """What several cohorts say together; rows are named ``method|track|derived_from``.

    Attributes:
        cohorts: Protocol by cohort.
        trained_on: By cohort, whose models answer: itself, the cohorts that they were fitted on, or
            ``elsewhere`` where the board does not tell.
        metric: The primary metric.
        scores: A line per cohort, a column per row; NaN where a row has no score. Each on the row's
            own people, so two of a line need not be of the same people.
        pairs: A line per pair that two cohorts or more compare: ``a b n_cohorts n_trainings
            difference low high p_holm tau i_squared new_low new_high``. Positive: a is better. With
            fewer trainings than cohorts the interval is too narrow.
        wins: Share of common cohorts in which the line is better than the column on the people
            that both predicted, a tie counting one half.
        agreement: Kendall's tau of every two orders (each cohort's, by mean gain, by mean rank) of
            the rows that all cohorts have: ``first second tau flips n_pairs``; none below two. A
            cohort's order is by the number of rows that are better on common people, as on the
            board, ties shared; the mean gain is over cohorts and other rows, on common people.
        diagram: The critical-difference diagram of these rows; None where it may not be drawn, as
            where they did not predict the same people.
        no_diagram: Why not.
    """

    cohorts: Mapping[str, str]
    trained_on: Mapping[str, str]
    metric: str
    scores: pd.DataFrame
    pairs: pd.DataFrame
    wins: pd.DataFrame
    agreement: pd.DataFrame
    diagram: CriticalDifference | None
    no_diagram: str


def across_cohorts(
    board: Path,
    task: str,
    *,
    methods: Collection[str] | None = None,
    tracks: Collection[str] | None = None,
    cohorts: Collection[str] | None = None,
) -> Across:
    """Puts the ranked rows of one task together over cohorts.

    Another choice of methods or cohorts is another family: everything is computed anew.

    Args:
        board: Board folder.
        task: The task.
        methods: Which methods; None means all.
        tracks: Which tracks; None means all.
        cohorts: Which cohorts; None means all.

    Raises:
        UnknownNameError: The board has no such task, method, track or cohort.
        ResultError: There is no board, or fewer than two cohorts or two rows.
    """
    rows = _ranked_rows(board, task, {"method": methods, "track": tracks, "cohort": cohorts})
    rows = rows.sort_values(["cohort", "protocol"], key=lambda x: x.where(x != EXTERNAL_PROTOCOL))
    protocols = dict(rows.groupby("cohort", sort=False)["protocol"].first())
    if len(protocols) < 2 or rows["key"].nunique() < 2:
        raise ResultError(
            f"{board}: {task} has {len(protocols)} cohorts and {rows['key'].nunique()} ranked rows "
            "under this choice, expected two of each or more; one cohort has its own ranks"
        )
    cells = {c: _cell(board, c, task, p, rows) for c, p in sorted(protocols.items())}
    trained_on = _trained_on(board, task, protocols)
    metric = next(iter(cells.values())).metric
    names = sorted({key for cell in cells.values() for key in cell.candidates})
    table = {c: {k: x.own.score for k, x in cell.candidates.items()} for c, cell in cells.items()}
    scores = pd.DataFrame.from_dict(table, orient="index").reindex(columns=names)
    gains = _gains(cells, names)
    whole = scores.dropna(axis=1)
    diagram, why = _diagram(cells, whole, higher_is_better=METRICS[metric].higher_is_better)
    common = np.flatnonzero(scores.notna().all())
    return Across(
        cohorts={c: str(protocols[c]) for c in cells},
        trained_on=trained_on,
        metric=metric,
        scores=scores,
        pairs=_pairs(cells, names, trained_on),
        wins=pd.DataFrame(_win_rates(gains), index=names, columns=names),
        agreement=_agreement(
            gains[:, common][:, :, common], list(cells), [names[k] for k in common]
        ),
        diagram=diagram,
        no_diagram=why,
    )


def _ranked_rows(
    board: Path, task: str, chosen: Mapping[str, Collection[str] | None]
) -> pd.DataFrame:
    path = board / "leaderboard.parquet"
    if not path.is_file():
        raise ResultError(f"{path}: there is no such file; make it with `neurodx rank`")
    rows = pd.read_parquet(path)
    if task not in set(rows["task"]):
        raise UnknownNameError("task", task, sorted(set(rows["task"])))
    rows = rows[(rows["task"] == task) & rows["position"].notna()]
    for column, names in chosen.items():
        for name in names or ():
            if name not in set(rows[column]):
                raise UnknownNameError(column, name, sorted(set(rows[column])))
    for column, names in chosen.items():
        rows = rows if names is None else rows[rows[column].isin(names)]
    return rows.assign(key=rows["method"] + "|" + rows["track"] + "|" + rows["derived_from"])


def _cell(board: Path, cohort: str, task: str, protocol: str, rows: pd.DataFrame) -> CellCandidates:
    found = read_replicates(board / "replicates" / cell_file(cohort, task, protocol))
    here = set(rows.loc[(rows["cohort"] == cohort) & (rows["protocol"] == protocol), "key"])
    kept = {key: x for key, x in found.candidates.items() if key in here}
    return CellCandidates(found.metric, found.higher_is_better, found.rates, kept)


def _trained_on(board: Path, task: str, protocols: Mapping[str, str]) -> dict[str, str]:
    """Whose models answer in each cohort, as the drops from home to external cohorts tell."""
    path = board / "external_drop.parquet"
    drops = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    homes = {}
    if len(drops):
        drops = drops[drops["task"] == task]
        homes = dict(
            drops.groupby("external_cohort")["cohort"].agg(lambda x: "+".join(sorted({*x})))
        )
    return {
        cohort: str(homes.get(cohort, "elsewhere")) if protocol == EXTERNAL_PROTOCOL else cohort
        for cohort, protocol in sorted(protocols.items())
    }


def _pairs(
    cells: Mapping[str, CellCandidates], names: Sequence[str], trained_on: Mapping[str, str]
) -> pd.DataFrame:
    lines = []
    for a, b in combinations(names, 2):
        both = {n: c for n, c in cells.items() if a in c.candidates and b in c.candidates}
        found = {n: _difference(c, c.candidates[a], c.candidates[b]) for n, c in both.items()}
        known = [x for x in found.values() if x]
        if len(known) < 2:
            continue
        pooled = pool_random_effects(*np.array(known).T)
        lines.append(
            {
                "a": a,
                "b": b,
                "n_cohorts": pooled.n_cohorts,
                "n_trainings": len({trained_on[n] for n, x in found.items() if x}),
                "difference": pooled.difference,
                "low": pooled.low,
                "high": pooled.high,
                "p_holm": pooled.p_value,
                "tau": pooled.tau,
                "i_squared": pooled.i_squared,
                "new_low": pooled.new_low,
                "new_high": pooled.new_high,
            }
        )
    table = pd.DataFrame(lines, columns=_PAIR_COLUMNS)
    return table.assign(p_holm=holm(table["p_holm"].to_numpy(dtype=np.float64)))


_PAIR_COLUMNS = [
    *("a", "b", "n_cohorts", "n_trainings", "difference", "low", "high", "p_holm"),
    *("tau", "i_squared", "new_low", "new_high"),
]


def _difference(cell: CellCandidates, a: Candidate, b: Candidate) -> tuple[float, float] | None:
    """Gain of a over b on the people both predicted, and its error, held to one person as ranks."""
    replicates = difference_with_seed_noise(a, b)
    finite = np.isfinite(replicates)
    gain = _gain(cell, a, b)
    if not np.isfinite(gain) or finite.mean() < _LEAST_KNOWN:
        return None
    error = float(replicates[finite].std(ddof=1))
    error = max(error, 1.0 / max(1, a.against(b).n_smallest_class)) if cell.rates else error
    return (gain, error) if error > 0.0 else None


def _gain(cell: CellCandidates, a: Candidate, b: Candidate) -> float:
    """Gain of a over b on the people both predicted; positive: a is better."""
    sign = 1.0 if cell.higher_is_better else -1.0
    return sign * (a.against(b).score - b.against(a).score)


def _gains(cells: Mapping[str, CellCandidates], names: Sequence[str]) -> Array:
    """Gain of every row over every other in each cohort, (C, M, M); NaN where one is not there."""
    gains = np.full((len(cells), len(names), len(names)), np.nan)
    for table, cell in zip(gains, cells.values(), strict=True):
        there = [(k, cell.candidates[n]) for k, n in enumerate(names) if n in cell.candidates]
        for (i, a), (j, b) in combinations(there, 2):
            table[i, j] = _gain(cell, a, b)
            table[j, i] = -table[i, j]
    return gains


def _win_rates(gains: Array) -> Array:
    """Share of cohorts with a known gain in which it is one, ties one half, (M, M)."""
    known = np.isfinite(gains)
    won = known * (0.5 * (gains > _TIE) + 0.5 * (gains >= -_TIE))
    n = known.sum(axis=0)
    rate: Array = np.divide(won.sum(axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)
    return rate


def _diagram(
    cells: Mapping[str, CellCandidates], scores: pd.DataFrame, *, higher_is_better: bool
) -> tuple[CriticalDifference | None, str]:
    """The diagram of rows with a score in every cohort, or None and why not."""
    names = [str(name) for name in scores]
    if len(names) < 2:
        return (
            None,
            "fewer than two rows have a score in every cohort: there is no order to compare",
        )
    try:
        diagram = critical_difference(scores.to_numpy(), names, higher_is_better=higher_is_better)
    except ResultError as error:
        return None, str(error)
    differ = [c for c, x in cells.items() if len({x.candidates[n].own_set for n in names}) > 1]
    if differ:
        return None, (
            f"critical difference: the rows did not predict the same people in {', '.join(differ)}"
            ", and it compares one score a row; choose rows that did with --track or --method"
        )
    return diagram, ""


def _agreement(gains: Array, cohorts: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Of rows that all cohorts have; a gain that is not defined counts as a tie, as on the board.

    Where all rows predicted the same people these are the orders by score and by mean score.
    """
    columns = ["first", "second", "tau", "flips", "n_pairs"]
    if len(names) < 2:
        return pd.DataFrame(columns=columns)
    known = np.nan_to_num(gains)
    lost = (0.5 * (known < -_TIE) + 0.5 * (known <= _TIE)).sum(axis=2)  # c m
    positions = pd.DataFrame(lost, index=list(cohorts), columns=list(names)).rank(axis=1)
    rules: dict[str, Any] = {str(cohort): positions.loc[cohort] for cohort in cohorts}
    mean_gain = pd.Series(known.mean(axis=(0, 2)), index=list(names))
    rules["mean gain"] = mean_gain.round(9).rank(ascending=False)
    rules["mean rank"] = positions.mean().rank()
    lines = []
    for first, second in combinations(rules, 2):
        found = rank_agreement(rules[first].to_dict(), rules[second].to_dict())
        lines.append((first, second, found.tau, found.flips, found.n_pairs))
    return pd.DataFrame(lines, columns=columns)
