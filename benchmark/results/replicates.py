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

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
    table = pq.read_table(path)
    if not len(table):
        raise ResultError(f"{path}: the table is empty; make it anew with `neurodx score`")
    rows = table.drop_columns(["replicates"]).to_pylist()
    scores: dict[str, dict[str, SetScore]] = {}
    heads: dict[str, dict[str, Any]] = {}
    for row, replicates in zip(rows, _stacked(table["replicates"]), strict=True):
        key = f"{row['method']}|{row['track']}|{row['derived_from']}"
        score = SetScore(_number(row["score"]), replicates, row["n"], row["n_smallest_class"])
        scores.setdefault(key, {}).update(dict.fromkeys(row["with_sets"], score))
        heads.setdefault(key, row)
    candidates = {
        key: Candidate(
            key,
            heads[key]["own_set"],
            scores[key],
            heads[key]["seeds"],
            _number(heads[key]["seed_sd"]),
        )
        for key in sorted(scores)
    }
    first = rows[0]
    return CellCandidates(first["metric"], first["higher_is_better"], first["rates"], candidates)


def _number(value: float | None) -> float:
    """NaN where the table has nothing: NaN is stored as missing."""
    return math.nan if value is None else value


def _stacked(column: pa.ChunkedArray) -> list[np.ndarray]:
    """The replicates of each row, as float64."""
    lists = column.combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    ends = np.cumsum(lists.value_lengths().to_numpy())[:-1]
    return np.split(values, ends)
