"""Rules about fitted methods."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import numpy as np

from benchmark import vocabulary as v
from benchmark.checks.outcome import ContractError
from benchmark.checks.tiny_cohort import GRID, write_tiny_cohort
from benchmark.errors import BenchmarkError, SampleError
from benchmark.prediction import Prediction
from benchmark.samples import Samples
from benchmark.tasks import TASKS

if TYPE_CHECKING:
    from benchmark.checks.bench import Bench

__all__ = [
    "crosses_process_boundary",
    "every_task_and_track",
    "labels_unreachable",
    "order_irrelevant",
    "other_grid_refused",
    "others_irrelevant",
    "same_seed_same_answer",
    "saved_equals_loaded",
    "unfitted_task_refused",
]

Answers = dict[str, Prediction]

_RTOL, _ATOL = 1e-4, 1e-5  # float32 sums in another order


def every_task_and_track(bench: Bench) -> str:
    """Fits and answers each task in each track: right shape, finite, rows that sum to 1."""
    n_fits = 0
    for track in bench.row.info.tracks:
        for group in bench.groups(track, every=bench.thorough):
            method = bench.fitted(group, track)
            bench.answers(method, bench.unseen(group, track), group)
            n_fits += 1
    return f"{n_fits} fits"


def labels_unreachable(bench: Bench) -> str:
    """Predicts people whose labels, ids and label-defining columns are not there to be read."""
    for group in bench.main:
        samples = bench.unseen(group)
        for task in group:
            _refuses_labels(samples, task.name)
        closed = frozenset().union(*(task.forbidden for task in group)) | {v.PARTICIPANT_ID}
        leaked = sorted(closed & set(samples.frame()))
        if leaked:
            raise ContractError(f"track {bench.row.track!r} shows {leaked} to {bench.name!r}")
        try:
            bench.answers(bench.fitted(group), samples, group)
        except SampleError as error:
            raise ContractError(
                f"predict() asked for what it may not see: {error}. Read labels and targets in "
                "fit() only"
            ) from error
    return ""


def same_seed_same_answer(bench: Bench) -> str:
    """Two fits with one seed agree to the last bit, whatever global generators hold."""
    for group in bench.main:
        first = bench.answers(bench.fitted(group), bench.unseen(group), group)
        random.seed(1234)
        np.random.seed(1234)
        second = bench.answers(bench.fit(group), bench.unseen(group), group)
        _same(
            first,
            second,
            exact=True,
            message="two fits with one seed differ; derive every generator from run.seed, e.g. "
            "np.random.default_rng(run.seed) or random_state=run.seed",
        )
    return ""


def order_irrelevant(bench: Bench) -> str:
    """People in another order get the same answers in that order."""
    for group in bench.main:
        method, samples = bench.fitted(group), bench.unseen(group)
        order = np.random.default_rng(3).permutation(samples.n)
        _same(
            _take(bench.answers(method, samples, group), order),
            bench.answers(method, samples.subset(order), group),
            message="answers depend on the order of people; keep batch statistics frozen in "
            "predict() (model.eval()) and return rows in the order of `samples`",
        )
    return ""


def others_irrelevant(bench: Bench) -> str:
    """A person's answer is the same alone as among others."""
    for group in bench.main:
        method, samples = bench.fitted(group), bench.unseen(group)
        whole = bench.answers(method, samples, group)
        for some in (np.arange(samples.n // 2), np.array([samples.n - 1])):
            _same(
                _take(whole, some),
                bench.answers(method, samples.subset(some), group),
                message="an answer changes with who else is predicted; learn scalers and medians "
                "in fit(), never from the people in predict()",
            )
    return ""


def saved_equals_loaded(bench: Bench) -> str:
    """What is loaded answers as what was saved, bit for bit."""
    for number, group in enumerate(bench.main):
        method, samples = bench.fitted(group), bench.unseen(group)
        folder = bench.folder / "saved" / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        method.save(folder)
        _same(
            bench.answers(method, samples, group),
            bench.answers(type(method).load(folder), samples, group),
            exact=True,
            message="load() does not give back what save() wrote; every attribute that fit() sets "
            "must be saved",
        )
    return ""


def crosses_process_boundary(bench: Bench) -> str:
    """People read from a folder of plain arrays and tables get the same answers."""
    for number, group in enumerate(bench.main):
        method, samples = bench.fitted(group), bench.unseen(group)
        folder = bench.folder / "samples" / str(number)
        samples.write(folder)
        _same(
            bench.answers(method, samples, group),
            bench.answers(method, Samples.read(folder), group),
            message="answers differ for the same people read from disk; use the public members of "
            "Samples only",
        )
    return ""


def unfitted_task_refused(bench: Bench) -> str:
    """A task that was not fitted is refused by name."""
    group = bench.main[0]
    other = next(task for task in TASKS.values() if task not in group)
    try:
        bench.fitted(group).predict(bench.unseen(group), [other])
    except BenchmarkError as error:
        if other.name in str(error):
            return ""
        raise ContractError(f"the error does not name the task {other.name!r}: {error}") from error
    except Exception as error:
        raise ContractError(_unclear(other.name, f"{type(error).__name__}: {error}")) from error
    raise ContractError(_unclear(other.name, "predictions"))


def _unclear(task: str, got: str) -> str:
    return (
        f"asked for {task!r}, which was not fitted, predict() gave {got}; expected a MethodError "
        "that names the task"
    )


def other_grid_refused(bench: Bench) -> str:
    """Volumes of another shape never reach the method; the error names both shapes."""
    group = bench.main[0]
    if "t1w" not in bench.unseen(group).arrays:
        return "sees no volumes"
    grid = (GRID[0] - 4, GRID[1], GRID[2])
    other = write_tiny_cohort(bench.folder / "other-grid", grid=grid)
    try:
        bench.fitted(group).predict(bench.unseen(group, cohort=other), group)
    except BenchmarkError as error:
        if str(grid) in str(error) and str(GRID) in str(error):
            return ""
        raise ContractError(f"expected {GRID} and {grid} in the error, got: {error}") from error
    raise ContractError(f"fitted on volumes {GRID}, it predicted volumes {grid}")


def _refuses_labels(samples: Samples, task: str) -> None:
    try:
        samples.labels(task)
    except SampleError:
        return
    raise ContractError(f"test samples give away the labels of {task!r}")


def _take(answers: Answers, rows: np.ndarray) -> Answers:
    return {
        name: Prediction(*(None if a is None else a[rows] for a in (p.probabilities, p.mean, p.sd)))
        for name, p in answers.items()
    }


def _same(first: Answers, second: Answers, *, message: str, exact: bool = False) -> None:
    for name, one in first.items():
        for field in ("probabilities", "mean", "sd"):
            a, b = getattr(one, field), getattr(second[name], field)
            if (a is None) != (b is None):
                raise ContractError(f"task {name!r}: {message} ({field} is there once only)")
            if a is None:
                continue
            worst = float(np.abs(a - b).max(initial=0.0))
            if exact and not np.array_equal(a, b):
                raise ContractError(f"task {name!r}: {message} (largest difference {worst:.3g})")
            if not np.allclose(a, b, rtol=_RTOL, atol=_ATOL):
                raise ContractError(f"task {name!r}: {message} (largest difference {worst:.3g})")
