"""Joint fits: planned over the same fold of every cohort, scored cohort by cohort."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
from process_caches import forget
from tiny_cohort import EXTERNAL, TINY, visit_table, write_cohort

from benchmark.cli.oracle_rows import oracle_rows
from benchmark.config import CohortPlan, Profile, load_profile, load_suite
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.results import score_workspace
from benchmark.results.planned import read_runs
from benchmark.runs.identity import input_hashes, run_id
from benchmark.runs.job import Part, Workspace
from benchmark.runs.people import Cell, fold_samples
from benchmark.runs.planning import Selection, plan_jobs, plan_row
from benchmark.runs.rows import Row, resolve_row
from benchmark.runs.runner import run_row
from benchmark.splitting import make_split, write_split
from benchmark.store import Cohort
from benchmark.tasks import TASKS

pytestmark = pytest.mark.usefixtures("probe_site")
AGES = "tiny-ages"
SUITE = "disorders"  # phantom-memory: dx3, conversion; phantom-movement; phantom-population


@pytest.fixture
def joint(fresh_workspace: Workspace) -> Workspace:
    """A second cohort with other people, split."""
    people = visit_table(40, 0, first=200).drop(columns=["education_years", "apoe_e4"])
    cohort = write_cohort(fresh_workspace.data / AGES, people, snps=False, seed=3)
    write_split(make_split(cohort, "3fold", 0), fresh_workspace.splits / AGES)
    return fresh_workspace


@pytest.fixture
def profile() -> Profile:
    return Profile(
        name="tiny",
        protocol="3fold",
        plan={
            TINY: CohortPlan(
                fit=["dx3", "conversion"], derive={"ad_cn": "dx3"}, external={EXTERNAL: ["dx3"]}
            ),
            AGES: CohortPlan(fit=["brain_age"], external={EXTERNAL: ["brain_age"]}),
        },
        stand_ins={"phantom-memory": TINY, "phantom-population": AGES},
        workers=1,
        seeds=[0, 1],
    )


def joint_row(profile: Profile, track: str = "t1w+report", **settings: object) -> Row:
    return dataclasses.replace(resolve_row("probe", profile, settings, track), suite=SUITE)


def test_one_job_spans_the_same_fold_of_every_cohort(joint: Workspace, profile: Profile) -> None:
    jobs = plan_jobs(joint_row(profile), profile, joint)
    assert {(job.fold, job.seed) for job in jobs} == {(f, s) for f in range(3) for s in (0, 1)}
    assert len(jobs) == 6
    parts = (Part(TINY, ("dx3", "conversion")), Part(AGES, ("brain_age",)))
    assert {job.parts for job in jobs} == {parts}, "the movement cohort has no stand-in"
    outside = (Part(EXTERNAL, ("dx3", "brain_age")),)
    assert {job.external for job in jobs} == {outside}, "each cohort names a task of it"
    for job in jobs:
        cells = [Cell.open(job, part, joint) for part in job.parts]
        train, _ = fold_samples(job, joint)
        assert len(train) == sum(len(cell.people["train"]) for cell in cells)
        assert set(train.cohort) == {0, 1}
        known = {task: train.labels(task)[1] for task in ("dx3", "conversion", "brain_age")}
        assert not known["dx3"][train.cohort == 1].any()
        assert not known["brain_age"][train.cohort == 0].any()


def test_each_row_without_a_suite_is_fitted_by_itself(joint: Workspace, profile: Profile) -> None:
    jobs = plan_jobs(resolve_row("probe", profile), profile, joint)
    assert {len(job.parts) for job in jobs} == {1}


def test_a_variant_sets_the_suite_of_its_row(
    joint: Workspace, profile: Profile, probe_site: Path
) -> None:
    info = probe_site / "info.py"
    joined = 'variants={"probe_joint": {"suite": "disorders", "shift": 0.5}, '
    info.write_text(info.read_text().replace("variants={", joined))
    forget()
    row = resolve_row("probe_joint", profile)
    assert (row.suite, row.config["shift"]) == (SUITE, 0.5)
    assert resolve_row("probe", profile).suite == ""
    assert {len(job.parts) for job in plan_jobs(row, profile, joint)} == {2}


@pytest.mark.parametrize(
    ("select", "parts", "n"),
    [
        (Selection(cohort=AGES), {TINY: ("dx3", "conversion"), AGES: ("brain_age",)}, 6),
        (Selection(fold=2), {TINY: ("dx3", "conversion"), AGES: ("brain_age",)}, 2),
        (Selection(seed=1), {TINY: ("dx3", "conversion"), AGES: ("brain_age",)}, 3),
        (Selection(task="conversion"), {TINY: ("conversion",)}, 6),
        (Selection(cohort=TINY, task="brain_age", fold=0), {AGES: ("brain_age",)}, 2),
    ],
)
def test_a_selected_cohort_brings_its_suite_and_a_task_is_fitted_alone(
    joint: Workspace, profile: Profile, select: Selection, parts: dict, n: int
) -> None:
    jobs = plan_jobs(joint_row(profile), profile, joint, select)
    assert {job.parts for job in jobs} == {tuple(Part(c, t) for c, t in parts.items())}
    assert len(jobs) == n


def test_a_cohort_outside_the_suite_selects_nothing(joint: Workspace, profile: Profile) -> None:
    other = "tiny-other"
    profile.plan[other] = CohortPlan(fit=["dx3"])
    with pytest.raises(ConfigError, match="nothing to run"):
        plan_jobs(joint_row(profile), profile, joint, Selection(cohort=other))


def test_unequal_folds_are_refused(joint: Workspace, profile: Profile) -> None:
    for name, protocol in ((TINY, "leave-site-out"), (AGES, "leave-site-out")):
        visits = Cohort(joint.data / name).visits
        if name == AGES:
            sites = visits["participant_id"].str[-1].astype(int) % 3
            write_cohort(joint.data / name, visits.assign(site_id=[f"s{k}" for k in sites]))
        split = make_split(Cohort(joint.data / name), protocol, 0)
        write_split(split, joint.splits / name)
    with pytest.raises(ConfigError, match=r"into \[2, 3\] folds.*take one with equal folds"):
        plan_row(joint_row(profile), profile, joint, protocol="leave-site-out")


def test_few_labels_are_refused(joint: Workspace, profile: Profile) -> None:
    for name in (TINY, AGES):
        write_split(make_split(Cohort(joint.data / name), "few-label", 0), joint.splits / name)
    with pytest.raises(ConfigError, match="'few-label' cuts them"):
        plan_row(joint_row(profile), profile, joint, protocol="few-label")


def test_nobody_of_an_external_cohort_is_in_the_suite(joint: Workspace, profile: Profile) -> None:
    profile.plan[TINY].external = {AGES: ["dx3"]}
    with pytest.raises(ConfigError, match=rf"has {AGES} predicted as external to {TINY}"):
        plan_jobs(joint_row(profile), profile, joint)


def test_a_profile_that_plans_nothing_of_a_suite_says_so(
    joint: Workspace, profile: Profile
) -> None:
    profile.stand_ins = {}
    with pytest.raises(ConfigError, match="give the profile `stand_ins`"):
        plan_jobs(joint_row(profile), profile, joint)


def test_suites_are_read_with_stand_ins(profile: Profile, tmp_path: Path) -> None:
    assert list(load_suite(SUITE, profile).parts) == [TINY, "phantom-movement", AGES]
    with pytest.raises(UnknownNameError, match="'disorders'"):
        load_suite("disorder", profile)
    profile.stand_ins["phantom-population"] = TINY
    with pytest.raises(ConfigError, match="each once, got tiny, phantom-movement, tiny"):
        load_suite(SUITE, profile)
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "odd.yaml").write_text("partz: {tiny: [dx3]}\n")
    with pytest.raises(ConfigError, match=r"configs/suite/odd\.yaml"):
        load_suite("odd", profile, tmp_path)
    (tmp_path / "suite" / "odd.yaml").write_text("parts: {}\n")
    with pytest.raises(ConfigError, match="got none"):
        load_suite("odd", profile, tmp_path)


def test_every_suite_names_tasks_that_exist() -> None:
    folder = Path(__file__).resolve().parents[2] / "configs" / "suite"
    names = [path.stem for path in folder.glob("*.yaml")]
    assert SUITE in names
    for name in names:
        parts = load_suite(name, load_profile("mini")).parts
        assert {task for tasks in parts.values() for task in tasks} <= set(TASKS)


def test_the_suites_parts_are_in_the_identity(joint: Workspace, profile: Profile) -> None:
    job = plan_jobs(joint_row(profile), profile, joint)[0]
    before = run_id(job, joint)
    less = dataclasses.replace(job, parts=(Part(TINY, ("dx3",)), job.parts[1]))
    fewer = dataclasses.replace(job, parts=job.parts[:1])
    turned = dataclasses.replace(job, parts=job.parts[::-1])  # other cohort codes
    assert len({before, *(run_id(j, joint) for j in (less, fewer, turned))}) == 4
    wanted = {f"{kind}/{name}" for kind in ("split", "cohort") for name in (TINY, AGES)}
    wanted |= {f"labels/{AGES}/brain_age", f"labels/{TINY}/conversion", f"cohort/{EXTERNAL}"}
    assert wanted <= set(input_hashes(job, joint))
    write_split(make_split(Cohort(joint.data / AGES), "3fold", 1), joint.splits / AGES)
    forget()
    assert run_id(job, joint) != before


def test_one_run_feeds_the_rows_of_all_its_cohorts(
    joint: Workspace, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile.seeds = [0]
    report = run_row(joint_row(profile, "all"), profile, joint)
    assert not report.failed
    assert len(report.done) == 3
    plan = json.loads((joint.runs / "probe" / "plan.json").read_text())
    for run in plan["runs"]:
        assert run["cohort"] == f"{TINY}+{AGES}"
        assert run["parts"] == [
            {"cohort": TINY, "tasks": ["dx3", "conversion"]},
            {"cohort": AGES, "tasks": ["brain_age"]},
        ]
        assert run["derived"] == {"ad_cn": "dx3"}
        assert run["external"] == {EXTERNAL: ["dx3", "brain_age"]}

    expected = {
        (TINY, "dx3", "3fold"),
        (TINY, "conversion", "3fold"),
        (TINY, "ad_cn", "3fold"),
        (AGES, "brain_age", "3fold"),
        (EXTERNAL, "dx3", "external"),
        (EXTERNAL, "ad_cn", "external"),
        (EXTERNAL, "brain_age", "external"),
    }
    read = read_runs(joint.runs, TASKS)
    assert not read.gaps
    assert {(r.key.cohort, r.key.task, r.key.protocol) for r in read.ledgers} == expected
    sources = {(r.key.cohort, r.key.task): r.trail.sources for r in read.ledgers}
    assert sources[EXTERNAL, "dx3"] == (TINY,)
    assert sources[EXTERNAL, "brain_age"] == (AGES,)

    asked = []

    def oracle_ledger(cell, *places: Path) -> None:
        asked.append((cell.cohort, cell.task, cell.protocol or "external"))

    monkeypatch.setattr("benchmark.cli.oracle_rows.oracle_ledger", oracle_ledger)
    oracle_rows(joint, ["probe"], ("plan.json",))
    assert set(asked) == expected

    scores = score_workspace(joint.runs, tmp_path / "scores", n_resamples=50)
    cells = set(scores[["cohort", "task", "protocol"]].itertuples(index=False, name=None))
    assert cells == expected
    entries = pd.read_parquet(tmp_path / "scores" / "entries.parquet")
    assert set(entries["status"]) == {"done"}
    assert set(entries["folds"]) == {3}
    people = {(r.cohort, r.task): r.n for r in entries.query("protocol == '3fold'").itertuples()}
    labels = Cohort(joint.data / AGES).index_visits["diagnosis"]
    assert people[AGES, "brain_age"] == (labels == "CN").sum()
    beside = [pd.read_parquet(p) for p in (joint.runs / "probe").glob("*/missing.parquet")]
    shown = pd.concat(beside).groupby("cohort")["shown"].nunique()
    # biomarker, clinical, fmri, genetic, t1w; the other cohort has no genotypes; brain age closes
    # the report of both.
    assert dict(shown) == {TINY: 2**5 - 2 + 3, AGES: 2**4 - 2 + 3}
