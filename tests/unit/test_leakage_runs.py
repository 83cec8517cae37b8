"""The referee looks at what every run is given, after the track and the task have been applied."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from process_caches import forget
from tiny_cohort import EXTERNAL, N_PRETRAIN, TINY, N, visit_table, write_cohort
from visit_tables import tune_on_a_training_person

from benchmark.ablations.claims import Arm, Claim
from benchmark.ablations.study import plan_study, run_study
from benchmark.config import Profile
from benchmark.errors import LeakageError, SplitError
from benchmark.runs.checkpoints import refuse_pretrained_people
from benchmark.runs.job import Workspace
from benchmark.runs.people import Cell, fold_samples
from benchmark.runs.planning import plan_jobs
from benchmark.runs.refereeing import referee_jobs
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import run_row
from benchmark.samples import build
from benchmark.splitting import Split, make_split, write_split
from benchmark.store import Cohort, CohortWriter

pytestmark = pytest.mark.usefixtures("probe_site")
RATED = "Clinical Dementia Rating 0.5."


def replaced(folder: Path, visits: pd.DataFrame) -> None:
    """Another table in the place of a store's."""
    shutil.rmtree(folder)
    write_cohort(folder, visits)
    forget()


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


def test_a_run_on_reports_that_state_the_score_of_a_closed_track_is_refused(
    fresh_workspace: Workspace, dx3: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = CohortWriter.table

    def scored(writer: CohortWriter, name: str, table: pd.DataFrame) -> None:
        plain(writer, name, table.assign(text="MMSE 27.") if name == "reports" else table)

    with monkeypatch.context() as planting:
        planting.setattr(CohortWriter, "table", scored)
        write_cohort(fresh_workspace.data / TINY, visit_table(N, N_PRETRAIN))
    forget()
    with pytest.raises(LeakageError, match="'tiny': 42 reports state mmse"):
        run_row(resolve_row("probe", dx3, track="t1w+report"), dx3, fresh_workspace)
    assert not run_row(resolve_row("probe", dx3, track="t1w"), dx3, fresh_workspace).failed


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


@pytest.mark.parametrize("named", ["weights", "weights/weights.pt"])
def test_weights_of_a_folder_that_have_seen_somebody_who_is_held_back(
    fresh_workspace: Workspace, dx3: Profile, tmp_path: Path, named: str
) -> None:
    plain = plan_jobs(resolve_row("probe", dx3), dx3, fresh_workspace)[0]
    job = replace(plain, config={**plain.config, "text": {"folder": str(tmp_path / named)}})
    cells = [Cell.open(job, part, fresh_workspace) for part in job.parts]
    people = cells[0].people
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "weights.pt").touch()
    facts = tmp_path / "weights" / "checkpoint.json"
    facts.write_text(json.dumps({"participants": {TINY: [people["train"][0]]}}))
    refuse_pretrained_people(job, cells, fresh_workspace)
    for part in ("validation", "test"):
        who = people[part][0]
        facts.write_text(json.dumps({"participants": {TINY: [who]}}))
        told = rf"weights of 'text\.folder' have seen 1 people of {TINY} .*: {who};"
        with pytest.raises(LeakageError, match=told):
            refuse_pretrained_people(job, cells, fresh_workspace)


# Folds, before anything is fitted -----------------------------------------------------------------


def test_a_run_on_a_table_that_changed_since_the_split_is_refused(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    """Without the referee, whoever vanished would be left out of every fold in silence."""
    visits = visit_table(N, N_PRETRAIN)
    gone = visits["participant_id"] == "sub-0005"
    replaced(fresh_workspace.data / TINY, visits.loc[~gone])
    with pytest.raises(LeakageError, match="neurodx splits diff --cohort tiny") as refusal:
        run_row(resolve_row("probe", dx3), dx3, fresh_workspace)
    assert "1 people are unknown to the cohort: sub-0005" in str(refusal.value)
    assert not list((fresh_workspace.runs / "probe").glob("*/result.json"))


def test_a_fit_without_a_referee_does_not_lose_people_in_silence_either(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    job = plan_jobs(resolve_row("probe", dx3), dx3, fresh_workspace)[0]
    visits = visit_table(N, N_PRETRAIN)
    replaced(fresh_workspace.data / TINY, visits.loc[visits["participant_id"] != "sub-0005"])
    with pytest.raises(SplitError, match=r"names 1 whom .*sub-0005.*splits diff"):
        fold_samples(job, fresh_workspace)


def test_a_run_on_folds_drawn_until_they_looked_good_is_refused(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    split = make_split(Cohort(fresh_workspace.data / TINY), "3fold", 5)
    redrawn = Split(TINY, "3fold", 0, split.table, {**split.manifest, "seed": 0})
    write_split(redrawn, fresh_workspace.splits / TINY)
    forget()
    with pytest.raises(LeakageError, match="with seed 0 gives other folds"):
        run_row(resolve_row("probe", dx3), dx3, fresh_workspace)


def test_a_run_that_predicts_people_it_was_fitted_on_as_external_is_refused(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    """The training cohort once more, under another name."""
    copy = fresh_workspace.data / EXTERNAL
    shutil.rmtree(copy)
    write_cohort(copy, visit_table(N, N_PRETRAIN))
    forget()
    with pytest.raises(LeakageError, match=f"share data between {EXTERNAL} and {TINY}"):
        run_row(resolve_row("probe", dx3), dx3, fresh_workspace)


def test_a_run_whose_tuning_set_is_trained_on_is_refused(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    who = tune_on_a_training_person(fresh_workspace.splits / TINY)
    forget()
    with pytest.raises(LeakageError, match=rf"once: {who} \(train and validation of fold 0\)"):
        run_row(resolve_row("probe", dx3), dx3, fresh_workspace)


def test_arms_of_a_claim_on_folds_that_leak_are_refused(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    arms = {"low": Arm("probe"), "high": Arm("probe", {"shift": 0.5})}
    claim = Claim(title="More is better", source="nobody", cohort=TINY, tasks=["dx3"], arms=arms)
    who = tune_on_a_training_person(fresh_workspace.splits / TINY)
    forget()
    study = plan_study({"one": claim}, dx3, fresh_workspace)
    with pytest.raises(LeakageError, match=who):
        run_study(study, dx3, fresh_workspace)


def test_what_was_run_before_is_not_refereed_again_and_clean_folds_pass(
    fresh_workspace: Workspace, dx3: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "benchmark.runs.runner.referee_jobs",
        lambda jobs, workspace: asked.append(len(jobs)) or referee_jobs(jobs, workspace),
    )
    row = resolve_row("probe", dx3)
    assert len(run_row(row, dx3, fresh_workspace).done) == 3
    assert len(run_row(row, dx3, fresh_workspace).cached) == 3
    assert asked == [3, 0]
