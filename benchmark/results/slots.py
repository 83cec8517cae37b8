"""Which runs of a plan feed which rows of the board."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmark import vocabulary as v
from benchmark.results.ledger import RowKey
from benchmark.results.schema import EXTERNAL_PROTOCOL

__all__ = ["Slot", "absent_folds", "parts_of", "slots_of"]

_FOLDS: Final = re.compile(r"(?:(\d+)x)?(\d+)fold")


@dataclass(frozen=True, slots=True)
class Slot:
    """One run's share of a row: which task of its predictions, and which part of the fold."""

    run: Mapping[str, Any]
    task: str
    part: str


def parts_of(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cohorts of a run, each with the tasks that are fitted there."""
    return run.get("parts") or [{"cohort": run["cohort"], "tasks": run["tasks"]}]


def slots_of(method: str, runs: Sequence[Mapping[str, Any]]) -> dict[RowKey, list[Slot]]:
    """Groups runs by the rows of the board that they feed."""
    rows: dict[RowKey, list[Slot]] = {}
    for run in runs:
        shown = [(p["cohort"], run["protocol"], p["tasks"], v.TEST) for p in parts_of(run)]
        external: Mapping[str, Sequence[str]] = run.get("external") or {}
        shown += [(c, EXTERNAL_PROTOCOL, t, v.EXTERNAL) for c, t in external.items()]
        for cohort, protocol, fitted, part in shown:
            pairs = [(task, task, "") for task in fitted]
            derived = (run.get("derived") or {}).items()
            pairs += [(task, base, base) for task, base in derived if base in fitted]
            for task, base, origin in pairs:
                key = RowKey(cohort, task, run["track"], protocol, method, origin)
                rows.setdefault(key, []).append(Slot(run, base, part))
    return rows


def absent_folds(slots: Sequence[Slot]) -> str:
    """Says which folds the plan lacks, or how it is ambiguous; empty where all is there."""
    sources = sorted({f"{s.run['cohort']} {s.run['protocol']}" for s in slots})
    if len(sources) > 1:
        return f"models of several trainings predict this cohort ({', '.join(sources)}); pick one"
    match = _FOLDS.fullmatch(slots[0].run["protocol"])
    seeds = sorted({s.run["seed"] for s in slots})
    for seed in seeds:
        folds = [s.run["fold"] for s in slots if s.run["seed"] == seed]
        expected = range(int(match[1] or 1) * int(match[2])) if match else sorted(set(folds))
        if sorted(folds) != list(expected):
            return f"seed {seed} has folds {sorted(folds)}, expected each of {list(expected)} once"
    return ""
