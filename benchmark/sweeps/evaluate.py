"""One fit of a trial: training people in, validation loss out."""

from __future__ import annotations

import json
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError, MethodError
from benchmark.method import RunContext
from benchmark.runs.checkpoints import (
    checkpoint_folder,
    refuse_pretrained_people,
    weights_read,
)
from benchmark.runs.execute import new_method
from benchmark.runs.identity import feature_folder
from benchmark.runs.job import Job, Workspace
from benchmark.runs.people import Cell, fold_samples, tasks_of
from benchmark.samples import Samples
from benchmark.samples.align import align_samples
from benchmark.sweeps.objective import (
    FoldScore,
    naive_loss,
    validation_loss,
    validation_roc_auc,
)

__all__ = ["TrialOutcome", "evaluate", "evaluate_trial"]

_FOLDS_KEPT = 32


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What became of one trial: a score per fold, or the error with its traceback."""

    scores: tuple[FoldScore, ...] = ()
    error: str = ""
    trace: str = ""


def evaluate_trial(question: tuple[list[dict[str, Any]], str, str]) -> TrialOutcome:
    """Answers one trial in a worker process.

    Args:
        question: The jobs, one per fold, as JSON; the workspace; the scratch folder.
    """
    jobs, root, scratch = question
    workspace = Workspace(Path(root))
    try:
        scores = [evaluate(Job.from_json(job), workspace, Path(scratch)) for job in jobs]
    except BenchmarkError as error:
        return TrialOutcome(error=str(error), trace=traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - a method may raise anything; the trial records it
        return TrialOutcome(error=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
    return TrialOutcome(tuple(scores))


def evaluate(job: Job, workspace: Workspace, scratch: Path) -> FoldScore:
    """Fits a method on training people and scores it on validation people; nobody else is read.

    Args:
        job: The method, its settings, and one fold.
        workspace: Where cohort and split lie.
        scratch: Folder for the method's temporary files; each fit has its own inside it.

    Raises:
        MethodError: A task is not answered, or its predictions are not valid.
        ConfigError: The weights that the fit starts from are not there.
        LeakageError: They have seen somebody who is held back.
        Exception: Whatever the method raises.
    """
    tasks = tasks_of(job.parts)
    people = json.dumps(replace(job, config={}).to_json(), sort_keys=True)
    train, validation = _samples(people, workspace)
    if weights_read(job, workspace):
        cells = [Cell.open(job, part, workspace) for part in job.parts]
        refuse_pretrained_people(job, cells, workspace)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        context = RunContext(
            job.seed,
            Path(folder),
            job.device,
            precision=job.precision,
            pretrained=checkpoint_folder(job, workspace),
            features=feature_folder(job, workspace),
        )
        clock, cpu = time.perf_counter(), time.process_time()
        method = new_method(job)
        method.fit(train, validation, tasks, context)
        answers = method.predict(align_samples(validation.without_labels(), like=train), tasks)
        seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    missing = [task.name for task in tasks if task.name not in answers]
    if missing:
        raise MethodError(f"{job.label}: predict() gave nothing for {', '.join(missing)}")
    checked = {t.name: answers[t.name].check(t, len(validation), job.row) for t in tasks}
    return FoldScore(
        losses={t.name: validation_loss(t, checked[t.name], validation) for t in tasks},
        naive={t.name: naive_loss(t, train, validation) for t in tasks},
        roc_auc={
            t.name: validation_roc_auc(t, checked[t.name], validation) for t in tasks if t.classes
        },
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


@lru_cache(maxsize=_FOLDS_KEPT)
def _samples(job: str, workspace: Workspace) -> tuple[Samples, Samples]:
    """Samples of a fold, built once per process; trials differ in settings only."""
    return fold_samples(Job.from_json(json.loads(job)), workspace)
