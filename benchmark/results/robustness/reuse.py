"""Keeps the lines of rows that have not changed since the tables were written.

The lines of a row follow from its ledger (validation people, answers with modalities missing,
embeddings and trail included), from the people, labels and strata of its cell, what is known of
these people, the task, the settings and the code. Where all of these have the digest that was
written down beside the tables, the lines are taken from there; a pair of rows is kept where both
are. A cell with a faulty row is looked at whole. The result is the same as computing everything; a
test compares.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import pandas as pd

from benchmark import vocabulary as v
from benchmark.results.digests import (
    beside_digest,
    file_digest,
    ledger_digest,
    settings_digest,
    table_digest,
)
from benchmark.results.folders import cell_file, write_json
from benchmark.results.ledger import Ledger
from benchmark.results.people import SUBGROUPS
from benchmark.results.reuse import CellMemory, rows_of
from benchmark.results.robustness.schema import TABLES
from benchmark.results.schema import CELL

__all__ = ["Before", "Marks", "marks_of", "people_digest", "robustness_digest"]

FILE: Final = "reuse.json"
_Cell = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Marks:
    """What the lines of one cell rest on.

    Attributes:
        context: Digest of people, labels, strata, characteristics and task; empty where the scores
            do not tell it, and nothing can be kept.
        rows: Digest by candidate.
    """

    context: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Before:
    """The tables as they were, by cell.

    Attributes:
        settings: Digest of settings and code; empty where there are no tables.
        cells: What they rest on, by the cell's file name.
        tables: Their lines.
    """

    settings: str = ""
    cells: Mapping[str, Marks] = field(default_factory=dict)
    tables: Mapping[str, Mapping[_Cell, pd.DataFrame]] = field(default_factory=dict)

    @classmethod
    def read(cls, scores: Path) -> Before:
        """Reads ``robustness/`` of a folder of scores; nothing where it is not whole.

        Scoring replaces the folder, so what is to be kept is read before it.
        """
        folder = scores / "robustness"
        try:
            record = json.loads((folder / FILE).read_text())
            cells = {name: Marks(**marks) for name, marks in record["cells"].items()}
            digests = dict(record["tables"])
            settings = str(record["settings"])
        except (OSError, ValueError, KeyError, TypeError):
            return cls()
        paths = {name: folder / f"{name}.parquet" for name in TABLES if name != "robustness"}
        if any(file_digest(path) != digests.get(name, "-") for name, path in paths.items()):
            return cls()
        tables = {name: _by_cell(pd.read_parquet(path)) for name, path in paths.items()}
        return cls(settings, cells, tables)

    def under(self, settings: str) -> Before:
        """The same, or nothing where settings or code have changed."""
        return self if self.settings == settings else replace(Before(), settings=settings)

    def kept(self, cell: _Cell, marks: Marks) -> frozenset[str]:
        """Candidates of a cell whose lines stand."""
        then = self.cells.get(cell_file(*cell), Marks())
        if not marks.context or then.context != marks.context:
            return frozenset()
        return frozenset(x for x, digest in marks.rows.items() if then.rows.get(x) == digest)

    def lines(self, table: str, cell: _Cell, names: frozenset[str]) -> pd.DataFrame | None:
        """Lines of some candidates of a cell; of pairs, those of which both are among them."""
        there = self.tables.get(table, {}).get(cell)
        if there is None:
            return None
        if "method" in there:
            return rows_of(there, names)
        for side in ("a", "b"):
            there = there[_pair_side(there, side).isin(names)]
        return there

    @staticmethod
    def write(folder: Path, settings: str, cells: Mapping[_Cell, Marks]) -> None:
        """Writes down what the tables in a folder rest on."""
        names = [name for name in TABLES if name != "robustness"]
        write_json(
            {
                "settings": settings,
                "cells": {cell_file(*cell): asdict(marks) for cell, marks in cells.items()},
                "tables": {name: file_digest(folder / f"{name}.parquet") for name in names},
            },
            folder / FILE,
        )


def robustness_digest(n_resamples: int, seed: int) -> str:
    """Digest of the settings and of the source that makes the tables."""
    digest = hashlib.sha256(settings_digest(n_resamples=n_resamples, seed=seed).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def people_digest(people: pd.DataFrame | None) -> str:
    """Digest of what the tables take from the people of a cohort."""
    if people is None:
        return ""
    used = [c for c in (*SUBGROUPS, v.AGE_YEARS) if c in people]
    return table_digest(people[used].rename_axis(v.PARTICIPANT_ID).reset_index())


def marks_of(ledgers: Sequence[Ledger], scored: CellMemory | None, people: str) -> Marks:
    """What the lines of a cell rest on.

    Args:
        ledgers: The cell's.
        scored: What scoring wrote down of the cell; None where it did not.
        people: Digest of what is known of the cohort's people.
    """
    digests = {x.key.candidate: ledger_digest(x) for x in ledgers}
    if scored is None or digests != {name: row[0] for name, row in scored.rows.items()}:
        return Marks()  # a faulty row, or other scores than those of these ledgers
    context = hashlib.sha256(repr((scored.truth, scored.task, people)).encode())
    rows = {x.key.candidate: digests[x.key.candidate] + beside_digest(x) for x in ledgers}
    return Marks(context.hexdigest(), rows)


def _by_cell(table: pd.DataFrame) -> dict[_Cell, pd.DataFrame]:
    groups: Iterable[tuple[object, pd.DataFrame]] = table.groupby(list(CELL))
    return {(str(c[0]), str(c[1]), str(c[2])): part for c, part in groups if isinstance(c, tuple)}


def _pair_side(pairs: pd.DataFrame, side: str) -> pd.Series:
    names: pd.Series = pairs[f"method_{side}"] + "|" + pairs[f"track_{side}"]
    return names + "|" + pairs[f"derived_{side}"]
