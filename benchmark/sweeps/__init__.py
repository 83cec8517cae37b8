"""Tuning: Optuna asks and tells, worker processes fit, validation people decide."""

from benchmark.sweeps.freeze import Frozen, freeze
from benchmark.sweeps.plan import StudyPlan, SweepRequest, plan_study
from benchmark.sweeps.study import StudyResult, Trial, run_study

__all__ = [
    "Frozen",
    "StudyPlan",
    "StudyResult",
    "SweepRequest",
    "Trial",
    "freeze",
    "plan_study",
    "run_study",
]
