"""One task over several cohorts: pooled differences, who wins how often, whether orders agree.

Data sets are cohorts, which hold different people. A cohort counts once: where it has folds of its
own these are taken, otherwise the answers of models fitted elsewhere. Where these were fitted on
another cohort of the pool, people differ and the models are the same ones: trainings are counted
beside cohorts.
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
    win_rates,
)
from benchmark.stats.candidate import replicates_with_seed_noise

__all__ = ["Across", "across_cohorts"]

Array = NDArray[Any]
_LEAST_KNOWN = 0.95  # share of resamples in which a difference must be defined


@dataclass(frozen=True, slots=True)
class Across:
    """What several cohorts say together; rows are named ``method|track|derived_from``.

    Attributes:
        cohorts: Protocol by cohort.
        trained_on: By cohort, whose models answer: itself, the cohorts that they were fitted on, or
            ``elsewhere`` where the board does not tell.
        metric: The primary metric.
        scores: A line per cohort, a column per row; NaN where a row has no score.
        pairs: A line per pair that two cohorts or more compare: ``a b n_cohorts n_trainings
            difference low high p_holm tau i_squared new_low new_high``. Positive: a is better. With
            fewer trainings than cohorts the interval is too narrow.
        wins: Share of common cohorts in which the line is better than the column.
        agreement: Kendall's tau of every two orders (each cohort's, by mean score, by mean rank) of
            the rows that all cohorts have: ``first second tau flips n_pairs``; none below two.
        diagram: The critical-difference diagram of these rows; None where it may not be drawn.
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
    better = METRICS[metric].higher_is_better
    names = sorted({key for cell in cells.values() for key in cell.candidates})
    table = {c: {k: x.own.score for k, x in cell.candidates.items()} for c, cell in cells.items()}
    scores = pd.DataFrame.from_dict(table, orient="index").reindex(columns=names)
    rate = win_rates(scores.to_numpy(), higher_is_better=better).rate
    whole = scores.dropna(axis=1)
    diagram, why = None, ""
    if whole.shape[1] < 2:
        why = "fewer than two rows have a score in every cohort, so there is no order to compare"
    else:
        try:
            diagram = critical_difference(
                whole.to_numpy(), list(whole.columns), higher_is_better=better
            )
        except ResultError as error:
            why = str(error)
    return Across(
        cohorts={c: str(protocols[c]) for c in cells},
        trained_on=trained_on,
        metric=metric,
        scores=scores,
        pairs=_pairs(cells, names, trained_on),
        wins=pd.DataFrame(rate, index=names, columns=names),
        agreement=_agreement(whole, better),
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
    ours, theirs = a.against(b), b.against(a)
    replicates = replicates_with_seed_noise(a, ours) - replicates_with_seed_noise(b, theirs)
    finite = np.isfinite(replicates)
    gain = (1.0 if cell.higher_is_better else -1.0) * (ours.score - theirs.score)
    if not np.isfinite(gain) or finite.mean() < _LEAST_KNOWN:
        return None
    error = float(replicates[finite].std(ddof=1))
    error = max(error, 1.0 / max(1, ours.n_smallest_class)) if cell.rates else error
    return (gain, error) if error > 0.0 else None


def _agreement(scores: pd.DataFrame, higher_is_better: bool) -> pd.DataFrame:
    columns = ["first", "second", "tau", "flips", "n_pairs"]
    if scores.shape[1] < 2:
        return pd.DataFrame(columns=columns)
    positions = scores.rank(axis=1, ascending=not higher_is_better)
    rules = {str(cohort): positions.loc[cohort] for cohort in scores.index}
    rules["mean score"] = scores.mean().rank(ascending=not higher_is_better)
    rules["mean rank"] = positions.mean().rank()
    lines = []
    for first, second in combinations(rules, 2):
        found = rank_agreement(rules[first].to_dict(), rules[second].to_dict())
        lines.append((first, second, found.tau, found.flips, found.n_pairs))
    return pd.DataFrame(lines, columns=columns)
