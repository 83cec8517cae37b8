"""Evaluation against a scikit-learn loop and torchmetrics' BootStrapper, and a full board's cost.

Run ``python perf/evaluation.py`` with one thread. Writes ``perf/results/evaluation.json``. Metrics
first: seven of one run of 1,000 people in three folds under 2,000 shared resamples, with percentile
intervals. Each rival runs on a share of the resamples, alternately with ours in one process, and
its time is scaled up.

- ``speedup_vs_sklearn``, ``speedup_vs_torchmetrics``: wall time per resample, medians of the
  repeats; ``cpu_ratio_*``: the same in CPU time. torchmetrics knows no folds, so both sides then
  work on one fold; its sampler is fed our draws, so that every replicate can be compared.
- ``largest_difference_*``: over all metrics and compared resamples.
- ``milliseconds_per_run``: ours, intervals included. ``bca_seconds``, ``bca_cpu_seconds``: every
  metric that is defined for two classes, with BCa (logit-DeLong for AUROC), best of the repeats.
- ``full_board_s``: scoring and ranking 200 methods on 10 tasks of 300 people in five folds from
  nothing, primary metric, all pairs, from 10,000 run folders that were just written.
  ``one_changed_method_s``: the same again when one method has other predictions in every task.
  ``*_cpu_s`` in CPU time, ``*_read_cpu_s`` what reading alone takes, ``*_rank_cpu_s`` ranking.
  ``score_cpu_s_by_methods``: scoring without reading, from nothing, median of the repeats;
  ``growth_in_methods``: that of all methods over that of half of them, 2 if linear.
- ``load_average``: over the last five minutes, this script's own 1 included; wall times are honest
  where it stays below ``processors``, CPU times in any case.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torchmetrics.classification as tm  # noqa: E402
from rescoring import METHODS, write_runs  # noqa: E402
from sklearn import metrics as sk  # noqa: E402
from torchmetrics import MeanMetric, MeanSquaredError, Metric  # noqa: E402
from torchmetrics.wrappers import BootStrapper, bootstrapping  # noqa: E402

from benchmark.metrics import METRICS  # noqa: E402
from benchmark.results import PlanFilter, rank_workspace  # noqa: E402
from benchmark.results.planned import read_runs  # noqa: E402
from benchmark.results.scoring import score_workspace  # noqa: E402
from benchmark.stats import (  # noqa: E402
    auroc_components,
    bootstrap_interval,
    delong_interval,
    delong_variance,
    draw_resamples,
    percentile_interval,
    strata_codes,
)
from benchmark.tasks import TASKS  # noqa: E402

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


def our_values(
    y: np.ndarray, p: np.ndarray, f: np.ndarray | None, weights: np.ndarray
) -> list[np.ndarray]:
    """The seven metrics under every resample, and their percentile intervals."""
    values = [METRICS[name].compute(y, p, f, weights) for name in NAMES]
    for name, replicates in zip(NAMES, values, strict=True):
        percentile_interval(float(METRICS[name].compute(y, p, f)), replicates)
    return values


def torch_metrics() -> list[tuple[Metric, str]]:
    """torchmetrics' counterparts, and what each takes: classes, probabilities or single losses."""
    return [
        (tm.BinaryAUROC(), "prob"),
        (tm.BinaryAveragePrecision(), "prob"),
        (tm.MulticlassAccuracy(2, average="macro"), "class"),
        (tm.MulticlassF1Score(2, average="macro"), "class"),
        (tm.BinaryMatthewsCorrCoef(), "class"),
        (MeanSquaredError(), "square"),
        (MeanMetric(), "loss"),  # it has no log loss of probabilities
    ]


