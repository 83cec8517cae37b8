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
from benchmark.results.cell import Cell, anonymous_index, build_cell
from benchmark.results.digests import settings_digest
from benchmark.results.folders import cell_file, replaced_folder, write_table
from benchmark.results.ledger import Ledger, RowKey
from benchmark.results.people import NO_BACKGROUND, Background
from benchmark.results.planned import EVERYTHING, PlanFilter, Workspace, read_runs
from benchmark.results.replicates import read_replicates
from benchmark.results.reuse import CellMemory, Memory, truth_digest
from benchmark.results.robustness.age_matching import age_matched_line
from benchmark.results.robustness.brain_age import brain_age_line
from benchmark.results.robustness.duplicates import (
    Said,
    duplicate_lines,
    most_apart,
    read_said,
)
from benchmark.results.robustness.missing_modalities import missing_lines
from benchmark.results.robustness.optimism import honesty_line
from benchmark.results.robustness.reuse import (
    Before,
    Marks,
    marks_of,
    people_digest,
    robustness_digest,
)
from benchmark.results.robustness.schema import TABLES
from benchmark.results.robustness.site_trace import site_trace_lines
from benchmark.results.robustness.subgroups import subgroup_lines
from benchmark.results.robustness.subject import Subject
from benchmark.results.robustness.training_runs import few_label_curve, seed_variance_line
from benchmark.results.robustness.transfer import (
    Kept,
    external_drops,
    is_dealt,
    left_out_drops,
)
from benchmark.results.schema import LEAVE_SITE_OUT, ROW_KEY, typed
from benchmark.stats import Candidate, Interval, draw_resamples
from benchmark.tasks import TASKS, Task

__all__ = ["RobustnessTables", "write_robustness"]

_EMPTY: Final[Mapping[str, str]] = {
    "subgroups": "no cohort here has people with known characteristics and enough of them",
    "subgroup_gaps": "no variable has two groups with 10 people per class",
    "age_matched": "no cohort here has ages in years and a classification task",
    "site_trace": "no cohort here has two sites",
    "external_drop": "no method has both an in-domain and an external row",
    "leave_site_out": "there are no runs of protocol leave-site-out yet",
    "left_out_sites": "there are no runs of protocol leave-site-out yet",
    "few_label": "there are no runs of protocol few-label-<percent> yet",
    "missing_modalities": "no row's track opens two modalities, or its runs were not asked",
    "seed_variance": "nothing is scored",
    "honesty": "nothing is scored",
    "brain_age": "no row is about brain age",
    "duplicates": "no two rows say the same of the same people",
}


def write_robustness(
    runs: Path | Workspace,
    scores: Path,
    background: Background = NO_BACKGROUND,
    *,
    extra: Sequence[Ledger] = (),
    only: PlanFilter = EVERYTHING,
    before: Before | None = None,
) -> None:
    """Writes ``robustness/`` into a folder of scores, replaced as a whole.

    Args:
        runs: ``runs/`` of a workspace; or what ``read_runs`` read there with the validation people,
            which ``only`` then does not narrow.
        scores: What ``score_workspace`` made of it; scores, replicates and settings are read there.
        background: The cohorts' people.
        extra: The ledgers that scoring was given besides.
        only: The methods and protocols that scoring was given.
        before: The tables as they were before scoring, of which rows that have not changed are
            kept; None means those that are in ``scores`` now.

    Raises:
        ResultError: The scores are not there, or not those of these runs.
        ValueError: The runs were read without the validation people.
    """
    stored = _Stored.read(scores)
    if not isinstance(runs, Workspace):
        runs = read_runs(runs, TASKS, only, with_validation=True)
    if not runs.with_validation:
        raise ValueError("expected runs read with their validation people")
    ledgers = [*runs.ledgers, *extra]
    settings = robustness_digest(stored.n_resamples, stored.seed)
    known = (before or Before.read(scores)).under(settings)
    digests = {name: people_digest(table) for name, table in background.people.items()}
    cells = []
    for key in sorted({x.key.cell for x in ledgers}):
        inside = [x for x in ledgers if x.key.cell == key]
        marks = marks_of(inside, stored.memory.cells.get(cell_file(*key)), digests.get(key[0], ""))
        cells.append(_CellRows(key, inside, marks, known.kept(key, marks)))
    _want_partners(cells)
    tables = RobustnessTables(background, stored.n_resamples, stored.seed, known)
    for cell in cells:
        tables.add_cell(cell, stored)
    with replaced_folder(scores / "robustness") as fresh:
        tables.write(fresh)
        Before.write(fresh, settings, {cell.key: cell.marks for cell in cells})


