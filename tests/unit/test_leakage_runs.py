"""The referee looks at what every run is given, after the track and the task have been applied."""

from __future__ import annotations

import pandas as pd
import pytest
from process_caches import forget
from tiny_cohort import N_PRETRAIN, TINY, N, visit_table, write_cohort

from benchmark.config import Profile
from benchmark.errors import LeakageError
from benchmark.runs.job import Workspace
from benchmark.runs.people import fold_samples
from benchmark.runs.planning import plan_jobs
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import run_row
from benchmark.samples import build
from benchmark.store import CohortWriter

pytestmark = pytest.mark.usefixtures("probe_site")
RATED = "Clinical Dementia Rating 0.5."


@pytest.fixture
def dx3(tiny_profile: Profile) -> Profile:
    tiny_profile.plan[TINY].fit = ["dx3"]
    tiny_profile.workers = 1
    return tiny_profile


def test_a_run_on_reports_that_state_the_label_is_refused(
    fresh_workspace: Workspace, dx3: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = CohortWriter.table

    def rated(writer: CohortWriter, name: str, table: pd.DataFrame) -> None:
        plain(writer, name, table.assign(text=RATED) if name == "reports" else table)

    with monkeypatch.context() as planting:
        planting.setattr(CohortWriter, "table", rated)
        write_cohort(fresh_workspace.data / TINY, visit_table(N, N_PRETRAIN))
    forget()
    told = run_row(resolve_row("probe", dx3, track="t1w+report"), dx3, fresh_workspace)
    assert len(told.failed) == 3
    for error in told.failed.values():
        assert "reports state cdr_global, which defines the label" in error
    blind = run_row(resolve_row("probe", dx3, track="t1w"), dx3, fresh_workspace)
    assert not blind.failed, "a track without reports reads none"


def test_a_column_that_slipped_through_is_refused(
    fresh_workspace: Workspace, dx3: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan_jobs(resolve_row("probe", dx3), dx3, fresh_workspace)[0]
    fold_samples(job, fresh_workspace)

    def careless(cohort, people, *_: object) -> dict[str, pd.DataFrame]:
        return {"clinical": people[["mmse", "cdr_global"]]}

    monkeypatch.setattr(build, "_tables", careless)
    with pytest.raises(LeakageError, match="task 'dx3': circular inputs cdr_global"):
        fold_samples(job, fresh_workspace)


def test_what_another_task_of_the_same_fit_closes_is_refused_too(
    fresh_workspace: Workspace, dx3: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.store import Cohort
    from benchmark.tasks import get_task

    cohort = Cohort(fresh_workspace.data / TINY)
    people = list(cohort.index_visits["participant_id"][:4])
    tables = {"demographics": cohort.index_visits[["age_years"]][:4]}
    monkeypatch.setattr(build, "_tables", lambda *_: tables)
    asked = (cohort, people, frozenset({"demographics"}), [get_task("dx3")])
    build.build_samples(*asked, with_labels=False)
    with pytest.raises(LeakageError, match="task 'brain_age': circular inputs age_years"):
        build.build_samples(*asked, with_labels=False, also_fitted=[get_task("brain_age")])
