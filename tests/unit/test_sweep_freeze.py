"""The winner as a board row, and the verb from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from sweep_workspace import COHORT, make_workspace, probe_installed

from benchmark.cli import main
from benchmark.cli.cards import method_cards
from benchmark.config import load_profile
from benchmark.errors import ConfigError
from benchmark.runs import rows
from benchmark.runs.rows import resolve_row
from benchmark.sweeps import StudyResult, SweepRequest, Trial, freeze, plan_study
from benchmark.sweeps.freeze import tuned_path

RECORD = {"roc_auc": {"ad_cn": 0.8}, "seconds": 1.0, "cpu_seconds": 1.0}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep-freeze")
    with probe_installed(root / "site"):
        yield make_workspace(root)


@pytest.fixture
def configs(tmp_path) -> Path:
    return tmp_path / "configs"


def study(workspace, method: str = "sweep_probe", profile=None, **fixed):
    profile = profile or load_profile("smoke")
    request = SweepRequest(method, task="ad_cn", cohort=COHORT, config=fixed)
    return plan_study(request, profile, workspace)


def outcome(value: float, penalty: float = 2.5, default: float = 0.7, **facts) -> StudyResult:
    best = Trial(0, 0, "COMPLETE", value, {}, {"penalty": penalty}, RECORD, "", "", None)
    names = "profile cohort tasks protocol seed objective default_value trials failed"
    names += " wall_seconds cpu_seconds n_train tested_elsewhere sampler"
    known = dict.fromkeys(names.split(), 1)
    same = {"study": "s", "folds": [0], "n_validation": [9], "optuna": "5.0.0"}
    same["inputs"] = {"cohort/tiny": "a1", "core": "b2"}
    return StudyResult([best], best, default, {**known, **same, **facts})


def test_the_winner_resolves_as_a_tuned_row_with_the_settings_of_its_trial(workspace, configs):
    plan = study(workspace, raise_above=50.0)
    path = configs / "tuned" / "sweep_probe_tuned.yaml"
    assert freeze(plan, outcome(0.5, trials=20), path).kept_because == ""
    row = resolve_row("sweep_probe_tuned", plan.profile, configs=configs)
    assert row.tuned
    assert row.tasks == ("ad_cn",)  # what it was tuned for, although the method answers more
    assert len(row.info.tasks) > 1
    assert (row.info.name, row.track, row.title) == ("sweep_probe", "demographic", "Probe, tuned")
    assert row.config == dict(plan.jobs({"penalty": 2.5})[0].config)
    assert (row.config["penalty"], row.config["raise_above"]) == (2.5, 50.0)
    facts = yaml.safe_load(path.read_text())["study"]
    assert (facts["trials"], facts["value"], facts["optuna"]) == (20, 0.5, "5.0.0")


def test_the_card_of_a_tuned_row_gives_the_budget(workspace, configs, monkeypatch):
    plan = study(workspace)
    spent = {"trials": 20, "failed": 2, "wall_seconds": 311.6, "cpu_seconds": 600.2}
    found = outcome(0.5, **spent, cohort="tiny-dev", tasks=["ad_cn"])
    freeze(plan, found, configs / "tuned" / "sweep_probe_tuned.yaml")
    (configs / "tuned" / "plain_tuned.yaml").write_text("row: sweep_probe\nconfig: {}\n")
    monkeypatch.setattr(rows.resolve_row, "__defaults__", (None, None, configs))
    names = ["sweep_probe_tuned", "sweep_probe", "plain_tuned"]
    tuned, plain, by_hand = method_cards(plan.profile, names)
    assert tuned["tuning"] == (
        "20 trials (2 failed) in 312 s of wall time (600 CPU s), on validation people of tiny-dev "
        "(ad_cn)"
    )
    assert (tuned["tuned"], plain["tuned"]) == (True, False)
    assert plain["tuning"] == ""
    assert by_hand["tuning"] == "settings from a file that states no sweep"


def test_a_tuned_variant_keeps_what_the_profile_sets_for_the_variant(workspace, configs):
    profile = load_profile("smoke")
    profile.settings = {"sweep_probe_weak": {"raise_above": 12.0}}
    plan = study(workspace, "sweep_probe_weak", profile)
    freeze(plan, outcome(0.5), configs / "tuned" / "weak_tuned.yaml")
    row = resolve_row("weak_tuned", profile, configs=configs)
    assert (row.config["penalty"], row.config["raise_above"]) == (2.5, 12.0)


@pytest.mark.parametrize(
    ("second", "facts", "reason"),
    [
        (0.6, {}, "better value (0.5000)"),
        (0.4, {"folds": [1]}, "another study (s)"),
        (0.4, {"inputs": {"cohort/tiny": "c3", "core": "b2"}}, "another study (s) of other inputs"),
    ],
)
def test_a_frozen_winner_gives_way_to_a_better_one_only_unless_forced(
    workspace, tmp_path, second, facts, reason
):
    plan, path = study(workspace), tmp_path / "x_tuned.yaml"
    freeze(plan, outcome(0.5), path)
    before = path.read_text()
    result = outcome(second, penalty=7.0, **facts)
    assert reason in freeze(plan, result, path).kept_because
    assert path.read_text() == before
    assert freeze(plan, result, path, force=True).kept_because == ""
    assert yaml.safe_load(path.read_text())["config"]["penalty"] == 7.0


def test_a_file_that_was_frozen_without_a_hash_of_its_inputs_is_of_another_study(
    workspace, tmp_path
):
    plan, path = study(workspace), tmp_path / "x_tuned.yaml"
    freeze(plan, outcome(0.5), path)
    old = yaml.safe_load(path.read_text())
    del old["study"]["inputs"]
    path.write_text(yaml.safe_dump(old))
    assert "(s): the file has no hash" in freeze(plan, outcome(0.4), path).kept_because
    assert freeze(plan, outcome(0.4), path, force=True).kept_because == ""
    assert freeze(plan, outcome(0.3), path).kept_because == ""


def test_the_same_winner_after_more_trials_states_the_larger_budget(workspace, tmp_path):
    plan, path = study(workspace), tmp_path / "x_tuned.yaml"
    freeze(plan, outcome(0.5, trials=10), path)
    freeze(plan, outcome(0.5, trials=20), path)
    assert yaml.safe_load(path.read_text())["study"]["trials"] == 20


def test_a_file_that_would_resolve_to_other_settings_is_not_written(workspace, tmp_path):
    profile = load_profile("smoke")
    plan = study(workspace, "sweep_probe", profile)
    profile.settings = {"x_tuned": {"die_above": 1.0}}
    with pytest.raises(ConfigError, match="the winning trial ran with"):
        freeze(replace(plan, profile=profile), outcome(0.5), tmp_path / "x_tuned.yaml")
    assert not (tmp_path / "x_tuned.yaml").exists()


def test_an_output_that_is_no_yaml_is_refused(workspace):
    with pytest.raises(ConfigError, match=r"ends in \.yaml"):
        tuned_path(study(workspace), Path("winner.txt"))


def test_the_verb_tunes_freezes_and_says_how_to_go_on(workspace, configs, capsys, monkeypatch):
    monkeypatch.chdir(workspace.root)
    output = configs / "tuned" / "sweep_probe_tuned.yaml"
    command = ["sweep", "method=sweep_probe", "profile=smoke", "task=ad_cn", f"cohort={COHORT}"]
    assert main([*command, "trials=3", "--workers", "2", "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "3 trials, 0 failed" in printed
    assert "add `sweep_probe_tuned` to methods in configs/profile/smoke.yaml" in printed
    assert "neurodx run method=sweep_probe_tuned profile=smoke" in printed
    assert resolve_row("sweep_probe_tuned", load_profile("smoke"), configs=configs).tuned

    assert main(["sweep", "method=chance", "task=dx3", "--workers", "0"]) == 1
    assert main(["sweep", "method=chance", "task=dx3"]) == 1
    assert "baselines/chance/space.py" in capsys.readouterr().err
