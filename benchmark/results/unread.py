"""Rows whose files are as they were when they were last read, and need not be read again.

Beside a folder of scores, ``.<name>.read.json`` says of each method which files its rows came from
(size and times of change of every file of its runs, content of its plans and of its evaluations)
and the digests of these rows. Where the files are the same, a row has its digests without being
read; its predictions are read when something asks for them. A method of which a file is younger
than two seconds is not written down: the file may change once more and keep its size and times.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark import tracks, vocabulary
from benchmark.errors import ResultError
from benchmark.results.digests import beside_digest, file_digest, ledger_digest, settings_digest
from benchmark.results.embeddings import Embeddings
from benchmark.results.ledger import Gap, Ledger, RowFacts, RowKey, Trail
from benchmark.tasks import Task

__all__ = ["Known", "MethodRead", "RowRead", "UnreadLedger", "files_digest"]

SETTLED_NS: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class RowRead:
    """What is written down of a row.

    Attributes:
        facts: Its facts.
        trail: How it came about.
        digests: Of what scores rest on, and of what robustness tables rest on besides.
    """

    facts: RowFacts
    trail: Trail
    digests: tuple[str, str]


@dataclass(frozen=True, slots=True)
class MethodRead:
    """How the runs that one plan lists were read.

    Attributes:
        files: Digest of their files; empty where they may not be trusted to stay.
        rows: Their whole rows.
        results: By run id, what the table of runs takes of ``result.json``.
    """

    files: str = ""
    rows: Mapping[RowKey, RowRead] = field(default_factory=dict)
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_NOTHING: Final = MethodRead()


@dataclass(frozen=True, slots=True)
class Known:
    """What was written down when a folder of scores was made.

    Attributes:
        path: Where; None where nothing is to be kept.
        code: Digest of tasks, of the source that reads, and of what was read.
        methods: By plan.
    """

    path: Path | None = None
    code: str = ""
    methods: Mapping[str, MethodRead] = field(default_factory=dict)

    @classmethod
    def of(cls, scores: Path | None, tasks: Mapping[str, Task], *, with_validation: bool) -> Known:
        """What is known beside a folder of scores; nothing where it is not there or is outdated."""
        if scores is None:
            return cls()
        facts = [(t.name, t.classes, sorted(t.forbidden_sources)) for t in tasks.values()]
        sources = [file_digest(Path(str(m.__file__))) for m in (tracks, vocabulary)]
        code = settings_digest(tasks=facts, sources=sources, with_validation=with_validation)
        path = scores.with_name(f".{scores.name}.read.json")
        if not scores.is_dir():
            return cls(path, code)  # everything is read: now, and not when it is asked for
        try:
            record = json.loads(path.read_text())
            methods = {name: _method(m) for name, m in record["methods"].items()}
            same = record["code"] == code
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path, code)
        return cls(path, code, methods if same else {})

    def method(self, name: str, files: str) -> MethodRead:
        """What is known of a method whose files have this digest now."""
        then = self.methods.get(name, _NOTHING)
        return then if files and then.files == files else _NOTHING

    def write(self, methods: Mapping[str, MethodRead], ledgers: Iterable[Ledger]) -> None:
        """Writes down how methods were read, and the digests of their rows."""
        if self.path is None:
            return
        rows: dict[str, list[Any]] = {}
        for x in ledgers:
            if x.trail is not None:
                digests = ledger_digest(x), beside_digest(x)
                line = [asdict(x.key), asdict(x.facts), asdict(x.trail), digests]
                rows.setdefault(x.key.method, []).append(line)
        record = {
            name: {"files": m.files, "rows": rows.get(name.split("/")[0], []), "results": m.results}
            for name, m in methods.items()
        }
        fresh = self.path.with_name(f"{self.path.name}.partial")
        fresh.write_text(json.dumps({"code": self.code, "methods": record}))
        fresh.replace(self.path)


class UnreadLedger(Ledger):
    """A row that is known to be what it was; its tables are read when they are asked for."""

    _known: RowRead
    _read: Callable[[], Ledger | Gap]

    def __init__(self, key: RowKey, known: RowRead, read: Callable[[], Ledger | Gap]) -> None:
        for name, value in (("key", key), ("facts", known.facts), ("trail", known.trail)):
            object.__setattr__(self, name, value)
        self.__dict__.update(_known=known, _read=read)

    @property
    def has_folds(self) -> bool:
        """True: a run made it."""
        return True

    @property
    def digests(self) -> tuple[str, str]:
        """As they were written down."""
        return self._known.digests

    def read(self) -> Ledger:
        """The row with its tables.

        Raises:
            ResultError: It is not what was written down, though its files have the same size and
                times: a disk that fails, or a file that changed just now.
        """
        if "_whole" not in self.__dict__:
            row = self._read()
            if isinstance(row, Gap) or (ledger_digest(row), beside_digest(row)) != self.digests:
                why = row.error if isinstance(row, Gap) else "other predictions than before"
                raise ResultError(
                    f"{self.key}: its files are as old as when they were last read, but hold "
                    f"something else ({why}); check the disk, then rerun with `neurodx run`"
                )
            self.__dict__["_whole"] = row
        whole: Ledger = self.__dict__["_whole"]
        return whole

    @property
    def frame(self) -> pd.DataFrame:
        """See ``Ledger``."""
        return self.read().frame

    @property
    def validation(self) -> pd.DataFrame | None:
        """See ``Ledger``."""
        return self.read().validation

    @property
    def missing(self) -> pd.DataFrame | None:
        """See ``Ledger``."""
        return self.read().missing

    @property
    def missing_note(self) -> str:
        """See ``Ledger``."""
        return self.read().missing_note

    @property
    def embeddings(self) -> Embeddings:
        """See ``Ledger``."""
        return self.read().embeddings


def files_digest(plan: Path) -> str:
    """Digest of the files that a method's rows come from; empty where one is too young.

    Args:
        plan: The plan, ``runs/<method>/plan.json``. Of the other files beside it those of all
            plans and the evaluations count, and every file in the folder of a run.
    """
    folder, newest = plan.parent, 0
    digest = hashlib.sha256(plan.name.encode())
    for path in sorted([*folder.glob("plan*.json"), folder / "evaluations.jsonl"]):
        digest.update(f"{path.name}\x1e{file_digest(path)}\x1e".encode())
    for name in sorted(x.name for x in os.scandir(folder) if x.is_dir()):
        if name.startswith(".") or name == "failed":
            continue
        for file, stat in sorted(_files(f"{folder}/{name}")):
            newest = max(newest, stat.st_ctime_ns, stat.st_mtime_ns)
            times = stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino
            digest.update(repr((file[len(str(folder)) :], stat.st_size, times)).encode())
    return digest.hexdigest() if newest + SETTLED_NS < time.time_ns() else ""


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            else:
                yield entry.path, entry.stat()


def _method(record: Mapping[str, Any]) -> MethodRead:
    rows = {
        RowKey(**key): RowRead(
            RowFacts(**facts),
            Trail(**{**trail, "sources": tuple(trail["sources"])}),
            (digests[0], digests[1]),
        )
        for key, facts, trail, digests in record["rows"]
    }
    return MethodRead(record["files"], rows, record["results"])
