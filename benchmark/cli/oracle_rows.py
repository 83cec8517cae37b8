"""The oracle's ledgers for every cell in which a planned method has a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.cohorts.oracle_ledgers import OracleCell, oracle_ledger
from benchmark.results import Ledger, RowFacts, RowKey
from benchmark.runs.job import PLAN, Workspace

__all__ = ["oracle_rows"]

ORACLE = "oracle"
_EXTERNAL = "external"


def oracle_rows(
    workspace: Workspace, methods: Sequence[str], plans: Sequence[str] = (PLAN,)
) -> list[Ledger]:
    """Answers, as the generator, every cell and track that the plans of ``methods`` mention.

    Args:
        workspace: Where cohorts, their truth, splits and plans lie.
        methods: Board rows.
        plans: Names of the plans.
    """
    paths = [workspace.runs / method / plan for method in methods for plan in plans]
    cells = {cell for path in paths for cell in _cells(path)}
    ledgers = []
    for cell in sorted(cells, key=lambda c: (c.cohort, c.task, c.track, c.protocol)):
        frame = oracle_ledger(cell, workspace.data, workspace.truth, workspace.splits)
        if frame is None or frame.empty:
            continue
        key = RowKey(cell.cohort, cell.task, cell.track, cell.protocol or _EXTERNAL, ORACLE)
        title = "Oracle"
        ledgers.append(Ledger(key, frame, RowFacts(title=title)))
    return ledgers


def _cells(path: Path) -> Iterator[OracleCell]:
    if not path.is_file():
        return
    for run in json.loads(path.read_text())["runs"]:
        if run["track"] == "none":
            continue
        derived, split = run["derived"], run.get("split", run["protocol"])
        for part in run.get("parts") or [{"cohort": run["cohort"], "tasks": run["tasks"]}]:
            sources = [task for task, source in derived.items() if source in part["tasks"]]
            for task in (*part["tasks"], *sources):
                yield OracleCell(part["cohort"], task, run["track"], run["protocol"], split)
        for cohort, tasks in run["external"].items():
            sources = [task for task, source in derived.items() if source in tasks]
            for task in (*tasks, *sources):
                yield OracleCell(cohort, task, run["track"], "")
