"""What a report is made from: one cell of a board, and its robustness tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmark.errors import ResultError, UnknownNameError
from benchmark.metrics import METRICS, Metric
from benchmark.results.folders import cell_file
from benchmark.results.robustness import TABLES, outdated
from benchmark.results.schema import EXTERNAL_PROTOCOL, LEADERBOARD, ORACLE
from benchmark.tasks import TASKS, Task

__all__ = [
    "Content",
    "Row",
    "is_oracle",
    "number",
    "read_content",
    "row_name",
    "what_intervals_hold_for",
]

Row = Mapping[str, Any]
_CELL: Final = ("cohort", "task", "protocol")
_MOST_DRAWN: Final = 6
_REBUILD: Final = "write the board again with `neurodx score` and then `neurodx rank`"


@dataclass(frozen=True, slots=True)
class Content:
    """One cell of a board.

    Attributes:
        cohort: Cohort.
        task: Task.
        protocol: Protocol.
        rows: The leaderboard's rows, best first within each track, missing values as None.
        metrics: Lines of ``metrics.parquet``.
        predictions: Stored predictions, by anonymous index.
        comparisons: Lines of ``comparisons.parquet``.
        tables: Robustness tables, restricted to the cell.
        says: What each robustness table holds, over the whole board.
        facts: ``board.json``.
    """

    cohort: str
    task: Task
    protocol: str
    rows: tuple[Row, ...]
    metrics: tuple[Row, ...]
    predictions: pd.DataFrame
    comparisons: tuple[Row, ...]
    tables: Mapping[str, tuple[Row, ...]]
    says: Mapping[str, str]
    facts: Mapping[str, Any]

    @property
    def metric(self) -> Metric:
        """The metric that ranks."""
        return METRICS[self.task.primary_metric]

    @property
    def synthetic(self) -> bool:
        """Whether the cohort's people are made up."""
        return any(bool(row["synthetic"]) for row in self.rows)

    @property
    def ranked(self) -> tuple[Row, ...]:
        """Rows that have a rank."""
        return tuple(row for row in self.rows if row["tie_group"] is not None)

    @property
    def scored(self) -> tuple[Row, ...]:
        """Rows that have a score, the oracle's included."""
        return tuple(row for row in self.rows if row["score"] is not None)

    @property
    def gaps(self) -> tuple[Row, ...]:
        """Rows without a score."""
        return tuple(row for row in self.rows if row["score"] is None)

    @property
    def best(self) -> tuple[Row, ...]:
        """The few best rows of all tracks whose predictions are stored: those that are drawn."""
        sign = 1.0 if self.metric.higher_is_better else -1.0
        stored = [row for row in self.ranked if len(self.said_by(row))]
        return tuple(sorted(stored, key=lambda r: -sign * r["score"])[:_MOST_DRAWN])

    def said_by(self, row: Row) -> pd.DataFrame:
        """Stored predictions of a row, all replicas; empty where there are none."""
        if not len(self.predictions):
            return self.predictions
        same = [self.predictions[k] == row[k] for k in ("method", "track", "derived_from")]
        return self.predictions[np.logical_and.reduce(same)]

    def of_ranked(self, table: str) -> list[Row]:
        """A robustness table's lines about ranked rows, in ranking order."""
        order = {row_name(row): place for place, row in enumerate(self.ranked)}
        lines = [x for x in self.tables[table] if row_name(x) in order]
        return sorted(lines, key=lambda x: order[row_name(x)])


def row_name(row: Row) -> str:
    """How a row is called: method, origin and track."""
    origin = f" (from {row['derived_from']})" if row["derived_from"] else ""
    return f"{row['method']}{origin} [{row['track']}]"


def what_intervals_hold_for(content: Content) -> str:
    """The label of every table and figure with 95 % intervals."""
    label = "95 % intervals given these fitted models; training randomness not included"
    seeded = sum("+ seed variance" in str(row["ci_method"]) for row in content.scored)
    if seeded:
        label += (
            f", but for the variance between seeds in the scores of {seeded} of "
            f"{len(content.scored)} rows, which have 3 seeds or more"
        )
    return f"{label}."


