"""Runs a study: asks for settings, hands them to workers, tells what they were worth."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmark.errors import RunFailed
from benchmark.processes import Answer, Pool
from benchmark.runs.job import Job
from benchmark.runs.people import fold_samples
from benchmark.runs.refereeing import referee_jobs
from benchmark.sweeps.evaluate import TrialOutcome, evaluate_trial
from benchmark.sweeps.history import Trial, earlier_sessions, trials_of, write_history
from benchmark.sweeps.journal import free_slots, open_study, sampler_for
from benchmark.sweeps.objective import FoldScore, objective
from benchmark.sweeps.plan import StudyPlan
from benchmark.sweeps.space import suggested_settings

__all__ = ["StudyResult", "Trial", "run_study"]

_DEFAULTS = -1  # key of the fit with the row's own settings; trial numbers begin at 0
_TRACE_LINES = 6
_POLL_SECONDS = 0.5
_PRELOAD = ("benchmark.sweeps.evaluate", "benchmark.sklearn_method")


@dataclass(frozen=True)
class StudyResult:
    """A study whose trials are all done.

    Attributes:
        trials: Every trial, interrupted ones included, in the order they were asked.
        best: The trial with the lowest value; the row's own settings, as slot -1, if none is lower.
        default_value: Value of the row's own settings; None if they failed.
        facts: The content of ``study.json``.
    """

    trials: Sequence[Trial]
    best: Trial
    default_value: float | None
    facts: dict[str, Any] = field(repr=False)


def run_study(
    plan: StudyPlan,
    workers: int,
    on_start: Callable[[Sequence[Trial]], None] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    on_tick: Callable[[], None] | None = None,
) -> StudyResult:
    """Brings a study to its number of trials; what an earlier call finished is kept.

    Args:
        plan: The study.
        workers: Number of processes; with one, equal seeds give equal trials.
        on_start: Called with the trials that are there already.
        on_trial: Called after each trial.
        on_tick: Called while waiting, about twice a second.

    Raises:
        ConfigError: The space suggests a setting that the method does not have, another sweep is
            running on the study, or its inputs have changed.
        LeakageError: The folds would leak, or are not of this cohort.
        RunFailed: Every trial failed; the first one's traceback is quoted.
    """
    referee_jobs(plan.jobs({}), plan.workspace)
    people = [
        tuple(map(len, fold_samples(job, plan.workspace)))
        for job in plan.jobs({})  # checks people and defaults before anything starts
    ]
    with open_study(plan.folder, plan.name, plan.inputs()) as study:
        sweep = _Sweep(plan, study, people, workers)
        if on_start:
            on_start(trials_of(study))
        try:
            sweep.run(on_trial, on_tick)
        finally:
            shutil.rmtree(plan.folder / "scratch", ignore_errors=True)
        return sweep.result()


class _Sweep:
    """One call of ``neurodx sweep`` on an open study."""

    def __init__(
        self, plan: StudyPlan, study: Any, people: Sequence[tuple[int, ...]], workers: int
    ) -> None:
        self._plan, self._study, self._people, self._workers = plan, study, people, workers
        self._clock = time.perf_counter()
        self._earlier = earlier_sessions(plan.folder, study.user_attrs["inputs"])
        self._tested_elsewhere = plan.tested_elsewhere()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._asked: dict[int, Any] = {}

    def run(
        self,
        on_trial: Callable[[Trial], None] | None,
        on_tick: Callable[[], None] | None,
    ) -> None:
        slots = free_slots(self._study, self._plan.n_trials)
        waiting = [_DEFAULTS] if "default" not in self._study.user_attrs else []
        waiting += slots
        count = max(1, min(self._workers, len(waiting)))
        with Pool(count, evaluate_trial, _PRELOAD) as pool:
            while waiting or pool.busy:
                while waiting and pool.free:
                    self._submit(pool, waiting.pop(0))
                for answer in pool.collect(_POLL_SECONDS):
                    self._take(answer, on_trial)
                if on_tick:
                    on_tick()

    def _submit(self, pool: Pool, slot: int) -> None:
        if slot == _DEFAULTS:
            pool.submit(_DEFAULTS, self._question(self._plan.jobs({})))
            return
        self._study.sampler = sampler_for(self._plan.seed, slot)
        trial = self._study.ask()
        trial.set_user_attr("slot", slot)
        settings = suggested_settings(self._plan.suggest, trial, self._plan.space_path)
        jobs = self._plan.jobs(settings)
        trial.set_user_attr("settings", settings)
        self._asked[trial.number] = trial
        pool.submit(trial.number, self._question(jobs))

    def _question(self, jobs: Sequence[Job]) -> tuple[list[dict[str, Any]], str, str]:
        scratch = self._plan.folder / "scratch"
        return [job.to_json() for job in jobs], str(self._plan.workspace.root), str(scratch)

    def _take(self, answer: Answer, on_trial: Callable[[Trial], None] | None) -> None:
        outcome = TrialOutcome(error=answer.died) if answer.died else _finite(answer.value)
        record = _record(outcome.scores)
        if answer.key == _DEFAULTS:
            value = None if outcome.error else objective(outcome.scores)
            self._study.set_user_attr(
                "default", {"value": value, "error": outcome.error, "record": record}
            )
        else:
            self._tell(self._asked.pop(answer.key), outcome, record)
        trials = trials_of(self._study)
        write_history(self._plan.folder, trials, self._facts(trials))
        if answer.key != _DEFAULTS and on_trial:
            on_trial(trials[answer.key])

    def _tell(self, trial: Any, outcome: TrialOutcome, record: dict[str, Any]) -> None:
        from optuna.trial import TrialState

        if outcome.error:
            trial.set_user_attr("trace", outcome.trace)
            trial.set_user_attr("error", outcome.error)
            self._study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_user_attr("record", record)
        self._study.tell(trial, objective(outcome.scores))

    def result(self) -> StudyResult:
        trials = trials_of(self._study)
        complete = [trial for trial in trials if trial.value is not None]
        facts = self._facts(trials)
        write_history(self._plan.folder, trials, facts)
        if not complete:
            first = next(trial for trial in trials if trial.error)
            lines = "\n  ".join((first.trace or first.error).strip().splitlines()[-_TRACE_LINES:])
            raise RunFailed(
                f"all {sum(bool(t.error) for t in trials)} trials of {self._plan.name} failed; the "
                f"first with:\n  {lines}\ncorrect the cause and remove {self._plan.folder} to "
                "begin anew (a change of the method's code begins anew by itself)"
            )
        best = min([*self._default(), *complete], key=lambda trial: (trial.value, trial.slot))
        return StudyResult(trials, best, facts["default_value"], facts)

    def _default(self) -> list[Trial]:
        """The row's own settings compete with the trials; nobody should tune for the worse."""
        known = self._study.user_attrs["default"]
        if known["value"] is None:
            return []
        nothing: dict[str, Any] = {}
        outcome = (known["value"], nothing, nothing, known["record"])
        return [Trial(_DEFAULTS, _DEFAULTS, "COMPLETE", *outcome, error="", trace="", started=None)]

    def _facts(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """Everything that ``study.json`` states."""
        import optuna

        plan = self._plan
        session = {
            "started": self._started,
            "seconds": time.perf_counter() - self._clock,
            "workers": self._workers,
        }
        sessions = [*self._earlier, session]
        default = self._study.user_attrs.get("default", {})
        records = [trial.record for trial in trials] + [default.get("record", {})]
        return {
            "study": plan.name,
            "method": plan.row.name,
            "profile": plan.profile.name,
            "cohort": plan.cohort,
            "tasks": list(plan.tasks),
            "track": plan.row.track,
            "protocol": plan.profile.protocol,
            "folds": list(plan.folds),
            "seed": plan.seed,
            "fixed": dict(plan.fixed),
            "direction": "minimize",
            "objective": _objective_name(plan),
            "n_train": [n for n, _ in self._people],
            "n_validation": [n for _, n in self._people],
            "tested_elsewhere": self._tested_elsewhere,
            "sampler": "TPESampler",
            "optuna": optuna.__version__,
            "trials": sum(trial.finished for trial in trials),
            "failed": sum(bool(trial.error) for trial in trials),
            "default_value": default.get("value"),
            "best_value": min((t.value for t in trials if t.value is not None), default=None),
            "wall_seconds": sum(entry["seconds"] for entry in sessions),
            "cpu_seconds": sum(record.get("cpu_seconds", 0.0) for record in records),
            "sessions": sessions,
            "inputs": self._study.user_attrs["inputs"],
        }


def _finite(outcome: TrialOutcome) -> TrialOutcome:
    """The same; failed where the objective is not finite: Optuna takes no NaN, and none is best."""
    value = 0.0 if outcome.error else objective(outcome.scores)
    if math.isfinite(value):
        return outcome
    losses = [{task: float(loss) for task, loss in s.losses.items()} for s in outcome.scores]
    return TrialOutcome(
        error=f"the objective is {value}, expected a finite number; validation losses by fold: "
        f"{losses}. Correct what the method predicts, or narrow its search space"
    )


def _record(scores: Sequence[FoldScore]) -> dict[str, Any]:
    """What is kept of a trial's fits: means over folds, sums of times."""
    if not scores:
        return {}
    n = len(scores)
    auc = {task: [s.roc_auc[task] for s in scores] for task in scores[0].roc_auc}
    return {
        "losses": {task: sum(s.losses[task] for s in scores) / n for task in scores[0].losses},
        "naive": {task: sum(s.naive[task] for s in scores) / n for task in scores[0].naive},
        "roc_auc": {
            task: sum(known) / len(known)
            for task, values in auc.items()
            if (known := [value for value in values if value is not None])
        },
        "seconds": sum(s.seconds for s in scores),
        "cpu_seconds": sum(s.cpu_seconds for s in scores),
    }


def _objective_name(plan: StudyPlan) -> str:
    from benchmark.tasks import get_task

    if len(plan.tasks) > 1:
        return "validation loss over that of the best constant, mean over tasks"
    return "validation log loss" if get_task(plan.tasks[0]).classes else "validation MAE"
