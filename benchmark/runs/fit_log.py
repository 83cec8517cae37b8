"""The log of a fit and the seconds that it took, over interruptions."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmark.store.atomic import write_text

__all__ = ["LOG", "FitLog"]

LOG: Final = "train.jsonl"
_SESSIONS: Final = "sessions.jsonl"  # every epoch of every session, with the seconds spent by then


class FitLog:
    """Writes ``train.jsonl``, and counts the seconds of one fit.

    A fit that was interrupted begins its log anew. Where a training says that it goes on after an
    epoch, the lines up to that epoch come back, and their seconds count again: a fit that was
    interrupted costs what was kept of it and what came after. Epochs that were lost and are learned
    again count once.

    Args:
        folder: The partial folder of the fit; what earlier sessions left there is read.
    """

    def __init__(self, folder: Path) -> None:
        self._log, self._sessions = folder / LOG, folder / _SESSIONS
        self._log.unlink(missing_ok=True)
        self._earlier = {_epoch(entry["record"]): entry for entry in _read(self._sessions)}
        self._before = 0.0, 0.0
        self.start()

    def start(self) -> None:
        """Begins to count."""
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def spent(self) -> tuple[float, float]:
        """Seconds of the fit by now, those of earlier sessions that were kept included.

        Returns:
            Wall-clock seconds, and processor seconds of this process.
        """
        seconds, cpu = self._before
        return (
            seconds + time.perf_counter() - self._clock,
            cpu + time.process_time() - self._cpu,
        )

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Adds a record, as :attr:`RunContext.log` does."""
        if "resumed_after_epoch" in record:
            self._take_back(record.get("stage"), int(record["resumed_after_epoch"]))
        _append(self._log, record)
        if "epoch" in record:
            _append(self._sessions, {"record": dict(record), "spent": self.spent()})

    def close(self) -> None:
        """Removes what only another session would need."""
        self._sessions.unlink(missing_ok=True)

    def _take_back(self, stage: Any, last: int) -> None:
        """Takes over an earlier session's epochs of a stage, up to one of them."""
        kept = [self._earlier.get((stage, epoch)) for epoch in range(1, last + 1)]
        for entry in filter(None, kept):
            _append(self._log, entry["record"])
            seconds, cpu = entry["spent"]
            self._before = float(seconds), float(cpu)


def _epoch(record: Mapping[str, Any]) -> tuple[Any, Any]:
    return record.get("stage"), record["epoch"]


def _read(path: Path) -> list[dict[str, Any]]:
    """The whole lines; a kill may have cut the last one, which is then removed."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_text(path, whole)
    return [json.loads(line) for line in whole.splitlines()]


def _append(path: Path, record: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(dict(record)) + "\n")
