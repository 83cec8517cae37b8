"""What a sweep refuses before it fits anything, and how it names what it does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sweep_workspace import COHORT, make_workspace, probe_installed

from benchmark.config import CohortPlan, load_profile
from benchmark.errors import CohortError, ConfigError, UnknownNameError
from benchmark.registry import get_method
from benchmark.splitting import read_split
from benchmark.sweeps import SweepRequest, plan_study
from benchmark.sweeps import plan as plan_module
from benchmark.sweeps.space import load_space, suggested_settings

ASKED = SweepRequest("sweep_probe", task="ad_cn", cohort=COHORT)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep-plan")
    with probe_installed(root / "site"):
        yield make_workspace(root)


@pytest.fixture
def profile():
    return load_profile("smoke")


def test_a_method_without_a_space_is_told_what_to_write():
    with pytest.raises(
        ConfigError, match=r"baselines/chance/space\.py.*dotted keys.*suggest_float"
    ):
        load_space(get_method("chance"))


def test_a_setting_that_the_method_lacks_names_the_file_and_the_nearest(workspace, profile):
    plan = plan_study(ASKED, profile, workspace)
    with pytest.raises(ConfigError, match=r"sweep_probe/space\.py.*Did you mean 'penalty'"):
        plan.jobs({"penalti": 1.0})


def test_a_space_must_return_plain_settings():
    with pytest.raises(ConfigError, match="must return a dict of settings, got 3"):
        suggested_settings(lambda _: 3, None, "space.py")
    with pytest.raises(ConfigError, match="plain numbers, texts and lists"):
        suggested_settings(lambda _: {"a": {1}}, None, "space.py")
    nested = suggested_settings(lambda _: {"trainer": {"lr": 0.1}}, None, "space.py")
    assert nested == {"trainer.lr": 0.1}


def test_a_cohort_that_is_not_there_names_both_commands(workspace, profile):
    asked = replace(ASKED, cohort="phantom-memory-dev")
    with pytest.raises(CohortError) as caught:
        plan_study(asked, profile, workspace)
    assert "`neurodx prepare phantom-memory-dev --profile smoke`" in str(caught.value)
    assert "splits make --cohort phantom-memory-dev --protocol 3fold --profile smoke`" in str(
        caught.value
    )


@pytest.mark.parametrize("suffix", ["-dev", "-dev2", "-dev4"])
def test_a_twin_takes_the_plan_of_its_cohort(profile, tmp_path, suffix):
    twin = f"phantom-memory{suffix}"
    with probe_installed(tmp_path / "site"):
        made = make_workspace(tmp_path, twin)
        plan = plan_study(SweepRequest("sweep_probe", cohort=twin), profile, made)
    assert (plan.cohort, plan.tasks) == (twin, ("dx3",))


def test_a_damaged_cohort_is_not_tuned_on(profile, tmp_path):
    with probe_installed(tmp_path / "site"):
        made = make_workspace(tmp_path)
        card = made.data / COHORT / "cohort.json"
        card.write_text(
            card.read_text().replace('"participants.parquet": "', '"participants.parquet": "0')
        )
        with pytest.raises(CohortError, match=r"damaged: participants\.parquet"):
            plan_study(ASKED, profile, made)


def test_an_open_choice_is_listed_and_a_single_one_is_taken(workspace, profile):
    with pytest.raises(ConfigError, match=r"cohort=phantom-memory task=dx3.*task=brain_age"):
        plan_study(SweepRequest("sweep_probe"), profile, workspace)
    profile.plan = {COHORT: CohortPlan(fit=["dx3"])}
    plan = plan_study(SweepRequest("sweep_probe"), profile, workspace)
    assert (plan.cohort, plan.tasks) == (COHORT, ("dx3",))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"task": "ad_cm"}, UnknownNameError, "'ad_cn'"),
        ({"task": "pd_hc"}, ConfigError, "it has dx3, ad_cn, brain_age"),
        ({"fold": 3}, ConfigError, "folds 0 to 2"),
        ({"trials": 0}, ConfigError, "expected 1 or more"),
        ({"method": "sweep_prob"}, UnknownNameError, "sweep_probe"),
        ({"config": {"penalti": 1}}, ConfigError, "Did you mean 'penalty'"),
    ],
)
def test_what_cannot_be_done_is_refused(workspace, profile, change, error, message):
    with pytest.raises(error, match=message):
        plan_study(replace(ASKED, **change), profile, workspace)


def test_a_cohort_without_what_the_method_needs_is_refused(workspace, profile):
    asked = replace(ASKED, method="voxel_svm")
    with pytest.raises(ConfigError, match=r"'tiny' lacks what row 'voxel_svm' needs.*t1w"):
        plan_study(asked, profile, workspace)


def test_the_command_line_wins_over_the_space_and_the_space_over_the_profile(workspace, profile):
    profile.settings = {"sweep_probe": {"penalty": 3.0, "raise_above": 7.0}}
    plan = plan_study(ASKED, profile, workspace)
    assert plan.jobs({})[0].config["penalty"] == 3.0
    (job,) = plan.jobs({"penalty": 5.0})
    assert (job.config["penalty"], job.config["raise_above"]) == (5.0, 7.0)
    fixed = plan_study(replace(ASKED, config={"penalty": 9.0}), profile, workspace)
    assert fixed.jobs({"penalty": 5.0})[0].config["penalty"] == 9.0


def test_studies_that_differ_have_different_folders(workspace, profile):
    def name(**change) -> str:
        return plan_study(replace(ASKED, **change), profile, workspace).folder.name

    assert name() == "sweep_probe-ad_cn-tiny-smoke"
    others = [
        name(fold=1),
        name(all_folds=True),
        name(seed=4),
        name(track="all"),
        name(task="dx3"),
        name(method="sweep_probe_weak"),
    ]
    assert len({name(), *others}) == 7
    assert plan_study(replace(ASKED, all_folds=True), profile, workspace).folds == (0, 1, 2)


def test_people_who_are_tested_in_other_folds_are_counted_on_the_boards_cohorts_only(
    workspace, profile
):
    assert plan_study(ASKED, profile, workspace).tested_elsewhere() == 0
    profile.plan = {COHORT: CohortPlan(fit=["ad_cn"])}
    plan = plan_study(ASKED, profile, workspace)
    eligible_in_fold_0 = read_split(workspace.splits / COHORT, "3fold").fold(0)
    used = {*eligible_in_fold_0.train, *eligible_in_fold_0.validation}
    not_mci = {f"sub-{i:03d}" for i in range(90) if i % 3 != 1}
    assert plan.tested_elsewhere() == len(used & not_mci)


def test_nobody_tunes_on_a_cohort_that_the_profile_predicts_as_external(workspace, profile):
    profile.plan = {"phantom-memory": CohortPlan(fit=["dx3"], external={COHORT: ["ad_cn"]})}
    with pytest.raises(ConfigError) as refusal:
        plan_study(ASKED, profile, workspace)
    told = str(refusal.value)
    assert f"'{COHORT}' is not tuned on" in told
    assert "plan.phantom-memory.external" in told
    assert "take cohort=phantom-memory or a development twin" in told


def test_what_computes_the_objective_is_hashed_and_must_be_there(workspace, profile, tmp_path):
    plan = plan_study(ASKED, profile, workspace)
    package = tmp_path / "benchmark"
    for name in ("sweeps", "metrics"):
        shutil.copytree(plan_module._PACKAGE / name, package / name)
    before = plan.inputs()["objective"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "_PACKAGE", package)
        assert plan.inputs()["objective"] == before
        metric = package / "metrics" / "probabilities.py"
        metric.write_text(metric.read_text() + "\n")
        assert plan.inputs()["objective"] != before
        (package / "sweeps" / "objective.py").unlink()
        with pytest.raises(ConfigError, match=r"no sweeps/objective\.py"):
            plan.inputs()


def test_the_outcome_of_a_sweep_is_not_tuned_again(workspace, profile, monkeypatch, tmp_path: Path):
    monkeypatch.setattr("benchmark.sweeps.plan.tuned_rows", lambda: {"x_tuned": tmp_path})
    with pytest.raises(ConfigError, match="tune its base row"):
        plan_study(replace(ASKED, method="x_tuned"), profile, workspace)
