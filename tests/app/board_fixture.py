"""A small board with known content, made by the project's own scoring and ranking.

Eight methods over three cohorts: ``phantom-memory`` (AD against CN, and age from the brain),
``phantom-external`` (AD against CN, scored externally) and ``ad-csf`` (the role of real people).
The numbers come from draws of a normal latent, so every row's strength is set here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.results import Ledger, RowFacts, RowKey, rank_workspace, score_workspace
from benchmark.results.robustness import write_robustness

FOLDS = 3
RESAMPLES = 300
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MEMORY, EXTERNAL, CSF = "phantom-memory", "phantom-external", "ad-csf"

# method: (title, track, separation of the classes in standard deviations, CPU seconds, parameters)
METHODS = {
    "chance": ("Chance", "none", 0.0, 0.1, None),
    "age_sex": ("Age and sex", "demographic", 0.5, 0.4, 3),
    "regional_linear": ("Regional volumes, linear", "t1w", 1.45, 2.0, 95),
    "voxel_svm": ("Linear SVM on voxels", "t1w", 1.4, 31.0, 76_800),
    "resnet3d": ("3D ResNet", "t1w", 1.5, 312.0, 463_000),
    "brain_adapter": ("Brain-Adapter", "t1w+report", 2.2, 290.0, 1_250_000),
    "neurobridge": ("NeuroBridge <mini>", "t1w", 1.5, 305.0, 890_000),
    "biomarker_linear": ("Biomarkers, linear", "biomarker", 1.8, 1.2, 128),
}
AGE_ERROR_YEARS = {"regional_linear": 5.0, "resnet3d": 4.6, "voxel_svm": 7.5}
FAILURE = "RuntimeError: loss is NaN at epoch 3"


def write_runs(folder: Path) -> None:
    """Writes ``runs/`` as the runner does: a plan for each method, and its whole runs."""
    for seed, method in enumerate(METHODS):
        listed = []
        for cohort, task, external in _asked(method):
            for fold in range(FOLDS):
                run = _run(method, cohort, task, fold, external=external)
                listed.append(run)
                if run["status"] == "done":
                    _write_run(folder / method, run, seed)
        plan = {
            "method": method,
            "title": METHODS[method][0],
            "tuned": method == "resnet3d",
            "profile": "smoke",
            "runs": listed,
        }
        (folder / method).mkdir(parents=True, exist_ok=True)
        (folder / method / "plan.json").write_text(json.dumps(plan))


def _asked(method: str) -> list[tuple[str, str, bool]]:
    """(cohort, task, also scored externally) of each row a method has a plan for."""
    if method == "biomarker_linear":
        return [(CSF, "impaired", False)]
    asked = [(MEMORY, "ad_cn", method in ("age_sex", "regional_linear", "resnet3d"))]
    if method in ("chance", "age_sex"):
        asked.append((CSF, "impaired", False))
    if method in AGE_ERROR_YEARS or method == "brain_adapter":
        asked.append((MEMORY, "brain_age", False))
    return asked


def _run(method: str, cohort: str, task: str, fold: int, *, external: bool) -> dict[str, Any]:
    status, error = "done", None
    if method == "neurobridge" and fold == 1:
        status, error = "failed", FAILURE
    if method == "brain_adapter" and task == "brain_age":
        status = "missing"
    return {
        "run_id": f"{method}-{task}-{fold}",
        "cohort": cohort,
        "tasks": [task],
        "track": METHODS[method][1],
        "protocol": "3fold",
        "fold": fold,
        "seed": 0,
        "status": status,
        "error": error,
        "external": {EXTERNAL: [task]} if external else {},
    }


def _write_run(folder: Path, run: dict[str, Any], seed: int) -> None:
    method, fold, task = folder.name, run["fold"], run["tasks"][0]
    _, track, separation, seconds, params = METHODS[method]
    whole = _predictions(run["cohort"], task, method, separation, seed)
    parts = [whole.loc[np.arange(len(whole)) % 30 // 10 == fold].assign(part="test")]
    if run["external"]:
        external = _binary(EXTERNAL, 90, separation * 0.7, 50 * (fold + 1) + seed)
        parts.append(external.assign(part="external", cohort=EXTERNAL, task=task))
    target = folder / run["run_id"]
    target.mkdir(parents=True)
    pd.concat(parts, ignore_index=True).to_parquet(target / "predictions.parquet")
    result = {
        "schema_version": 1,
        "run_id": run["run_id"],
        "method": method,
        "track": track,
        "protocol": run["protocol"],
        "fold": fold,
        "seed": run["seed"],
        "profile": "smoke",
        "parts": [{"cohort": run["cohort"], "tasks": run["tasks"]}],
        "tuned": method == "resnet3d",
        "provenance": "reproduced here",
        "fit_seconds": seconds * 1.1,
        "fit_cpu_seconds": seconds,
        "predict_seconds": 0.1,
        "peak_memory_mib": 900.0,
        "params": params,
        "n_train": 100,
        "n_validation": 20,
        "processes": 1,
        "started": "2026-11-22T12:00:00+00:00",
        "versions": {},
        "hashes": {},
        "commit": COMMIT,
    }
    (target / "result.json").write_text(json.dumps(result))


def _predictions(cohort: str, task: str, method: str, strength: float, seed: int) -> pd.DataFrame:
    if task == "brain_age":
        frame = _ages(90, AGE_ERROR_YEARS[method], seed)
    else:
        frame = _binary(cohort, 100 if cohort == CSF else 180, strength, seed)
    return frame.assign(cohort=cohort, task=task)


def _binary(cohort: str, n: int, separation: float, seed: int) -> pd.DataFrame:
    positive = np.arange(n) % 5 >= 3 if cohort == CSF else np.arange(n) % 2 == 1
    shared = np.random.default_rng(7).standard_normal(n)
    own = np.random.default_rng(seed).standard_normal(n)
    latent = separation * (positive - 0.5) + 0.8 * shared + 0.6 * own
    p = 1 / (1 + np.exp(-latent)) if separation else np.full(n, 0.5)
    return pd.DataFrame(
        {
            "participant_id": [f"{cohort}-{i:04d}" for i in range(n)],
            "y_true": positive.astype(float),
            "prob_0": 1 - p,
            "prob_1": p,
        }
    )


def _ages(n: int, error_years: float, seed: int) -> pd.DataFrame:
    age = np.random.default_rng(3).uniform(55, 85, n)
    guess = age + np.random.default_rng(seed).normal(0, error_years, n)
    ids = [f"{MEMORY}-{i:04d}" for i in range(n)]
    return pd.DataFrame({"participant_id": ids, "y_true": age, "y_pred": guess})


def oracle() -> Ledger:
    """The oracle's row, which no run makes."""
    key = RowKey(MEMORY, "ad_cn", "t1w", "3fold", "oracle")
    frame = _binary(MEMORY, 180, 2.4, 99)
    return Ledger(key, frame, RowFacts(title="Oracle", profile="smoke"))


