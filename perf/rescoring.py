"""A new metric over 10,000 stored runs, no rerun.

Run ``python perf/rescoring.py`` with one thread. Writes ``perf/results/rescoring.json``:

- ``wall_seconds`` and ``cpu_seconds``: reading the ledgers of 200 methods x 10 cells x 5 folds (300
  people a cell) and computing balanced accuracy with its BCa interval from 2,000 resamples.
- ``wall_seconds_women``: the same for the women alone.
- ``robustness_seconds``: processor time of the robustness tables of 4 of the methods, and
  ``score_seconds``, of scoring them.
- ``largest_difference``: to scikit-learn's value over 20 of the rows.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.metrics import balanced_accuracy_score  # noqa: E402

from benchmark.results import PlanFilter, score_workspace  # noqa: E402
from benchmark.results.people import Background, people_table  # noqa: E402
from benchmark.results.rescore import Request, rescore  # noqa: E402
from benchmark.results.robustness import write_robustness  # noqa: E402

RESULT = Path(__file__).parent / "results" / "rescoring.json"
METHODS, CELLS, FOLDS, PEOPLE = 200, 10, 5, 300
COHORTS = [f"cohort-{k}" for k in range(CELLS)]
FEW = frozenset(f"m{k:03d}" for k in range(4))


def visits() -> pd.DataFrame:
    """The people of every cohort."""
    place = np.arange(PEOPLE)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{i:04d}" for i in place],
            "is_index": True,
            "sex": np.where(place % 2, "M", "F"),
            "age_years": 55.0 + place % 35,
            "site_id": [f"s{i % 5}" for i in place],
            "field_strength_t": np.where(place % 5 < 2, 1.5, 3.0),
            "apoe_e4": (place % 7 == 0) * 1.0,
        }
    )


def write_runs(root: Path, methods: Iterable[int] = range(METHODS), seed: int = 0) -> None:
    """The runs of some methods as the runner writes them, 50 each; another seed, other answers."""
    place = np.arange(PEOPLE)
    label = (place // 2 % 5 < 2).astype(float)
    ids = np.array([f"sub-{i:04d}" for i in place])
    for m in methods:
        rng = np.random.default_rng(m + seed * METHODS)
        folder = root / f"m{m:03d}"
        listed = []
        for cohort in COHORTS:
            p1 = 1 / (1 + np.exp(-(rng.normal(size=PEOPLE) + 1.5 * label - 0.7)))
            for fold in range(FOLDS):
                name = f"{cohort}-{fold}"
                listed.append(_write_run(folder, name, cohort, fold, (ids, label, p1)))
        plan = {"method": folder.name, "title": folder.name, "profile": "perf", "runs": listed}
        (folder / "plan.json").write_text(json.dumps(plan))


def _write_run(folder: Path, name: str, cohort: str, fold: int, ledger: tuple) -> dict:
    ids, label, p1 = ledger
    inside = np.arange(PEOPLE) % FOLDS == fold
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    frame = {"cohort": cohort, "task": "ad_cn", "part": "test", "participant_id": ids[inside]}
    frame |= {"session_id": "ses-M000", "y_true": label[inside]}
    frame |= {"prob_0": 1 - p1[inside], "prob_1": p1[inside]}
    pd.DataFrame(frame).to_parquet(target / "predictions.parquet", index=False)
    run = {"run_id": name, "track": "t1w", "protocol": "5fold", "fold": fold, "seed": 0}
    facts = {"method": folder.name, "profile": "perf", "tuned": False, "n_train": 200}
    facts |= {"parts": [{"cohort": cohort, "tasks": ["ad_cn"]}], "provenance": "reproduced here"}
    facts |= dict.fromkeys(("fit_seconds", "fit_cpu_seconds", "predict_seconds"), 1.0)
    facts |= {"peak_memory_mib": None, "params": None, "n_validation": 40, "started": ""}
    facts |= {"processes": 1}
    facts |= {"versions": {}, "hashes": {}, "commit": "", "schema_version": 1}
    (target / "result.json").write_text(json.dumps({**run, **facts}))
    return {**run, "cohort": cohort, "tasks": ["ad_cn"], "status": "done", "external": {}}


def largest_difference(root: Path, table: pd.DataFrame) -> float:
    """Against scikit-learn, on every 100th row."""
    worst = 0.0
    for row in table.iloc[::100].to_dict("records"):
        parts = [
            pd.read_parquet(root / row["method"] / f"{row['cohort']}-{k}" / "predictions.parquet")
            for k in range(FOLDS)
        ]
        whole = pd.concat(parts)
        expected = balanced_accuracy_score(whole["y_true"], whole["prob_1"] > 0.5)
        worst = max(worst, abs(expected - row["score"]))
    return worst


def main() -> None:
    """Measures and writes the result."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "runs"
        write_runs(root)
        people = dict.fromkeys(COHORTS, people_table(visits()))
        request = Request(("balanced_accuracy",))
        wall, cpu = time.perf_counter(), time.process_time()
        table = rescore(root, request, {})
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        start = time.perf_counter()
        women = rescore(root, Request(("balanced_accuracy",), 'sex == "F"'), people)
        women_wall = time.perf_counter() - start
        seconds = []
        scores, only = Path(name) / "scores", PlanFilter(FEW)
        for step in (
            lambda: score_workspace(root, scores, only=only),
            lambda: write_robustness(root, scores, Background(people), only=only),
        ):
            start = time.process_time()
            step()
            seconds.append(time.process_time() - start)
        result = {
            "runs": METHODS * CELLS * FOLDS,
            "rows": len(table),
            "done": int((table["status"] == "done").sum()),
            "wall_seconds": round(wall, 1),
            "cpu_seconds": round(cpu, 1),
            "wall_seconds_women": round(women_wall, 1),
            "women_done": int((women["status"] == "done").sum()),
            "score_seconds": round(seconds[0], 2),
            "robustness_seconds": round(seconds[1], 2),
            "largest_difference": largest_difference(root, table),
        }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
