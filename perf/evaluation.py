"""Bootstrap evaluation against a scikit-learn loop over the same metrics and the same resamples.

Run ``python perf/evaluation.py`` with one thread. Writes ``perf/results/evaluation.json``:

- ``speedup_vs_sklearn``: wall time of the loop over that of ``Metric.compute``, per resample, for
  seven metrics of 1,000 people in three folds. Both sides are timed alternately in one process;
  the loop runs on a share of the resamples and its time is scaled up.
- ``ratio_cpu``: the same in CPU time.
- ``largest_difference``: over all metrics and compared resamples.
- ``milliseconds_per_run``: 2,000 resamples of the seven metrics.
- ``board_cpu_seconds``: scoring and ranking 15 methods on 10 cells of 300 people, 2,000 resamples.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn import metrics as sk  # noqa: E402

from benchmark.metrics import METRICS  # noqa: E402
from benchmark.results import Ledger, RowKey, rank_workspace  # noqa: E402
from benchmark.results.scoring import score_workspace  # noqa: E402
from benchmark.stats import draw_resamples, strata_codes  # noqa: E402

RESULT = Path(__file__).parent / "results" / "evaluation.json"
N_PEOPLE, N_RESAMPLES, N_COMPARED, REPEATS = 1000, 2000, 25, 3
NAMES = (
    "roc_auc",
    "pr_auc",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "brier_score",
    "log_loss",
)


def make_run(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and folds of one binary run."""
    rng = np.random.default_rng(seed)
    y = (rng.random(N_PEOPLE) < 0.4).astype(int)
    p1 = 1 / (1 + np.exp(-(rng.normal(size=N_PEOPLE) + 1.2 * y - 0.6)))
    return y, np.stack([1 - p1, p1], axis=1), rng.integers(0, 3, N_PEOPLE)


def by_fold(
    score: Callable[..., float],
    pairs: bool,
    y: np.ndarray,
    p: np.ndarray,
    f: np.ndarray,
    w: np.ndarray,
) -> float:
    """A scikit-learn metric within folds, folds weighted by pairs or by positives."""
    total = weight = 0.0
    for fold in range(3):
        inside = f == fold
        positive, negative = w[inside & (y == 1)].sum(), w[inside & (y == 0)].sum()
        share = positive * negative if pairs else positive
        total += share * score(y[inside], p[inside, 1], sample_weight=w[inside])
        weight += share
    return float(total / weight)


def sklearn_values(y: np.ndarray, p: np.ndarray, f: np.ndarray, w: np.ndarray) -> list[float]:
    """The seven metrics on one resample."""
    decided = p.argmax(axis=1)
    return [
        by_fold(sk.roc_auc_score, True, y, p, f, w),
        by_fold(sk.average_precision_score, False, y, p, f, w),
        sk.balanced_accuracy_score(y, decided, sample_weight=w),
        sk.f1_score(y, decided, average="macro", sample_weight=w),
        sk.matthews_corrcoef(y, decided, sample_weight=w),
        sk.brier_score_loss(y, p[:, 1], sample_weight=w),
        sk.log_loss(y, p, sample_weight=w),
    ]


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    """Result, wall seconds, CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def compare() -> dict[str, float]:
    """Times both sides alternately and compares their numbers; medians over the repeats."""
    y, p, f = make_run()
    ids = np.arange(N_PEOPLE).astype(str)
    weights = draw_resamples(ids, strata_codes(f, y), n_resamples=N_RESAMPLES)
    few = weights[:N_COMPARED].astype(np.float64)
    times, worst = [], 0.0
    for _ in range(REPEATS):
        ours, wall, cpu = timed(lambda: [METRICS[n].compute(y, p, f, weights) for n in NAMES])
        theirs, slow_wall, slow_cpu = timed(lambda: [sklearn_values(y, p, f, w) for w in few])
        gap = np.abs(np.array(ours)[:, :N_COMPARED] - np.array(theirs).T)
        worst = max(worst, float(gap.max()))
        scale = N_RESAMPLES / N_COMPARED
        times.append((wall, cpu, slow_wall * scale, slow_cpu * scale))
    wall, cpu, slow_wall, slow_cpu = np.median(times, axis=0)
    return {
        "speedup_vs_sklearn": round(slow_wall / wall, 1),
        "ratio_cpu": round(slow_cpu / cpu, 1),
        "largest_difference": worst,
        "milliseconds_per_run": round(1000 * wall, 1),
        "cpu_milliseconds_per_run": round(1000 * cpu, 1),
        "sklearn_seconds_per_run": round(slow_wall, 2),
    }


def make_ledger(method: int, cell: int) -> Ledger:
    """One method's three-class predictions in one cell."""
    rng = np.random.default_rng([method, cell])
    n = 300
    y = np.random.default_rng(cell).integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + (0.5 + 0.1 * method) * np.eye(3)[y]
    prob = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = pd.DataFrame({f"prob_{k}": prob[:, k] for k in range(3)}).assign(
        participant_id=[f"sub-{i}" for i in range(n)], y_true=y, fold=np.arange(n) % 3
    )
    kept = frame[np.random.default_rng(cell + 99).random(n) > 0.1 * (method % 3)]
    return Ledger(RowKey(f"cohort{cell}", "dx3", "t1w", "3fold", f"method{method:02d}"), kept)


def board_cpu_seconds(n_methods: int = 15, n_cells: int = 10) -> float:
    """CPU seconds of scoring and ranking a whole board."""
    ledgers = [make_ledger(m, c) for m in range(n_methods) for c in range(n_cells)]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "runs" / "none").mkdir(parents=True)
        (root / "runs" / "none" / "plan.json").write_text('{"method": "none", "runs": []}')

        def whole() -> None:
            score_workspace(root / "runs", root / "scores", extra=ledgers)
            rank_workspace(root / "scores", root / "board")

        return round(timed(whole)[2], 1)


def main() -> None:
    """Measures and writes the result."""
    result = {
        "people": N_PEOPLE,
        "resamples": N_RESAMPLES,
        "resamples_compared": N_COMPARED,
        "metrics": list(NAMES),
        **compare(),
        "board_cpu_seconds": board_cpu_seconds(),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
