"""A small synthetic workspace of plans, results and predictions, written as the runner does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.tasks import TASKS

N_FOLDS = 3


@dataclass(frozen=True)
class FakeMethod:
    """How good a synthetic method is, and whom it predicts."""

    name: str
    track: str = "t1w"
    skill: float = 1.0
    tasks: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"memory": ("dx3",)})
    derived: Mapping[str, str] = field(default_factory=lambda: {"ad_cn": "dx3"})
    external: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seeds: Sequence[int] = (0,)
    missing_share: float = 0.0
    status: Mapping[int, str] = field(default_factory=dict)
    constant: bool = False


def people(cohort: str, task: str, n: int) -> pd.DataFrame:
    """Participants with a label and a fold, the same for every method."""
    rng = np.random.default_rng([len(cohort), n, len(task)])
    classes = TASKS[task].classes
    label = rng.integers(0, len(classes), n).astype(float) if classes else rng.uniform(50, 90, n)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{cohort[:2]}{i:04d}" for i in range(n)],
            "y_true": label,
            "fold": np.arange(n) % N_FOLDS,
            "luck": rng.normal(size=n),
        }
    )


def predict(table: pd.DataFrame, task: str, method: FakeMethod, rng: np.random.Generator) -> Any:
    """Adds predictions: the label seen through noise, part of which all methods share."""
    n, k = len(table), len(TASKS[task].classes)
    if not k:
        noise = 4 * table["luck"].to_numpy() + 4 * rng.normal(size=n)
        value = table["y_true"].to_numpy() + noise / method.skill
        return table.assign(y_pred=70.0 if method.constant else value, y_sd=np.nan)
    logits = rng.normal(size=(n, k)) + 0.5 * table["luck"].to_numpy()[:, None]
    logits[np.arange(n), table["y_true"].astype(int)] += method.skill
    prob = np.exp(logits)
    prob /= prob.sum(axis=1, keepdims=True)
    if method.constant:
        prob = np.full((n, k), 1 / k)
    return table.assign(**{f"prob_{j}": prob[:, j] for j in range(k)})


def result_record(run_id: str, method: FakeMethod, cohort: str, fold: int, seed: int) -> dict:
    """A valid result.json."""
    return {
        "schema_version": 1,
        "run_id": run_id,
        "method": method.name,
        "track": method.track,
        "protocol": "3fold",
        "fold": fold,
        "seed": seed,
        "profile": "mini",
        "parts": [{"cohort": cohort, "tasks": list(method.tasks[cohort])}],
        "tuned": False,
        "provenance": "reproduced here",
        "fit_seconds": 2.0 + fold,
        "fit_cpu_seconds": 1.5,
        "predict_seconds": 0.1,
        "peak_memory_mib": 100.0,
        "params": 10,
        "n_train": 100,
        "n_validation": 20,
        "processes": 1,
        "started": "2026-01-01T00:00:00Z",
        "versions": {},
        "hashes": {},
        "commit": "",
    }


def write_workspace(
    root: Path, methods: Sequence[FakeMethod], sizes: Mapping[str, int] | None = None
) -> Path:
    """Writes ``runs/`` for some methods and returns it."""
    sizes = sizes or {"memory": 240, "population": 120, "external": 90}
    runs = root / "runs"
    for method in methods:
        planned = []
        for cohort, tasks in method.tasks.items():
            for seed in method.seeds:
                planned += [
                    _write_run(runs, method, cohort, tasks, fold, seed, sizes)
                    for fold in range(N_FOLDS)
                ]
        folder = runs / method.name
        folder.mkdir(parents=True, exist_ok=True)
        plan = {
            "method": method.name,
            "title": method.name.title(),
            "profile": "mini",
            "tuned": False,
            "runs": planned,
        }
        (folder / "plan.json").write_text(json.dumps(plan))
        lines = [json.dumps({"run_id": r["run_id"], "when": "now"}) for r in planned]
        (folder / "evaluations.jsonl").write_text("\n".join(lines) + "\n")
    return runs


def _write_run(
    runs: Path,
    method: FakeMethod,
    cohort: str,
    tasks: Sequence[str],
    fold: int,
    seed: int,
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    run_id = f"{cohort}-{fold}-{seed}"
    status = method.status.get(fold, "done")
    rng = np.random.default_rng([*method.name.encode(), fold, seed])
    frames = []
    for task in tasks:
        table = people(cohort, task, sizes[cohort])
        absent = np.random.default_rng(5).random(len(table)) < method.missing_share
        test = table[(table["fold"] == fold) & ~absent]
        frames.append(_labelled(predict(test, task, method, rng), cohort, task, "test"))
    external = method.external if cohort == "memory" else {}
    for other, wanted in external.items():
        for task in wanted:
            table = people(other, task, sizes[other])
            frames.append(_labelled(predict(table, task, method, rng), other, task, "external"))
    if status == "done":
        folder = runs / method.name / run_id
        folder.mkdir(parents=True)
        pd.concat(frames).drop(columns=["fold", "luck"]).to_parquet(
            folder / "predictions.parquet", index=False
        )
        record = result_record(run_id, method, cohort, fold, seed)
        (folder / "result.json").write_text(json.dumps(record))
    return {
        "run_id": run_id,
        "cohort": cohort,
        "tasks": list(tasks),
        "derived": {k: base for k, base in method.derived.items() if base in tasks},
        "external": {k: list(w) for k, w in external.items()},
        "track": method.track,
        "protocol": "3fold",
        "fold": fold,
        "seed": seed,
        "status": status,
        "error": "Boom: it broke\nTraceback" if status == "failed" else None,
    }


def _labelled(frame: pd.DataFrame, cohort: str, task: str, part: str) -> pd.DataFrame:
    return frame.assign(cohort=cohort, task=task, part=part, session_id="ses-01")


def write_missing(runs: Path, method: str) -> None:
    """Writes what a method answers with the scan, the report or a half of both missing.

    Every seventh person has no scan, every fourth no report; what is missing blurs the answer.
    """
    for path in sorted((runs / method).glob("*/predictions.parquet")):
        frame = pd.read_parquet(path)
        frame = frame[frame["part"] == "test"]
        place = frame["participant_id"].str[-4:].astype(int)
        has = {"report": place % 4 != 0, "t1w": place % 7 != 0}
        half = {name: mask & (place % 2 == k) for k, (name, mask) in enumerate(has.items())}
        left = {"report": {"report": has["report"]}, "t1w": {"t1w": has["t1w"]}, "drop-50": half}
        tables = []
        for shown, masks in left.items():
            n_shown = sum(mask.astype(int) for mask in masks.values())
            tables.append(_blurred(frame, n_shown).assign(shown=shown, n_shown=n_shown))
        pd.concat(tables, ignore_index=True).to_parquet(path.with_name("missing.parquet"))


def write_embeddings(runs: Path, method: str) -> None:
    """Writes vectors without a trace of anything beside each run of a method."""
    for path in sorted((runs / method).glob("*/predictions.parquet")):
        frame = pd.read_parquet(path)
        for cohort, part in frame[frame["part"] == "test"].groupby("cohort"):
            ids = np.unique(part["participant_id"].to_numpy(dtype=str))
            values = np.random.default_rng(len(ids)).normal(size=(len(ids), 12))
            target = path.parent / "exposed" / f"{cohort}.npz"
            target.parent.mkdir(exist_ok=True)
            np.savez_compressed(target, participant_id=ids, embedding=values)


def _blurred(frame: pd.DataFrame, n_shown: pd.Series) -> pd.DataFrame:
    columns = [c for c in frame if str(c).startswith("prob_") and frame[c].notna().all()]
    share = np.where(n_shown > 0, 0.6, 0.0)[:, None]
    noise = np.random.default_rng(len(frame)).dirichlet(np.ones(len(columns)), len(frame))
    blurred = (share * frame[columns] + (1 - share) * noise).to_numpy()
    return frame.assign(**{name: blurred[:, k] for k, name in enumerate(columns)})
