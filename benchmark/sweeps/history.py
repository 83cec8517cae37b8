"""What a study leaves for its readers: ``trials.parquet`` and ``study.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmark.store.atomic import write_json, write_parquet

__all__ = ["FACTS", "Trial", "earlier_sessions", "trials_of", "trials_table", "write_history"]

FACTS: Final = "study.json"


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: Position in the journal.
        slot: Which of the N trials it is; an interrupted one leaves its slot to another.
        state: Optuna's: ``COMPLETE``, ``FAIL`` or ``RUNNING``.
        value: The objective; None unless complete.
        params: What the sampler drew, by the names of the space.
        settings: What the space made of it, by dotted keys of the method's settings.
        record: Means over folds and times; empty unless complete.
        error: Why it failed; empty for an interrupted trial.
        trace: The traceback that belongs to it.
        started: When it was asked.
    """

    number: int
    slot: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    record: Mapping[str, Any]
    error: str
    trace: str
    started: datetime | None

    @property
    def finished(self) -> bool:
        """Whether it counts: complete, or failed by the method's own doing."""
        return self.value is not None or bool(self.error)


def trials_of(study: Any) -> list[Trial]:
    """Reads all trials of an Optuna study, in the order they were asked."""
    return [
        Trial(
            number=trial.number,
            slot=int(trial.user_attrs.get("slot", -1)),
            state=trial.state.name,
            value=None if trial.value is None else float(trial.value),
            params=dict(trial.params),
            settings=dict(trial.user_attrs.get("settings", {})),
            record=dict(trial.user_attrs.get("record", {})),
            error=str(trial.user_attrs.get("error", "")),
            trace=str(trial.user_attrs.get("trace", "")),
            started=trial.datetime_start,
        )
        for trial in study.get_trials(deepcopy=False)
    ]


def trials_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial, for charts of history and importance.

    Returns:
        ``number slot state value seconds cpu_seconds datetime error``, then ``params.<name>`` as
        drawn (texts where a parameter is not numeric), ``loss.<task>`` and ``roc_auc.<task>``.
    """
    rows = [
        {
            "number": trial.number,
            "slot": trial.slot,
            "state": trial.state,
            "value": trial.value,
            "seconds": trial.record.get("seconds"),
            "cpu_seconds": trial.record.get("cpu_seconds"),
            "datetime": trial.started,
            "error": trial.error,
            **{f"params.{name}": value for name, value in trial.params.items()},
            **{f"loss.{task}": x for task, x in trial.record.get("losses", {}).items()},
            **{f"roc_auc.{task}": x for task, x in trial.record.get("roc_auc", {}).items()},
        }
        for trial in trials
    ]
    table = pd.DataFrame(rows)
    for column in ("value", "seconds", "cpu_seconds"):
        table[column] = table[column].astype("float64")
    for column in [name for name in map(str, table) if name.startswith("params.")]:
        if not pd.api.types.is_numeric_dtype(table[column]):
            known = table[column].notna()
            table[column] = table[column].astype(object).where(known).map(str, na_action="ignore")
    return table


def write_history(folder: Path, trials: Sequence[Trial], facts: Mapping[str, Any]) -> None:
    """Writes both files, each atomically."""
    if trials:
        write_parquet(folder / "trials.parquet", trials_table(trials))
    write_json(folder / FACTS, dict(facts))


def earlier_sessions(folder: Path, inputs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Start, duration and workers of earlier calls that worked on the same study."""
    path = folder / FACTS
    facts = json.loads(path.read_text()) if path.is_file() else {}
    return list(facts["sessions"]) if facts.get("inputs") == dict(inputs) else []
