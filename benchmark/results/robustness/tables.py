"""Collects the robustness tables cell by cell and writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.cell import Cell, build_cell
from benchmark.results.folders import cell_file, replaced_folder, write_table
from benchmark.results.ledger import Ledger, RowKey
from benchmark.results.people import NO_BACKGROUND, Background
from benchmark.results.planned import EVERYTHING, PlanFilter, read_runs
from benchmark.results.replicates import read_replicates
from benchmark.results.robustness.age_matching import age_matched_line
from benchmark.results.robustness.duplicates import duplicate_lines
from benchmark.results.robustness.optimism import honesty_line
from benchmark.results.robustness.schema import TABLES
from benchmark.results.robustness.site_trace import site_trace_line
from benchmark.results.robustness.subgroups import subgroup_lines
from benchmark.results.robustness.subject import Subject
from benchmark.results.robustness.training_runs import few_label_curve, seed_variance_line
from benchmark.results.robustness.transfer import Kept, external_drops, left_out_drops
from benchmark.results.schema import ROW_KEY, typed
from benchmark.stats import Interval, draw_resamples
from benchmark.tasks import TASKS, Task

__all__ = ["RobustnessTables", "write_robustness"]

_EMPTY: Final[Mapping[str, str]] = {
    "subgroups": "no cohort here has people with known characteristics and enough of them",
    "subgroup_gaps": "no variable has two groups with 10 people per class",
    "age_matched": "no cohort here has ages in years and a classification task",
    "site_trace": "no cohort here has two sites",
    "external_drop": "no method has both an in-domain and an external row",
    "leave_site_out": "there are no runs of protocol leave-site-out yet",
    "few_label": "there are no runs of protocol few-label-<percent> yet",
    "seed_variance": "nothing is scored",
    "honesty": "nothing is scored",
    "duplicates": "no two rows say the same of the same people",
}


def write_robustness(
    runs: Path,
    scores: Path,
    background: Background = NO_BACKGROUND,
    *,
    extra: Sequence[Ledger] = (),
    only: PlanFilter = EVERYTHING,
) -> None:
    """Writes ``robustness/`` into a folder of scores, replaced as a whole.

    Args:
        runs: ``runs/`` of a workspace.
        scores: What ``score_workspace`` made of it; scores, replicates and settings are read there.
        background: The cohorts' people.
        extra: The ledgers that scoring was given besides.
        only: The methods and protocols that scoring was given.

    Raises:
        ResultError: The scores are not there, or not those of these runs.
    """
    stored = _Stored.read(scores)
    workspace = read_runs(runs, TASKS, only, with_validation=True)
    ledgers = [*workspace.ledgers, *extra]
    tables = RobustnessTables(background, stored.n_resamples, stored.seed)
    for key in sorted({x.key.cell for x in ledgers}):
        task = TASKS[key[1]]
        cell = build_cell([x for x in ledgers if x.key.cell == key], task, key[2])
        tables.add_cell(stored.subjects(cell, key, task, background.people.get(key[0])))
    with replaced_folder(scores / "robustness") as fresh:
        tables.write(fresh)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What scoring left behind."""

    folder: Path
    n_resamples: int
    seed: int
    intervals: Mapping[RowKey, Interval]

    @classmethod
    def read(cls, folder: Path) -> _Stored:
        paths = [folder / name for name in ("scores.json", "scores.parquet")]
        for path in paths:
            if not path.is_file():
                raise ResultError(f"{path}: there is no such file; make it with `neurodx score`")
        settings = json.loads(paths[0].read_text())
        table = pd.read_parquet(paths[1])
        primary = table[table["primary"].astype(bool)]
        intervals = {
            RowKey(**{name: str(row[name]) for name in ROW_KEY}): Interval(
                row["ci_low"], row["ci_high"], row["ci_method"]
            )
            for row in primary.to_dict("records")
        }
        return cls(folder, settings["n_resamples"], settings["seed"], intervals)

    def subjects(
        self, cell: Cell, key: tuple[str, str, str], task: Task, people: pd.DataFrame | None
    ) -> list[Subject]:
        """The rows of a cell with what scoring found; none for a cell without a whole row."""
        if not cell.entries:
            return []
        known = read_replicates(self.folder / "replicates" / cell_file(*key)).candidates
        bootstrap = draw_resamples(
            cell.participant_ids, cell.strata, n_resamples=self.n_resamples, seed=self.seed
        ).T
        table = pd.DataFrame() if people is None else people
        inside = table.reindex(pd.Index(cell.participant_ids.astype(str)))
        found = []
        for entry in cell.entries:
            candidate = known.get(entry.ledger.key.candidate)
            if candidate is None or candidate.own.n != len(entry.rows):
                raise ResultError(
                    f"{self.folder}: the scores of {entry.ledger.key.candidate} on "
                    f"{' / '.join(key)} are not those of the runs; run `neurodx score` again"
                )
            interval = self.intervals[entry.ledger.key]
            found.append(Subject(cell, entry, candidate, interval, task, bootstrap, inside))
        return found


@dataclass(slots=True)
class RobustnessTables:
    """Lines of every table.

    Attributes:
        background: The cohorts' people.
        n_resamples: Resamples of the comparisons that do not use a cell's own.
        seed: Their seed.
    """

    background: Background
    n_resamples: int = 2000
    seed: int = 0
    _lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _kept: list[Kept] = field(default_factory=list)

    def add_cell(self, members: Sequence[Subject]) -> None:
        """Adds the rows of one cell; one whose primary metric has no value gives no line."""
        self._add("duplicates", duplicate_lines(members))
        for subject in members:
            if not math.isfinite(subject.own.score):
                continue
            groups, gaps = subgroup_lines(subject)
            self._add("subgroups", groups)
            self._add("subgroup_gaps", gaps)
            self._add("age_matched", [age_matched_line(subject)])
            self._add("site_trace", [site_trace_line(subject)])
            self._add("seed_variance", [seed_variance_line(subject)])
            honesty = honesty_line(subject, n_resamples=self.n_resamples, seed=self.seed)
            self._add("honesty", [honesty])
            self._kept.append(Kept.of(subject))

    def write(self, folder: Path) -> None:
        """Writes one file per table into a folder."""
        self._add("external_drop", external_drops(self._kept))
        left_out = left_out_drops(self._kept, n_resamples=self.n_resamples, seed=self.seed)
        self._add("leave_site_out", left_out)
        self._add("few_label", few_label_curve(self._kept, self.background.omitted))
        said = []
        for name, dtypes in TABLES.items():
            if name == "robustness":
                continue
            lines = self._lines.get(name, [])
            by = [c for c in (*ROW_KEY, *_ORDER) if c in dtypes]
            table = typed(pd.DataFrame(lines, columns=list(dtypes)), dtypes)
            write_table(table, folder / f"{name}.parquet", *by)
            says = f"{len(lines)} lines" if lines else f"empty: {_EMPTY[name]}"
            said.append({"table": name, "rows": len(lines), "says": says})
        summary = typed(pd.DataFrame(said), TABLES["robustness"])
        write_table(summary, folder / "robustness.parquet", "table")

    def _add(self, name: str, lines: Sequence[dict[str, Any] | None]) -> None:
        self._lines.setdefault(name, []).extend(line for line in lines if line is not None)


_ORDER = (
    *("variable", "group", "percent", "external_cohort", "method_a", "track_a", "derived_a"),
    *("method_b", "track_b", "derived_b"),
)