def torch_values(y: np.ndarray, p: np.ndarray, draws: np.ndarray) -> list[np.ndarray]:
    """The seven metrics by BootStrapper on given draws, one row of person numbers each."""
    target, prob = torch.tensor(y), torch.tensor(p[:, 1])
    inputs = {
        "prob": (prob, target),
        "class": (torch.tensor(p.argmax(axis=1)), target),
        "square": (prob, target.double()),
        "loss": (-torch.tensor(np.log(p[np.arange(len(y)), y])),),
    }
    found = []
    for metric, takes in torch_metrics():
        wrapped = BootStrapper(
            metric, len(draws), mean=False, std=False, raw=True, sampling_strategy="multinomial"
        )
        replayed = iter(torch.tensor(draws))
        bootstrapping._bootstrap_sampler = lambda size, sampling_strategy, r=replayed: next(r)
        wrapped.update(*inputs[takes])
        found.append(wrapped.compute()["raw"].numpy())
    return found


def as_draws(counts: np.ndarray) -> np.ndarray:
    """Person numbers, as often as each was drawn; all rows have the same total."""
    return np.stack([np.repeat(np.arange(len(row)), row) for row in counts])


def compare(
    rival: Callable[[], list[np.ndarray]], ours: Callable[[], list[np.ndarray]]
) -> dict[str, float]:
    """Times both sides alternately and compares their numbers; medians over the repeats."""
    times, worst = [], 0.0
    for _ in range(REPEATS):
        mine, wall, cpu = timed(ours)
        theirs, slow_wall, slow_cpu = timed(rival)
        worst = max(worst, float(np.abs(np.array(mine)[:, :N_COMPARED] - theirs).max()))
        scale = N_RESAMPLES / N_COMPARED
        times.append((wall, cpu, slow_wall * scale, slow_cpu * scale))
    wall, cpu, slow_wall, slow_cpu = np.median(times, axis=0)
    return {
        "speedup": round(slow_wall / wall, 1),
        "cpu_ratio": round(slow_cpu / cpu, 1),
        "largest_difference": worst,
        "milliseconds": round(1000 * wall, 1),
        "cpu_milliseconds": round(1000 * cpu, 1),
        "rival_seconds": round(slow_wall, 2),
    }


def compare_all() -> dict[str, float]:
    """Both rivals."""
    y, p, f = make_run()
    ids = np.arange(N_PEOPLE).astype(str)
    weights = draw_resamples(ids, strata_codes(f, y), n_resamples=N_RESAMPLES)
    few = weights[:N_COMPARED].astype(np.float64)
    sklearn = compare(
        lambda: np.array([sklearn_values(y, p, f, w) for w in few]).T,
        lambda: our_values(y, p, f, weights),
    )
    drawn = np.random.default_rng(1).integers(0, N_PEOPLE, (N_RESAMPLES, N_PEOPLE))
    counts = np.stack([np.bincount(row, minlength=N_PEOPLE) for row in drawn])
    by_person = np.ascontiguousarray(counts.T.astype(np.float32)).T  # as draw_resamples gives it
    draws = as_draws(counts[:N_COMPARED])
    torch_side = compare(
        lambda: np.array(torch_values(y, p, draws)), lambda: our_values(y, p, None, by_person)
    )
    return {
        "speedup_vs_sklearn": sklearn["speedup"],
        "cpu_ratio_vs_sklearn": sklearn["cpu_ratio"],
        "largest_difference_vs_sklearn": sklearn["largest_difference"],
        "sklearn_seconds_per_run": sklearn["rival_seconds"],
        "speedup_vs_torchmetrics": torch_side["speedup"],
        "cpu_ratio_vs_torchmetrics": torch_side["cpu_ratio"],
        "largest_difference_vs_torchmetrics": torch_side["largest_difference"],
        "torchmetrics_seconds_per_run": torch_side["rival_seconds"],
        "milliseconds_per_run": sklearn["milliseconds"],
        "cpu_milliseconds_per_run": sklearn["cpu_milliseconds"],
    }