@dataclass(slots=True)
class _CellRows:
    """The rows of a cell: those whose lines are kept, and those that are looked at.

    Attributes:
        key: Cohort, task and protocol.
        ledgers: All its ledgers.
        marks: What their lines rest on.
        kept: Candidates whose own lines are kept.
        partners: Such of these whose predictions a changed row of another cell is compared with.
    """

    key: tuple[str, str, str]
    ledgers: Sequence[Ledger]
    marks: Marks
    kept: frozenset[str]
    partners: frozenset[str] = frozenset()

    @property
    def task(self) -> Task:
        return TASKS[self.key[1]]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(x.key.candidate for x in self.ledgers)

    @property
    def fresh(self) -> frozenset[str]:
        return self.names - self.kept

    def aligned(self, scored: CellMemory | None) -> Cell | None:
        """The cell with the rows that are looked at; None where there are none.

        One kept row that has everybody's folds stands for the others, where the people, labels and
        strata then come out as scoring wrote them down.
        """
        wanted = self.fresh | self.partners
        if not wanted:
            return None
        if self.kept and scored is not None:
            anchors = [
                x for x in self.ledgers if x.has_folds and scored.rows[x.key.candidate][1] == "s0"
            ]
            names = wanted | {x.key.candidate for x in anchors[:1]}
            few = [x for x in self.ledgers if x.key.candidate in names]
            cell = build_cell(few, self.task, self.key[2])
            if not cell.gaps and truth_digest(cell) == scored.truth:
                return cell
        return build_cell(self.ledgers, self.task, self.key[2])


def _want_partners(cells: Sequence[_CellRows]) -> None:
    """Asks for both rows of a pair (all sites in training, site left out) if one has changed."""
    left = {cell.key[:2]: cell for cell in cells if cell.key[2] == LEAVE_SITE_OUT}
    for cell in cells:
        other = left.get(cell.key[:2])
        if other is None or not is_dealt(cell.key[2]):
            continue
        changed = (cell.fresh | other.fresh) & cell.names & other.names
        cell.partners |= changed & cell.kept
        other.partners |= changed & other.kept


@dataclass(frozen=True, slots=True)
class _Stored:
    """What scoring left behind."""

    folder: Path
    n_resamples: int
    seed: int
    intervals: Mapping[RowKey, Interval]
    memory: Memory

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
        memory = Memory.read(folder, settings_digest(**settings))
        return cls(folder, settings["n_resamples"], settings["seed"], intervals, memory)

    def candidates(self, key: tuple[str, str, str]) -> Mapping[str, Candidate]:
        """What scoring found of each row of a cell; nothing for a cell without a whole row."""
        path = self.folder / "replicates" / cell_file(*key)
        return read_replicates(path).candidates if path.is_file() else {}

    def subjects(
        self,
        cell: Cell,
        rows: _CellRows,
        known: Mapping[str, Candidate],
        people: pd.DataFrame | None,
    ) -> dict[str, Subject]:
        """The rows of a cell with what scoring found."""
        bootstrap = draw_resamples(
            cell.participant_ids, cell.strata, n_resamples=self.n_resamples, seed=self.seed
        ).T
        table = pd.DataFrame() if people is None else people
        inside = table.reindex(pd.Index(cell.participant_ids.astype(str)))
        found = {}
        for entry in cell.entries:
            name = entry.ledger.key.candidate
            candidate = known.get(name)
            if candidate is None or candidate.own.n != len(entry.rows):
                raise ResultError(
                    f"{self.folder}: the scores of {name} on {' / '.join(rows.key)} are not those "
                    "of the runs; run `neurodx score` again"
                )
            interval = self.intervals[entry.ledger.key]
            subject = Subject(cell, entry, candidate, interval, rows.task, bootstrap, inside)
            if name in rows.fresh | rows.partners:
                found[name] = subject
        return found

    def said(self, rows: _CellRows, participant_ids: Any) -> list[Said]:
        """What all rows of a cell say."""
        path = self.folder / "predictions" / cell_file(*rows.key)
        return read_said(path, rows.ledgers, anonymous_index(participant_ids, rows.key), rows.task)


