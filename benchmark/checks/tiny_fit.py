"""A tiny real run: plan, fold, fit, ledger and record, as ``neurodx run`` makes them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pandas as pd

from benchmark import vocabulary as v
from benchmark.checks.outcome import ContractError
from benchmark.checks.tiny_cohort import TINY, write_tiny_cohort
from benchmark.config import CohortPlan, Profile, load_suite
from benchmark.runs.execute import execute
from benchmark.runs.identity import forget_inputs, run_id
from benchmark.runs.job import Workspace
from benchmark.runs.planning import plan_jobs
from benchmark.splitting import make_split, write_split

if TYPE_CHECKING:
    from benchmark.checks.bench import Bench

__all__ = ["tiny_fit"]

_PROTOCOL = "3fold"


def tiny_fit(bench: Bench) -> str:
    """Runs one fold in a workspace of its own and reads the record back.

    A row with a suite is fitted on as many made-up cohorts as the suite has.
    """
    forget_inputs()  # another method of this name may have been tried in this process
    workspace = Workspace(bench.folder)
    profile = Profile(name="check", protocol=_PROTOCOL, methods=[bench.name])
    tasks = [task.name for group in bench.main for task in group]
    suite = load_suite(bench.row.suite, profile).parts if bench.row.suite else {TINY: tasks}
    for number, (name, fitted) in enumerate(suite.items()):
        cohort = bench.cohort
        if number:
            place, other = bench.folder / "data", f"{TINY}-{number}"
            cohort = write_tiny_cohort(place, seed=number, name=other)
        write_split(make_split(cohort, _PROTOCOL, seed=0), workspace.splits / cohort.name)
        profile.plan[cohort.name] = CohortPlan(fit=list(fitted))
        profile.stand_ins[name] = cohort.name
    jobs = plan_jobs(bench.row, profile, workspace)
    if not jobs:
        raise ContractError(
            f"no run was planned for {bench.name!r} with tasks {list(suite.values())} in track "
            f"{bench.row.track!r}; does `requires` name a modality that the track opens?"
        )
    job = jobs[0]
    identity = run_id(job, workspace)
    folder = workspace.runs / job.row / identity
    shutil.rmtree(folder, ignore_errors=True)
    execute(job, identity, workspace)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    ledger = pd.read_parquet(folder / "predictions.parquet")
    parts = set(ledger["part"])
    if parts != {v.VALIDATION, v.TEST}:
        raise ContractError(f"the ledger holds {sorted(parts)}, expected validation and test")
    return f"fit in {result['fit_seconds']:.1f} s, {len(ledger)} predictions"
