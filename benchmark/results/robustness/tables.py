"""Collects the robustness tables cell by cell and writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark.results.folders import write_table
from benchmark.results.people import Background
from benchmark.results.robustness.age_matching import age_matched_line
from benchmark.results.robustness.duplicates import duplicate_lines
from benchmark.results.robustness.optimism import honesty_line
from benchmark.results.robustness.schema import TABLES
from benchmark.results.robustness.site_trace import site_trace_line
from benchmark.results.robustness.subgroups import subgroup_lines
from benchmark.results.robustness.subject import subjects
from benchmark.results.robustness.training_runs import few_label_curve, seed_variance_line
from benchmark.results.robustness.transfer import Kept, external_drops, left_out_drops
from benchmark.results.schema import ROW_KEY, typed
from benchmark.results.score_cell import ScoredCell
from benchmark.tasks import Task

__all__ = ["RobustnessTables"]

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

    def add_cell(self, scored: ScoredCell, task: Task) -> None:
        """Adds the rows of one cell; one whose primary metric has no value gives no line."""
        if not scored.entries:
            return
        cohort = scored.entries[0].key.cohort
        members = list(subjects(scored, task, self.background.people.get(cohort)))
        self._add("duplicates", duplicate_lines(members))
        for subject in members:
            if not math.isfinite(subject.entry.candidate.own.score):
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
