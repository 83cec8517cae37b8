"""Shows how far a row's jobs have come, with the time left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmark.runs.job import Job, Workspace
from benchmark.runs.runner import Report
from benchmark.runs.watch import Outcome, Watch

__all__ = ["BarProgress", "JobProgress"]


class BarProgress:
    """A progress bar with the time left; it is silent where output goes to a file.

    Args:
        name: What is counted.
        total: How many; None while unknown.
        console: Where to write.
    """

    def __init__(self, name: str, total: int | None, console: Console | None = None) -> None:
        self._console = console or Console()
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=total, detail="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


class JobProgress(BarProgress, Watch):
    """Progress over jobs; in a log file, one line per finished job instead."""

    def __init__(self, row: str, workspace: Workspace, console: Console | None = None) -> None:
        super().__init__(row, None, console)
        self._row, self._workspace = row, workspace
        self._jobs: Mapping[str, Job] = {}

    def start(self, jobs: Mapping[str, Job], cached: int) -> None:
        """Takes the jobs that will run."""
        self._jobs = jobs
        self._bar.update(self._task, total=len(jobs) + cached, completed=cached)
        self._console.print(f"{self._row}: {len(jobs)} to run, {cached} already done")

    def done(self, outcome: Outcome) -> None:
        """Notes one finished job."""
        self._bar.advance(self._task)
        label = self._jobs[outcome.identity].label
        if outcome.error:
            text = f"[red]failed[/] {escape(label)}\n  {escape(outcome.error)}"
            self._console.print(text, highlight=False)
        elif not self._console.is_terminal:
            self._console.print(f"done   {escape(label)}", highlight=False)

    def tick(self) -> None:
        """Shows the last line that each running job logged."""
        details = []
        for identity, job in self._jobs.items():
            log = self._workspace.runs / job.row / f".{identity}.partial" / "train.jsonl"
            record = _last_record(log)
            if "epoch" in record:
                details.append(f"fold {job.fold} epoch {record['epoch']}")
        self._bar.update(self._task, detail=", ".join(details))

    def summary(self, report: Report, seconds: float) -> None:
        """Prints what came of it, and where to look on failure."""
        counts = f"{len(report.done)} run, {len(report.cached)} cached, {len(report.failed)} failed"
        self._console.print(f"{self._row}: {counts} in {seconds:.0f} s")
        if report.failed:
            folder = self._workspace.runs / report.row / "failed"
            self._console.print(
                f"tracebacks are in {folder}/; correct the cause and run the same command: what is "
                "done is kept"
            )


def _last_record(log: Path) -> dict[str, Any]:
    """The last whole line of a log that another process is writing, or moving away."""
    try:
        lines = log.read_text(encoding="utf-8").split("\n")
        record = json.loads(lines[-2]) if len(lines) > 1 else {}
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
