"""The replicate table of a cell: what recomputing ranks for another choice of methods needs.

One row per method and distinct set of people it is compared on:

========== =====================================================================================
column     content
========== =====================================================================================
method track derived_from   the row
own_set                     name of the set of people it predicted
with_sets                   ``own_set`` names of the methods it shares exactly these people with
n n_smallest_class          people in this set, and of its smallest class
score                       the primary metric on this set, mean over seeds or fold models
replicates                  the same on B resamples, float32; element r of every row of the file
                            belongs to the same resample of people
seeds seed_sd               number of seeds, and the score's standard deviation between them
metric higher_is_better rates   the primary metric, its direction, whether it is a rate of people
========== =====================================================================================

To compare rows a and b take a's row whose ``with_sets`` holds b's ``own_set``, and the reverse;
both are on the people that a and b share.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.results.ledger import RowKey
from benchmark.stats import Candidate, SetScore

__all__ = ["CellCandidates", "read_replicates", "replicate_rows"]


@dataclass(frozen=True, slots=True)
class CellCandidates:
    """Candidates of one cell by key (``method|track|derived_from``), and the metric's direction."""

    metric: str
    higher_is_better: bool
    rates: bool
    candidates: dict[str, Candidate]


def replicate_rows(key: RowKey, candidate: Candidate, metric: str) -> list[dict[str, Any]]:
    """Rows of the replicate table for one method."""
    shared: dict[int, list[str]] = {}
    for name, score in candidate.scores.items():
        shared.setdefault(id(score), []).append(name)
    by_id = {id(score): score for score in candidate.scores.values()}
    facts = METRICS[metric]
    return [
        {
            "method": key.method,
            "track": key.track,
            "derived_from": key.derived_from,
            "own_set": candidate.own_set,
            "with_sets": sorted(names),
            "n": by_id[identity].n,
            "n_smallest_class": by_id[identity].n_smallest_class,
            "score": by_id[identity].score,
            "replicates": by_id[identity].replicates.astype(np.float32),
            "seeds": candidate.seeds,
            "seed_sd": candidate.seed_sd,
            "metric": metric,
            "higher_is_better": facts.higher_is_better,
            "rates": facts.kind == "classification",
        }
        for identity, names in shared.items()
    ]


def read_replicates(path: Path) -> CellCandidates:
    """Reads a cell's replicate table.

    Raises:
        ResultError: The file is missing or empty.
    """
    if not path.exists():
        raise ResultError(f"{path}: there is no such file; make it with `neurodx score`")
    frame = pd.read_parquet(path)
    if not len(frame):
        raise ResultError(f"{path}: the table is empty; make it anew with `neurodx score`")
    candidates = {}
    for (method, track, origin), rows in frame.groupby(["method", "track", "derived_from"]):
        scores = {}
        for row in rows.to_dict("records"):
            replicates = np.asarray(row["replicates"], dtype=np.float64)
            score = SetScore(row["score"], replicates, row["n"], row["n_smallest_class"])
            scores.update(dict.fromkeys(row["with_sets"], score))
        head = rows.iloc[0]
        key = f"{method}|{track}|{origin}"
        candidates[key] = Candidate(
            key, head["own_set"], scores, int(head["seeds"]), float(head["seed_sd"])
        )
    first = frame.iloc[0]
    return CellCandidates(
        str(first["metric"]), bool(first["higher_is_better"]), bool(first["rates"]), candidates
    )
