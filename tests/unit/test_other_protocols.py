"""Protocols outside of the default job: few labels, a site left out, repeats."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_cohort import EXTERNAL, TINY, visit_table, write_cohort

from benchmark.cli import main
from benchmark.cli.oracle_rows import oracle_rows
from benchmark.cohorts.oracle_ledgers import OracleCell, oracle_ledger
from benchmark.config import Profile
from benchmark.errors import ConfigError, SplitError, UnknownNameError
from benchmark.results import PlanFilter, score_workspace
from benchmark.results.people import NO_BACKGROUND
from benchmark.results.planned import read_runs
from benchmark.results.robustness import write_robustness
from benchmark.runs.job import Workspace, plan_file, plan_files
from benchmark.runs.people import Cell
from benchmark.runs.planning import Plan, plan_row
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import run_row
from benchmark.splitting import FEW_LABEL_PERCENTS, Split, make_split, read_split, write_split
from benchmark.store import Cohort
from benchmark.tasks import TASKS

# Whole runs, a second or more each.
pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("probe_site")]
FEW = "few-label"


@pytest.fixture
def dx3(tiny_profile: Profile) -> Profile:
    tiny_profile.plan[TINY].fit = ["dx3"]
    return tiny_profile


def split_by(workspace: Workspace, protocol: str) -> None:
    cohort = Cohort(workspace.data / TINY)
    write_split(make_split(cohort, protocol, 0), workspace.splits / TINY)


def grown(workspace: Workspace) -> Split:
    """Twice as many people, of whom a part of the labels leaves enough with scans; few-label."""
    write_cohort(workspace.data / TINY, visit_table(96, 0))
    for protocol in ("3fold", FEW):
        split_by(workspace, protocol)
    return read_split(workspace.splits / TINY, FEW)


def planned(
    workspace: Workspace, profile: Profile, protocol: str | None, track: str | None = None
) -> Plan:
    row = resolve_row("probe", profile, track=track)
    return plan_row(row, profile, workspace, protocol=protocol)


def test_few_labels_are_planned_at_every_percentage_that_is_large_enough(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    split_by(fresh_workspace, FEW)
    split = read_split(fresh_workspace.splits / TINY, FEW)
    small = {percent for _, percent in split.omitted("dx3")}
    assert small, "the cohort is small enough to omit a percentage"
    assert set(FEW_LABEL_PERCENTS) - small > {100}
    plan = planned(fresh_workspace, dx3, FEW, track="confound")  # which everybody has
    points = Counter((job.percent, job.fold) for job in plan.jobs)
    kept = set(FEW_LABEL_PERCENTS) - small - {100}  # the default job's folds are the same
    assert points == {(percent, fold): 1 for percent in kept for fold in range(3)}
    assert plan.omitted == tuple(sorted((TINY, "dx3", percent) for percent in small))
    assert {job.external for job in plan.jobs} == {()}
    labels = {job.shown_protocol for job in plan.jobs}
    assert labels == {f"few-label-{percent}" for percent in kept}


def test_a_point_is_omitted_where_the_row_can_use_one_person_of_a_class(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    """The manifest counts two of each class or more; all of one class but one have no scan."""
    split = grown(fresh_workspace)
    before = planned(fresh_workspace, dx3, FEW)
    percent = min(job.percent for job in before.jobs)
    path = fresh_workspace.data / TINY / "participants.parquet"
    visits = pd.read_parquet(path)
    train = split.few_label_fold(1, percent).train
    seen = visits["t1w_row"] >= 0
    ill = seen & visits["participant_id"].isin(train) & visits["diagnosis"].eq("AD")
    assert ill.sum() > 1
    visits.loc[visits.index[ill][1:], "t1w_row"] = -1
    visits.to_parquet(path)
    plan = planned(fresh_workspace, dx3, FEW)
    assert {*plan.omitted} - {*before.omitted} == {(TINY, "dx3", percent)}
    assert [job for job in before.jobs if job.percent != percent] == list(plan.jobs)
    unseeing = planned(fresh_workspace, dx3, FEW, track="confound")
    assert percent in {job.percent for job in unseeing.jobs}, "a row that needs no scan runs it"


def test_the_point_at_all_labels_is_taken_from_the_same_folds_only(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    write_split(
        make_split(Cohort(fresh_workspace.data / TINY), FEW, 1), fresh_workspace.splits / TINY
    )
    told = (
        r"'3fold' \(seed 0, 48 people\) and 'few-label' \(seed 1, 48 people\) are other folds.*"
        "`neurodx splits make --cohort tiny --protocol 3fold --protocol few-label --seed 0"
    )
    with pytest.raises(SplitError, match=told):
        planned(fresh_workspace, dx3, FEW)
    dx3.protocol = "leave-site-out"
    assert 100 in {job.percent for job in planned(fresh_workspace, dx3, FEW).jobs}


def test_a_percentage_trains_on_its_people_and_on_no_others(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    split = grown(fresh_workspace)
    sizes = {}
    for job in planned(fresh_workspace, dx3, FEW).jobs:
        people = Cell.open(job, job.parts[0], fresh_workspace).people
        whole = split.fold(job.fold)
        few = split.few_label_fold(job.fold, job.percent)
        assert set(people["train"]) <= set(few.train)
        assert set(people["validation"]) <= set(whole.validation)
        assert set(people["test"]) <= set(whole.test)
        sizes.setdefault(job.fold, []).append(len(people["train"]))
    for counts in sizes.values():
        assert counts == sorted(counts)
        assert len(set(counts)) == len(counts), "each percentage adds people"


def test_a_percentage_of_another_protocol_is_refused(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    from dataclasses import replace

    job = replace(planned(fresh_workspace, dx3, None).jobs[0], percent=10)
    with pytest.raises(SplitError, match="has no subsets of training people"):
        Cell.open(job, job.parts[0], fresh_workspace)


def test_percentages_are_run_scored_and_kept_apart_from_the_default_job(
    fresh_workspace: Workspace, dx3: Profile, tmp_path: Path
) -> None:
    grown(fresh_workspace)
    row = resolve_row("probe", dx3)
    run_row(row, dx3, fresh_workspace)
    folder = fresh_workspace.runs / "probe"
    default = (folder / "plan.json").read_text()
    report = run_row(row, dx3, fresh_workspace, protocol=FEW)
    assert not report.failed
    assert (folder / "plan.json").read_text() == default
    plan = json.loads((folder / "plan.few-label.json").read_text())
    assert {run["status"] for run in plan["runs"]} == {"done"}
    trained: dict[str, list[int]] = {}
    for run in plan["runs"]:
        record = json.loads((folder / run["run_id"] / "result.json").read_text())
        assert record["protocol"] == run["protocol"] == f"few-label-{run['percent']}"
        trained.setdefault(run["protocol"], []).append(record["n_train"])
    means = [np.mean(trained[name]) for name in sorted(trained, key=lambda n: int(n[10:]))]
    assert (np.diff(means) > 0).all()

    few = PlanFilter(plans=(plan_file(FEW),))
    scores = score_workspace(fresh_workspace.runs, tmp_path / "few", n_resamples=50, only=few)
    assert set(scores["protocol"]) == set(trained)
    entries = pd.read_parquet(tmp_path / "few" / "entries.parquet")
    assert set(entries.query("status == 'done'")["folds"]) == {3}
    gaps = entries.query("status == 'missing'")
    assert set(gaps["task"]) == {"dx3", "ad_cn"}
    percents = [percent for percent in FEW_LABEL_PERCENTS if percent < 100]
    assert set(gaps["protocol"]) | set(trained) == {f"few-label-{p}" for p in percents}
    assert gaps["error"].str.startswith("omitted: a class has fewer than 2 training people").all()
    both = PlanFilter(plans=plan_files(FEW))
    beside = score_workspace(fresh_workspace.runs, tmp_path / "both", n_resamples=50, only=both)
    assert set(beside["protocol"]) == {*trained, "3fold", "external"}
    write_robustness(fresh_workspace.runs, tmp_path / "both", NO_BACKGROUND, only=both)
    curve = pd.read_parquet(tmp_path / "both" / "robustness" / "few_label.parquet")
    assert set(curve.query("task == 'dx3'")["percent"]) == {*(int(n[10:]) for n in trained), 100}
    alone = score_workspace(fresh_workspace.runs, tmp_path / "default", n_resamples=50)
    assert set(alone["protocol"]) == {"3fold", "external"}
    ledgers = read_runs(fresh_workspace.runs, TASKS).ledgers
    assert {ledger.trail.superseded for ledger in ledgers} == {0}, "runs of both plans are planned"


def test_a_left_out_site_is_tested_by_models_that_never_saw_it(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    split_by(fresh_workspace, "leave-site-out")
    index = Cohort(fresh_workspace.data / TINY).index_visits.set_index("participant_id")
    jobs = planned(fresh_workspace, dx3, "leave-site-out").jobs
    assert [job.fold for job in jobs] == [0, 1]
    assert {job.external for job in jobs} == {()}, "external rows are the default job's"
    tested = []
    for job in jobs:
        people = Cell.open(job, job.parts[0], fresh_workspace).people
        (site,) = set(index.loc[list(people["test"]), "site_id"])
        assert site not in set(index.loc[list(people["train"] + people["validation"]), "site_id"])
        tested.append(site)
    assert len(set(tested)) == 2


def test_the_profiles_own_protocol_is_the_default_job(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    own, default = (planned(fresh_workspace, dx3, p) for p in ("3fold", None))
    assert own == default
    assert own.protocol is None
    assert {e.cohort for job in own.jobs for e in job.external} == {EXTERNAL}


@pytest.mark.parametrize(
    ("protocol", "error", "said"),
    [
        ("few-lable", UnknownNameError, "Did you mean 'few-label'"),
        ("external", ConfigError, "'external' has no fits of its own"),
        (
            "few-label",
            ConfigError,
            "run `neurodx splits make --cohort tiny --protocol few-label --profile tiny`",
        ),
    ],
)
def test_a_protocol_that_cannot_be_run_says_what_to_do(
    fresh_workspace: Workspace, dx3: Profile, protocol: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        planned(fresh_workspace, dx3, protocol)


def test_a_split_that_the_profile_freezes_must_be_there(
    fresh_workspace: Workspace, dx3: Profile
) -> None:
    dx3.plan[TINY].protocols = [FEW]
    with pytest.raises(SplitError, match="has not been split by 'few-label'"):
        planned(fresh_workspace, dx3, FEW)


@pytest.mark.parametrize("protocol", [FEW, "5x5fold", "3fold"])
def test_the_oracle_answers_in_every_repeat_and_at_every_percentage(
    fresh_workspace: Workspace, dx3: Profile, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.cohorts.phantom import oracle

    def predict(truth: Path, task: str, sources: frozenset[str], people: list[str]) -> np.ndarray:
        return np.tile([0.5, 0.3, 0.2] if task == "dx3" else [0.7, 0.3], (len(people), 1))

    monkeypatch.setattr(oracle, "predict", predict)
    (fresh_workspace.truth / TINY).mkdir(parents=True)
    (fresh_workspace.truth / TINY / "truth.json").write_text("{}")
    write_cohort(fresh_workspace.data / TINY, visit_table(96, 0))
    for name in {"3fold", protocol}:
        split_by(fresh_workspace, name)
    run_row(resolve_row("probe", dx3), dx3, fresh_workspace, protocol=protocol)
    plans = (plan_file(None if protocol == "3fold" else protocol),)
    rows = oracle_rows(fresh_workspace, ["probe"], plans)
    inside = [ledger for ledger in rows if ledger.key.protocol != "external"]
    only = PlanFilter(plans=plans)
    out = fresh_workspace.root / "scores"
    score_workspace(fresh_workspace.runs, out, n_resamples=50, extra=inside, only=only)
    entries = pd.read_parquet(out / "entries.parquet").query("status != 'missing'")
    table = entries.query("task == 'dx3' and protocol != 'external'")
    assert set(table["status"]) == {"done"}, set(table["error"])
    folds = {
        m: dict(zip(rows["protocol"], rows["folds"], strict=True))
        for m, rows in table.groupby("method")
    }
    assert folds["oracle"] == folds["probe"]
    assert set(folds["oracle"].values()) == ({25} if protocol == "5x5fold" else {3})
    imaged = (Cohort(fresh_workspace.data / TINY).index_visits["t1w_row"] >= 0).sum()
    assert set(table.query("method == 'oracle'")["n"]) == {imaged}


def test_the_oracle_of_everything_is_asked_for_what_a_phantom_holds(
    fresh_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.cohorts.phantom import oracle

    asked: list[frozenset[str]] = []

    def predict(truth: Path, task: str, sources: frozenset[str], people: list[str]) -> np.ndarray:
        asked.append(sources)
        return np.full((len(people), 3), 1 / 3)

    monkeypatch.setattr(oracle, "predict", predict)
    (fresh_workspace.truth / TINY).mkdir(parents=True)
    (fresh_workspace.truth / TINY / "truth.json").write_text("{}")
    cell = OracleCell(TINY, "dx3", "all", "3fold")
    ledger = oracle_ledger(
        cell, fresh_workspace.data, fresh_workspace.truth, fresh_workspace.splits
    )
    assert ledger is not None
    assert {"clinical", "demographics", "t1w", "fmri", "genetic", "report"} == asked[0]
    assert asked[0] <= oracle.SOURCES


def test_the_verbs_keep_another_protocol_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, people in (("phantom-memory", 48), ("phantom-external", 16)):
        write_cohort(tmp_path / "data" / name, visit_table(people, 0))
    asked = ("--cohort", "phantom-memory", "--protocol", "leave-site-out")
    assert main(["splits", "make", *asked]) == 0
    profile = ("profile=smoke", "profile.methods=[age_sex]", "profile.workers=1")
    start = ("run", "method=age_sex", *profile, "protocol=leave-site-out")
    assert main([*start]) == 0
    assert (tmp_path / "runs" / "age_sex" / "plan.leave-site-out.json").is_file()
    assert not (tmp_path / "runs" / "age_sex" / "plan.json").exists()
    other = ("--profile", "smoke", "--protocol", "leave-site-out")
    assert main(["score", *other, "--resamples", "50"]) == 0
    assert main(["rank", *other]) == 0
    board = tmp_path / "protocols" / "leave-site-out" / "board"
    rows = pd.read_csv(board / "leaderboard.csv")
    assert set(rows["protocol"]) == {"leave-site-out"}
    assert set(rows["method"]) == {"age_sex"}
    assert json.loads((board / "board.json").read_text())["protocol"] == "leave-site-out"
    assert not (tmp_path / "scores").exists()
    assert main(["score", "--profile", "smoke"]) == 1
    assert "no <method>/plan.json found" in capsys.readouterr().err
    assert main(["sweep", "method=voxel_svm", "task=dx3", "protocol=few-label"]) == 1
    assert "a sweep tunes on the folds of the profile's own protocol" in capsys.readouterr().err


@pytest.mark.parametrize("protocol", [None, "few-label"])
def test_the_default_board_alone_is_given_what_other_protocols_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {}

    def watched(scores: Path, board: Path, cards: object, **options: object) -> pd.DataFrame:
        given.update(options, scores=scores)
        return pd.DataFrame()

    monkeypatch.setattr("benchmark.results.rank_workspace", watched)
    asked = ("--protocol", protocol) if protocol else ()
    assert main(["rank", "--profile", "smoke", *asked]) == 0
    places = {name: Path("protocols", name, "scores") for name in ("few-label", "leave-site-out")}
    assert given["beside"] == (None if protocol else places)
    assert given["scores"] == (places[protocol] if protocol else Path("scores"))
