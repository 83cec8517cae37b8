"""Keeps the scores of rows that have not changed since the last time.

A row's scores follow from its ledger, the people, labels, folds and sets of people of its cell, the
task, the settings and the code that scores. Where all of these have the digest that the folder of
scores wrote down, the row is taken from there. Anything else is scored, and a cell whose people or
sets have changed is scored whole. The result is the same as scoring everything; a test compares.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.metrics import METRICS
from benchmark.results.cell import Cell
from benchmark.results.digests import file_digest
from benchmark.results.folders import write_json
from benchmark.results.ledger import Ledger
from benchmark.tasks import Task

__all__ = [
    "CellMemory",
    "Kept",
    "Memory",
    "remember",
    "rows_of",
    "truth_digest",
]

Array = NDArray[Any]

FILE = "reuse.json"


@dataclass(slots=True)
class CellMemory:
    """What a cell's scores rest on.

    Attributes:
        truth: Digest of people, labels and strata.
        task: Digest of the task.
        sets: Members of each distinct set of people, as hexadecimal bits over the people.
        rows: By candidate: digest of its ledger and name of its own set.
        files: Digest of the cell's replicate and prediction files.
    """

    truth: str = ""
    task: str = ""
    sets: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """Split of a cell's ledgers.

    Attributes:
        names: Candidates whose scores are kept.
        ledgers: What is to be scored, and first the one that stands for those kept.
        anchor: The candidate that stands for them.
        memory: What was written down for the cell.
    """

    names: frozenset[str]
    ledgers: list[Ledger]
    anchor: str
    memory: CellMemory

    def holds(self, cell: Cell) -> bool:
        """Whether people, labels, strata and sets are still those of the kept rows."""
        if cell.gaps or truth_digest(cell) != self.memory.truth:
            return False  # a gap's message names the row it contradicts: found among all rows
        used = {own for name, (_, own) in self.memory.rows.items() if name in self.names}
        for entry in cell.entries:
            bits = _bits(entry.rows, len(cell.participant_ids))
            found = [name for name, known in self.memory.sets.items() if known == bits]
            if not found:
                return False
            used.add(found[0])
        return used == set(self.memory.sets)

    def sets(self, n_people: int) -> dict[str, Array]:
        """Row numbers of each set."""
        return {
            name: np.flatnonzero(
                np.unpackbits(np.frombuffer(bytes.fromhex(bits), dtype=np.uint8), count=n_people)
            )
            for name, bits in self.memory.sets.items()
        }


@dataclass(slots=True)
class Memory:
    """What a folder of scores rests on."""

    settings: str
    cells: dict[str, CellMemory] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, settings: str) -> Memory:
        """The folder's memory; empty where there is none, or settings or tables differ."""
        nothing = cls(settings)
        try:
            record = json.loads((folder / FILE).read_text())
            cells = {name: CellMemory(**cell) for name, cell in record["cells"].items()}
            whole = record["settings"] == settings and all(
                file_digest(folder / name) == digest for name, digest in record["tables"].items()
            )
        except (OSError, ValueError, KeyError, TypeError):
            return nothing
        return cls(settings, cells, record["tables"]) if whole else nothing

    def write(self, folder: Path, tables: Iterable[str]) -> None:
        """Writes down what the scores in the folder rest on."""
        write_json(
            {
                "settings": self.settings,
                "cells": {name: asdict(cell) for name, cell in self.cells.items()},
                "tables": {name: file_digest(folder / name) for name in tables},
            },
            folder / FILE,
        )

    def kept(
        self, name: str, ledgers: Sequence[Ledger], digests: Mapping[str, str], task: Task, at: Path
    ) -> Kept | None:
        """Which rows of a cell need no scoring; None where all do.

        Args:
            name: The cell's file name.
            ledgers: Its ledgers now.
            digests: Theirs, by candidate.
            task: Its task.
            at: The folder of scores.
        """
        memory = self.cells.get(name)
        if memory is None or memory.task != task_digest(task):
            return None
        if any(file_digest(at / path) != digest for path, digest in memory.files.items()):
            return None
        same = {x for x, (digest, _) in memory.rows.items() if digests.get(x) == digest}
        everybody = {x for x in same if memory.rows[x][1] == "s0"}
        anchor = next((x for x in ledgers if x.key.candidate in everybody and x.has_folds), None)
        if anchor is None:
            return None
        changed = [x for x in ledgers if x.key.candidate not in same]
        return Kept(frozenset(same), [anchor, *changed], anchor.key.candidate, memory)


def task_digest(task: Task) -> str:
    """Digest of what scoring takes from a task; none alike where a metric is not ours."""
    foreign = [n for n in task.metrics if not METRICS[n].kernel.__module__.startswith("benchmark.")]
    facts = (task.name, task.kind, task.classes, task.primary_metric, task.metrics)
    text = repr((facts, [id(METRICS[n].kernel) for n in foreign]))
    return hashlib.sha256(text.encode()).hexdigest()


def truth_digest(cell: Cell) -> str:
    """Digest of people, labels and strata."""
    digest = hashlib.sha256("\x1f".join(map(str, cell.participant_ids)).encode())
    for values in (cell.y_true, cell.strata):
        digest.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return digest.hexdigest()


def remember(
    cell: Cell, task: Task, sets: Mapping[str, Array], rows: Mapping[str, list[str]]
) -> CellMemory:
    """What to write down for a cell that was just scored, its files aside."""
    n = len(cell.participant_ids)
    bits = {name: _bits(members, n) for name, members in sets.items()}
    return CellMemory(truth_digest(cell), task_digest(task), bits, dict(rows))


def rows_of(table: pd.DataFrame, names: frozenset[str]) -> pd.DataFrame:
    """Rows of a table that belong to some candidates."""
    candidate = table["method"] + "|" + table["track"] + "|" + table["derived_from"]
    return table[candidate.isin(names)]


def _bits(rows: Array, n_people: int) -> str:
    mask = np.zeros(n_people, dtype=bool)
    mask[rows] = True
    return np.packbits(mask).tobytes().hex()