def number(value: object, digits: int = 3, *, sign: bool = False) -> str:
    """A number for a table; empty where there is none."""
    if value is None or not isinstance(value, (int, float, np.floating, np.integer)):
        return ""
    if not np.isfinite(value):
        return ""
    written = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(written) == 0.0 else written


def read_content(board: Path, cohort: str, task: str, protocol: str = "") -> Content:
    """Reads one cell of a board.

    Args:
        board: ``board/``.
        cohort: Cohort.
        task: Task.
        protocol: Protocol; empty means the board's own, or the only one that is there.

    Raises:
        ResultError: There is no board, or an older version wrote it: a table or column is missing.
        UnknownNameError: The board has no such cohort, task or protocol.
    """
    if not (board / "board.json").is_file():
        raise ResultError(f"{board}: there is no board (board.json); make it with `make repro`")
    absent = [name for name in TABLES if not (board / f"{name}.parquet").is_file()]
    if absent:
        raise ResultError(f"{board}: {absent[0]}.parquet is missing; {_REBUILD}")
    tables = {name: _whole(board, name, TABLES[name]) for name in TABLES}
    facts = json.loads((board / "board.json").read_text())
    rows = _whole(board, "leaderboard", LEADERBOARD)
    rows = rows[rows["cohort"] == _known("cohort", cohort, rows["cohort"])]
    rows = rows[rows["task"] == _known("task", task, rows["task"])]
    chosen = protocol or _default_protocol(rows["protocol"], facts)
    rows = rows[rows["protocol"] == _known("protocol", chosen, rows["protocol"])]
    cell = (cohort, task, chosen)
    path = board / "predictions" / cell_file(*cell)
    said = tables["robustness"]
    return Content(
        cohort,
        TASKS[task],
        chosen,
        _records(rows),
        _records(_inside(pd.read_parquet(board / "metrics.parquet"), cell)),
        pd.read_parquet(path) if path.is_file() else pd.DataFrame(),
        _records(_inside(pd.read_parquet(board / "comparisons.parquet"), cell)),
        {
            name: _records(_of_table(name, table, cell))
            for name, table in tables.items()
            if name != "robustness"
        },
        dict(zip(said["table"], said["says"], strict=True)),
        facts,
    )


def _whole(board: Path, name: str, columns: Iterable[str]) -> pd.DataFrame:
    """A table of the board that has all its columns."""
    table = pd.read_parquet(board / f"{name}.parquet")
    why = outdated(name, table.columns, columns)
    if why:
        raise ResultError(f"{board}: {why}; {_REBUILD}")
    return table


def _known(kind: str, name: str, column: pd.Series) -> str:
    known = sorted(set(column))
    if name not in known:
        raise UnknownNameError(f"{kind} of this board", name, known, "neurodx rank --show")
    return name


def _default_protocol(protocols: pd.Series, facts: Mapping[str, Any]) -> str:
    there = sorted(set(protocols))
    own = str(facts.get("protocol", ""))
    inside = [name for name in there if name != EXTERNAL_PROTOCOL]
    return own if own in there else (inside or there)[0]


def _of_table(name: str, table: pd.DataFrame, cell: tuple[str, str, str]) -> pd.DataFrame:
    """A robustness table's lines about a cell; a few-label curve is whole or not there."""
    if name != "few_label":
        return _inside(table, cell)
    here = table[(table["cohort"] == cell[0]) & (table["task"] == cell[1])]
    kept = here.iloc[:0] if cell[2] == EXTERNAL_PROTOCOL else here
    return kept.sort_values(["track", "method", "derived_from", "percent"])


def _inside(table: pd.DataFrame, cell: tuple[str, str, str]) -> pd.DataFrame:
    kept = np.ones(len(table), dtype=bool)
    for name, value in zip(_CELL, cell, strict=True):
        kept &= (table[name] == value).to_numpy()
    return table[kept]


def _records(table: pd.DataFrame) -> tuple[Row, ...]:
    """Rows as mappings; whatever pandas calls missing is None."""
    plain = table.astype("object").where(table.notna(), None)
    return tuple({str(k): x for k, x in row.items()} for row in plain.to_dict("records"))


def is_oracle(row: Row) -> bool:
    """Whether a row is the generator's own answer."""
    return bool(row["method"] == ORACLE)
