"""The runner: what is cached stays, what fails is told, what is stored can be read."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import EXTERNAL, TINY, write_cohort

from benchmark.config import CohortPlan, Profile
from benchmark.runs.execute import execute
from benchmark.runs.job import Workspace
from benchmark.runs.planning import Selection, plan_jobs
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import Report, run_row
from benchmark.splitting import Split, make_split, read_split, write_split
from benchmark.store import Cohort
from benchmark.tasks import get_task, labels_for

pytestmark = pytest.mark.usefixtures("probe_site")


def run(workspace: Workspace, profile: Profile, row: str = "probe", **options) -> Report:
    settings = options.pop("settings", {})
    track = options.pop("track", None)
    return run_row(resolve_row(row, profile, settings, track), profile, workspace, **options)


def records(workspace: Workspace, row: str = "probe") -> dict[str, dict]:
    paths = (workspace.runs / row).glob("*/result.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def ledgers(workspace: Workspace, row: str = "probe") -> dict[str, pd.DataFrame]:
    return {
        name: pd.read_parquet(workspace.runs / row / name / "predictions.parquet")
        for name in sorted(records(workspace, row))
    }


def plan(workspace: Workspace, row: str = "probe") -> dict:
    return json.loads((workspace.runs / row / "plan.json").read_text())


def evaluations(workspace: Workspace, row: str = "probe") -> Counter:
    text = (workspace.runs / row / "evaluations.jsonl").read_text()
    return Counter(json.loads(line)["run_id"] for line in text.splitlines())


def first_line_of_log(folder: Path) -> dict:
    return json.loads((folder / "train.jsonl").read_text().splitlines()[0])


@pytest.fixture
def small(tiny_profile: Profile) -> Profile:
    """One task, three folds."""
    tiny_profile.plan[TINY].fit = ["dx3"]
    return tiny_profile


def test_a_row_is_run_stored_planned_and_then_cached(
    fresh_workspace: Workspace, tiny_profile: Profile
) -> None:
    report = run(fresh_workspace, tiny_profile)
    assert len(report.done) == 6
    assert not report.failed
    folder = fresh_workspace.runs / "probe"
    assert {p.name for p in folder.iterdir()} == {*report.done, "plan.json", "evaluations.jsonl"}
    for name, record in records(fresh_workspace).items():
        files = {p.name for p in (folder / name).iterdir()}
        expected = {"job.json", "config.yaml", "result.json", "predictions.parquet", "train.jsonl"}
        assert files == expected
        assert record["run_id"] == name
        assert record["peak_memory_mib"] > 10
        assert record["n_train"] > record["n_validation"] > 0
    runs = plan(fresh_workspace)["runs"]
    assert {r["run_id"] for r in runs} == set(report.done)
    assert {(r["cohort"], *r["tasks"], r["fold"], r["seed"], r["status"]) for r in runs} == {
        (TINY, task, fold, 0, "done") for task in ("dx3", "conversion") for fold in range(3)
    }
    by_task = {r["tasks"][0]: r for r in runs}
    assert by_task["dx3"]["derived"] == {"ad_cn": "dx3"}
    assert by_task["dx3"]["external"] == {EXTERNAL: ["dx3"]}
    assert by_task["conversion"]["derived"] == by_task["conversion"]["external"] == {}
    assert evaluations(fresh_workspace) == dict.fromkeys(report.done, 1)

    logs = [first_line_of_log(folder / name) for name in report.done]
    assert len({log["pid"] for log in logs}) == 2, "two processes were asked for"
    assert {log["threads"] for log in logs} == {1}

    times = {p: p.stat().st_mtime_ns for n in report.done for p in (folder / n).iterdir()}
    again = run(fresh_workspace, tiny_profile)
    assert set(again.cached) == set(report.done)
    assert not again.done
    assert {p: p.stat().st_mtime_ns for p in times} == times
    assert evaluations(fresh_workspace) == dict.fromkeys(report.done, 1)


def test_the_ledger_holds_every_eligible_person_once(
    fresh_workspace: Workspace, tiny_profile: Profile
) -> None:
    run(fresh_workspace, tiny_profile)
    cohort = Cohort(fresh_workspace.data / TINY)
    split = read_split(fresh_workspace.splits / TINY, "3fold")
    index = cohort.index_visits
    whole = pd.concat(ledgers(fresh_workspace).values(), ignore_index=True)
    assert set(whole["part"]) == {"validation", "test", "external"}
    for task in ("dx3", "conversion"):
        labels = labels_for(get_task(task), cohort.visits)
        truth = dict(zip(index["participant_id"], labels.values, strict=True))
        seen = (index["part"] == "evaluate") & (index["t1w_row"] >= 0)  # all that the track opens
        eligible = set(index.loc[labels.mask & seen, "participant_id"])
        test = whole.query("task == @task and part == 'test'")
        assert Counter(test["participant_id"]) == dict.fromkeys(eligible, 1)
        np.testing.assert_array_equal(test["y_true"], test["participant_id"].map(truth))
        columns = [f"prob_{k}" for k in range(len(get_task(task).classes))]
        np.testing.assert_allclose(test[columns].sum(axis=1), 1.0)
    external = whole.query("part == 'external'")
    assert set(external["cohort"]) == {EXTERNAL}
    assert set(external["task"]) == {"dx3"}
    outside = Cohort(fresh_workspace.data / EXTERNAL).index_visits
    assert len(external) == 3 * int((outside["t1w_row"] >= 0).sum())
    for name, ledger in ledgers(fresh_workspace).items():
        fold = split.fold(records(fresh_workspace)[name]["fold"])
        inside = ledger.query("part != 'external'")
        for part, people in inside.groupby("part")["participant_id"]:
            assert set(people) <= set(getattr(fold, part))


def test_the_same_job_in_two_workspaces_gives_the_same_predictions(
    tiny_workspace: Workspace, fresh_workspace: Workspace, tmp_path: Path, small: Profile
) -> None:
    run(fresh_workspace, small)
    other = Workspace(tmp_path / "other")
    other.root.mkdir()
    for part in ("data", "splits"):
        (other.root / part).symlink_to(tiny_workspace.root / part)
    small.workers = 1
    run(other, small)
    first, second = ledgers(fresh_workspace), ledgers(other)
    assert set(first) == set(second)
    for name, ledger in first.items():
        pd.testing.assert_frame_equal(second[name], ledger, check_exact=True)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise", r"FloatingPointError: the loss \[diverged\]"),
        ("exit", "WorkerDied: the process ended itself with exit status 9"),
        ("kill", "WorkerDied: the process was ended by SIGKILL, most often because memory"),
        ("full", "No space left on device"),
    ],
)
def test_one_failing_job_stops_no_other_and_alone_is_retried(
    fresh_workspace: Workspace, small: Profile, tmp_path: Path, how: str, said: str
) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    small.seeds = [0, 1]
    settings = {"bad_seed": 1, "how": how, "flag": str(flag)}
    select = Selection(fold=0)
    row = resolve_row("probe", small, settings)
    jobs = plan_jobs(row, small, fresh_workspace)
    report = run(fresh_workspace, small, settings=settings)
    assert len(report.done) == 3
    assert len(report.failed) == 3
    for identity, error in report.failed.items():
        assert report.jobs[identity].seed == 1
        assert pd.Series([error]).str.contains(said).all(), error
        kept = fresh_workspace.runs / "probe" / "failed" / f"{identity}.json"
        record = json.loads(kept.read_text())
        assert pd.Series([record["error"]]).str.contains(said).all()
        if how == "raise":
            assert "_misbehave" in record["traceback"]
            assert json.loads(record["log"][-1])["threads"] == 1
        assert not (fresh_workspace.runs / "probe" / identity).exists()
    statuses = {r["run_id"]: r["status"] for r in plan(fresh_workspace)["runs"]}
    assert Counter(statuses.values()) == {"done": 3, "failed": 3}
    assert all(r["error"] for r in plan(fresh_workspace)["runs"] if r["status"] == "failed")
    if how == "raise":  # nothing of a failed run is left beside its record
        assert not list((fresh_workspace.runs / "probe").glob(".*"))

    flag.unlink()
    narrowed = run(fresh_workspace, small, settings=settings, select=select)
    assert (len(narrowed.cached), len(narrowed.done)) == (1, 1)
    again = run(fresh_workspace, small, settings=settings)
    assert len(again.cached) == 4
    assert set(again.done) | set(narrowed.done) == set(report.failed)
    assert not list((fresh_workspace.runs / "probe" / "failed").iterdir())
    assert {r["status"] for r in plan(fresh_workspace)["runs"]} == {"done"}
    assert evaluations(fresh_workspace) == dict.fromkeys(again.jobs, 1)
    assert len(jobs) == 6


def test_a_narrowed_run_leaves_the_plan_alone(fresh_workspace: Workspace, small: Profile) -> None:
    report = run(fresh_workspace, small, select=Selection(fold=1))
    assert len(report.done) == 1
    assert not (fresh_workspace.runs / "probe" / "plan.json").exists()


def test_a_change_of_settings_is_another_run_beside_the_old(
    fresh_workspace: Workspace, small: Profile
) -> None:
    first = run(fresh_workspace, small)
    second = run(fresh_workspace, small, settings={"shift": 0.25})
    assert not set(first.done) & set(second.done)
    assert {r["run_id"] for r in plan(fresh_workspace)["runs"]} == set(second.done)
    assert set(records(fresh_workspace)) == {*first.done, *second.done}


def test_a_run_whose_inputs_changed_after_planning_is_refused(
    fresh_workspace: Workspace, small: Profile
) -> None:
    job = plan_jobs(resolve_row("probe", small), small, fresh_workspace)[0]
    with pytest.raises(Exception, match="changed after this run was planned; run the same command"):
        execute(job, "0" * 24, fresh_workspace)


def test_a_class_without_training_people_is_named_and_costs_its_fold_alone(
    fresh_workspace: Workspace, small: Profile
) -> None:
    folder = fresh_workspace.splits / TINY
    split = read_split(folder, "3fold")
    index = Cohort(fresh_workspace.data / TINY).index_visits
    patients = set(index.loc[index["diagnosis"] == "AD", "participant_id"])
    table = split.table.copy()
    train = (table["fold"] == 1) & (table["part"] == "train")
    table.loc[train & table["participant_id"].isin(patients), "part"] = "validation"
    moved = Split(split.cohort, split.protocol, split.seed, table, split.manifest)
    rule = {"name": "custom", "version": 1, "parameters": {}}
    manifest = {**split.manifest, "rule": rule, "sha256": moved.content_hash}
    write_split(Split(split.cohort, split.protocol, split.seed, table, manifest), folder)
    report = run(fresh_workspace, small)
    ((identity, error),) = report.failed.items()
    assert report.jobs[identity].fold == 1
    assert "dx3, fold 1, seed 0: no AD among the training people; use fewer folds" in error
    assert "`neurodx splits show`" in error
    assert len(report.done) == 2


def test_a_suite_spans_cohorts_and_tasks_in_one_fit(
    fresh_workspace: Workspace, small: Profile
) -> None:
    from dataclasses import replace

    from benchmark.runs.identity import run_id
    from benchmark.runs.job import Part

    cohort = Cohort(fresh_workspace.data / EXTERNAL)
    write_split(make_split(cohort, "3fold", 0), fresh_workspace.splits / EXTERNAL)
    job = plan_jobs(resolve_row("probe", small, track="all"), small, fresh_workspace)[0]
    parts = (Part(TINY, ("dx3",)), Part(EXTERNAL, ("dx3", "brain_age")))
    job = replace(job, parts=parts, external=())
    identity = run_id(job, fresh_workspace)
    execute(job, identity, fresh_workspace)
    ledger = ledgers(fresh_workspace)[identity]
    pairs = set(ledger[["cohort", "task"]].itertuples(index=False, name=None))
    assert pairs == {(TINY, "dx3"), (EXTERNAL, "dx3"), (EXTERNAL, "brain_age")}
    ages = ledger.query("task == 'brain_age'")
    assert ages["y_pred"].notna().all()
    assert ages["prob_0"].isna().all()


def test_an_external_cohort_that_lacks_a_source_is_masked_or_left_out(
    fresh_workspace: Workspace, small: Profile
) -> None:
    jobs = plan_jobs(resolve_row("probe", small, track="all"), small, fresh_workspace)
    assert {len(job.external) for job in jobs} == {1}  # copes with missing genetics
    small.plan[TINY] = CohortPlan(fit=["dx3"], external={EXTERNAL: ["dx3"]})
    jobs = plan_jobs(resolve_row("confound", small), small, fresh_workspace)
    assert {len(job.external) for job in jobs} == {1}  # its one site is enough to be predicted
    folder = fresh_workspace.data / EXTERNAL
    visits = Cohort(folder).visits.drop(columns=["t1w_row", "fmri_row"]).assign(site_id=None)
    shutil.rmtree(folder)
    write_cohort(folder, visits, snps=False)
    jobs = plan_jobs(resolve_row("confound", small), small, fresh_workspace)
    assert {job.external for job in jobs} == {()}