TUNING = "20 trials in 312 s of wall time (600 CPU s), on validation people of a twin (ad_cn)"


def cards() -> list[dict[str, Any]]:
    """A card for each method; one carries HTML that must not become part of the page."""
    return [
        {
            "method": method,
            "title": title,
            "summary": f"{title} in one sentence.",
            "paper": "Wen et al. 2020" if method == "resnet3d" else "",
            "doi": "10.1016/j.media.2020.101694" if method == "resnet3d" else "",
            "licence": "Apache-2.0",
            "contact": "",
            "tracks": track,
            "tasks": "ad_cn",
            "pretraining": "",
            "tuning": TUNING if method == "resnet3d" else "",
            "config_yaml": "epochs: 12\n",
            "readme_md": "# Notes\n<script>document.title = 'taken over'</script>",
            "bibtex": "@article{wen2020,\n  year = {2020}\n}" if method == "resnet3d" else "",
            "command": f"neurodx run method={method}",
        }
        for method, (title, track, *_) in METHODS.items()
    ]


FACTS = {
    "profile": "smoke",
    "commit": COMMIT,
    "date": "2026-11-22",
    "data_hashes": {MEMORY: "d1" * 32, EXTERNAL: "d2" * 32, CSF: "d3" * 32},
    "split_hashes": {f"{MEMORY}/3fold": "a1" * 32, f"{CSF}/3fold": "a2" * 32},
    "versions": {"python": "3.11", "numpy": "2.4"},
}


def write_board(workspace: Path) -> Path:
    """Makes the board in a workspace through the project's own scoring and ranking."""
    write_runs(workspace / "runs")
    score_workspace(
        workspace / "runs", workspace / "scores", n_resamples=RESAMPLES, extra=[oracle()]
    )
    write_robustness(workspace / "runs", workspace / "scores", extra=[oracle()])
    cohorts = {name: {"synthetic": name != CSF} for name in (MEMORY, EXTERNAL, CSF)}
    rank_workspace(workspace / "scores", workspace / "board", cards(), cohorts=cohorts, facts=FACTS)
    return workspace / "board"


if __name__ == "__main__":
    write_board(Path(sys.argv[1]))