def bca_seconds() -> dict[str, float]:
    """Every metric defined for two classes with the interval that the board gives."""
    y, p, f = make_run()
    strata = strata_codes(f, y)
    weights = draw_resamples(np.arange(N_PEOPLE).astype(str), strata, n_resamples=N_RESAMPLES)
    metrics = [m for m in METRICS.values() if m.kind == "classification" and m.min_classes == 2]
    seconds, cpu = {}, {}
    for metric in metrics:
        if metric.no_interval:
            continue

        def interval(metric: object = metric) -> object:
            if metric.name == "roc_auc":
                parts = auroc_components(y, p, f)
                return delong_interval(
                    parts.auroc, delong_variance(parts.influence, strata), int(y.sum())
                )
            return bootstrap_interval(lambda w: metric.compute(y, p, f, w), weights, strata)

        seconds[metric.name], cpu[metric.name] = (
            min(times) for times in zip(*(timed(interval)[1:] for _ in range(REPEATS)), strict=True)
        )
    slowest = max(seconds, key=seconds.get)
    board = [name for name in TASKS["ad_cn"].metrics if name in seconds]
    return {
        "bca_metrics": len(seconds),
        "bca_seconds": round(sum(seconds.values()), 2),
        "bca_cpu_seconds": round(sum(cpu.values()), 2),
        "bca_seconds_of_the_boards_metrics": round(sum(seconds[name] for name in board), 2),
        "bca_slowest": slowest,
        "bca_slowest_seconds": round(seconds[slowest], 2),
    }


def board_seconds(n_methods: int = METHODS) -> dict[str, object]:
    """Wall and CPU seconds of scoring and ranking from run folders: all, and one method changed."""
    task = TASKS["ad_cn"]
    tasks = {**TASKS, "ad_cn": replace(task, metrics=(task.primary_metric,))}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        runs, scores = root / "runs", root / "scores"
        write_runs(runs, range(n_methods))

        def measured() -> dict[str, tuple[float, float]]:
            steps = {
                "read": lambda: read_runs(runs, tasks, scores=scores),
                "score": lambda: score_workspace(runs, scores, tasks=tasks),  # reads again
                "rank": lambda: rank_workspace(scores, root / "board"),
            }
            return {step: timed(work)[1:] for step, work in steps.items()}

        full = measured()
        write_runs(runs, [0], seed=1)
        again = measured()
        growth = {}
        for n in (n_methods // 8, n_methods // 4, n_methods // 2, n_methods):
            only = PlanFilter(methods=frozenset(f"m{k:03d}" for k in range(n)))
            workspace = read_runs(runs, tasks, only)
            seconds = []
            for repeat in range(REPEATS):
                out = root / f"growth-{n}-{repeat}"
                work = lambda w=workspace, o=out: score_workspace(w, o, tasks=tasks)  # noqa: E731
                seconds.append(timed(work)[2])
            growth[str(n)] = round(float(np.median(seconds)), 2)
    found: dict[str, object] = {}
    for label, times in (("full_board", full), ("one_changed_method", again)):
        found[f"{label}_s"] = round(times["score"][0] + times["rank"][0], 1)
        found[f"{label}_cpu_s"] = round(times["score"][1] + times["rank"][1], 1)
        found[f"{label}_read_cpu_s"] = round(times["read"][1], 1)
        found[f"{label}_rank_cpu_s"] = round(times["rank"][1], 1)
    last, half = growth[str(n_methods)], growth[str(n_methods // 2)]
    return {**found, "score_cpu_s_by_methods": growth, "growth_in_methods": round(last / half, 2)}


def main() -> None:
    """Measures and writes the result."""
    torch.set_num_threads(1)
    result = {
        "people": N_PEOPLE,
        "resamples": N_RESAMPLES,
        "resamples_compared": N_COMPARED,
        "metrics": list(NAMES),
        **compare_all(),
        **bca_seconds(),
        **board_seconds(),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[1], 1),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