@dataclass(slots=True)
class RobustnessTables:
    """Lines of every table.

    Attributes:
        background: The cohorts' people.
        n_resamples: Resamples of the comparisons that do not use a cell's own.
        seed: Their seed.
        before: The tables as they were.
    """

    background: Background
    n_resamples: int
    seed: int
    before: Before
    _lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _stand: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    _kept: list[Kept] = field(default_factory=list)

    def add_cell(self, rows: _CellRows, stored: _Stored) -> None:
        """Adds the rows of one cell; one whose primary metric has no value gives no line."""
        cell = rows.aligned(stored.memory.cells.get(cell_file(*rows.key)))
        known = stored.candidates(rows.key)
        subjects: dict[str, Subject] = {}
        if cell is not None and cell.entries:
            people = self.background.people.get(rows.key[0])
            subjects = stored.subjects(cell, rows, known, people)
            said = stored.said(rows, cell.participant_ids)
            apart = most_apart(rows.task, cell.y_true)
            self._add("duplicates", duplicate_lines(said, cell.participant_ids, apart, rows.fresh))
        for table in _OF_ONE_CELL:
            self._stay(table, rows.key, rows.kept)
        for table in ("leave_site_out", "left_out_sites"):
            self._stay(table, rows.key, rows.kept - rows.partners)
        for name, subject in subjects.items():
            if name in rows.fresh and math.isfinite(subject.own.score):
                self._add_row(subject)
        for ledger in rows.ledgers:
            candidate = known.get(ledger.key.candidate)
            if candidate is not None and math.isfinite(candidate.own.score):
                subject_now = subjects.get(ledger.key.candidate)
                interval = stored.intervals[ledger.key]
                self._kept.append(Kept(ledger, rows.task, candidate, interval, subject_now))

    def _add_row(self, subject: Subject) -> None:
        groups, gaps = subgroup_lines(subject)
        self._add("subgroups", groups)
        self._add("subgroup_gaps", gaps)
        self._add("age_matched", [age_matched_line(subject)])
        self._add("site_trace", site_trace_lines(subject))
        self._add("seed_variance", [seed_variance_line(subject)])
        self._add("missing_modalities", missing_lines(subject))
        honesty = honesty_line(subject, n_resamples=self.n_resamples, seed=self.seed)
        self._add("honesty", [honesty])
        self._add("brain_age", [brain_age_line(subject)])

    def write(self, folder: Path) -> None:
        """Writes one file per table into a folder."""
        self._add("external_drop", external_drops(self._kept))
        drops, sites = left_out_drops(self._kept, n_resamples=self.n_resamples, seed=self.seed)
        self._add("leave_site_out", drops)
        self._add("left_out_sites", sites)
        self._add("few_label", few_label_curve(self._kept, self.background.omitted))
        said = []
        for name, dtypes in TABLES.items():
            if name == "robustness":
                continue
            by = [c for c in (*ROW_KEY, *_ORDER) if c in dtypes]
            table = typed(pd.DataFrame(self._lines.get(name, []), columns=list(dtypes)), dtypes)
            stand = [x for x in self._stand.get(name, []) if len(x)]
            if stand:
                table = pd.concat([*([table] if len(table) else []), *stand], ignore_index=True)
            write_table(table, folder / f"{name}.parquet", *by)
            says = f"{len(table)} lines" if len(table) else f"empty: {_EMPTY[name]}"
            said.append({"table": name, "rows": len(table), "says": says})
        summary = typed(pd.DataFrame(said), TABLES["robustness"])
        write_table(summary, folder / "robustness.parquet", "table")

    def _add(self, name: str, lines: Sequence[dict[str, Any] | None]) -> None:
        self._lines.setdefault(name, []).extend(line for line in lines if line is not None)

    def _stay(self, name: str, cell: tuple[str, str, str], names: frozenset[str]) -> None:
        lines = self.before.lines(name, cell, names)
        if lines is not None:
            self._stand.setdefault(name, []).append(lines)


_OF_ONE_CELL = (
    *("subgroups", "subgroup_gaps", "age_matched", "site_trace", "seed_variance", "honesty"),
    *("missing_modalities", "brain_age", "duplicates"),
)
_ORDER = (
    *(
        "variable",
        "group",
        "percent",
        "shown",
        "people",
        "site",
        "told_from",
        "external_cohort",
        "method_a",
        "track_a",
        "derived_a",
    ),
    *("method_b", "track_b", "derived_b"),
)
