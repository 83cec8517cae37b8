"""A whole study on a tiny cohort: values, people, resumption, failures."""

from __future__ import annotations

import fcntl
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sweep_workspace import COHORT, make_workspace, probe_installed
from visit_tables import tune_on_a_training_person

from benchmark.config import load_profile
from benchmark.errors import ConfigError, LeakageError, RunFailed
from benchmark.splitting import read_split
from benchmark.sweeps import StudyPlan, SweepRequest, freeze, plan_study, run_study
from benchmark.sweeps.journal import JOURNAL, free_slots, open_study, sampler_for

pytestmark = pytest.mark.e2e  # whole runs, a second or more each

PROFILE = load_profile("smoke")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with probe_installed(tmp_path_factory.mktemp("site")):
        yield


@pytest.fixture
def asked(site, tmp_path):
    """Plans a study of N trials in a fresh workspace; settings are fixed by name."""
    workspace = make_workspace(tmp_path)

    def plan(trials: int, all_folds: bool = False, seed: int = 0, **fixed) -> StudyPlan:
        request = SweepRequest(
            "sweep_probe",
            task="ad_cn",
            cohort=COHORT,
            trials=trials,
            all_folds=all_folds,
            seed=seed,
            config=fixed,
        )
        return plan_study(request, PROFILE, workspace)

    return plan


def parts(plan: StudyPlan, fold: int) -> dict[str, pd.DataFrame]:
    """The labelled people of each part of a fold, read without the code under test."""
    visits = pd.read_parquet(plan.workspace.data / COHORT / "participants.parquet")
    people = visits.loc[visits["is_index"] & visits["diagnosis"].isin(["CN", "AD"])]
    people = people.set_index("participant_id")
    split = read_split(plan.workspace.splits / COHORT, "3fold").fold(fold)
    named = {"train": split.train, "validation": split.validation, "test": split.test}
    return {name: people.loc[[i for i in ids if i in people.index]] for name, ids in named.items()}


def reference(plan: StudyPlan, fold: int, penalty: float) -> tuple[float, float]:
    """Validation log loss and AUROC by scikit-learn alone."""
    people = parts(plan, fold)
    columns = ["age_years", "education_years"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, tol=1e-10))
    model.fit(people["train"][columns], people["train"]["diagnosis"] == "AD")
    prob = model.predict_proba(people["validation"][columns])[:, 1]
    y = people["validation"]["diagnosis"] == "AD"
    return log_loss(y, prob), roc_auc_score(y, prob)


def drawn(result) -> list[float]:
    by_slot = {t.slot: t.params["penalty"] for t in result.trials if t.finished}
    return [by_slot[slot] for slot in sorted(by_slot)]


def test_values_are_those_of_scikit_learn_and_only_validation_people_are_predicted(asked, tmp_path):
    diary = tmp_path / "diary.jsonl"
    plan = asked(3, all_folds=True, diary=str(diary))
    result = run_study(plan, workers=1)

    for trial in result.trials:
        scores = [reference(plan, fold, trial.params["penalty"]) for fold in (0, 1, 2)]
        assert trial.value == pytest.approx(np.mean([loss for loss, _ in scores]), abs=1e-7)
        auc = trial.record["roc_auc"]["ad_cn"]
        assert auc == pytest.approx(np.mean([auc for _, auc in scores]))
    default = np.mean([reference(plan, fold, 1e-4)[0] for fold in (0, 1, 2)])
    assert result.default_value == pytest.approx(default, abs=1e-7)
    assert result.best.value == min(t.value for t in result.trials)

    notes = [json.loads(line) for line in diary.read_text().splitlines()]
    assert len(notes) == 3 * 4 * 3  # three calls a fit, three trials and the defaults, three folds
    for number, note in enumerate(notes):
        people = parts(plan, fold=number // 3 % 3)
        expected = people["train" if note["call"] == "train" else "validation"]["age_years"]
        assert sorted(note["ages"]) == sorted(expected)
        assert not set(note["ages"]) & set(people["test"]["age_years"])
        assert note["labelled"] == (note["call"] != "predict")
    assert not (plan.workspace.root / "runs").exists()  # so no evaluation was counted either


def test_a_sweep_on_folds_that_leak_is_refused(asked):
    plan = asked(1)
    who = tune_on_a_training_person(plan.workspace.splits / COHORT)
    with pytest.raises(LeakageError, match=rf"once: {who} \(train and validation of fold 0\)"):
        run_study(plan, workers=1)
    assert not plan.folder.exists()


def test_settings_that_no_trial_beats_are_the_winner(asked, tmp_path):
    plan = replace(asked(1, penalty=1e6), suggest=lambda trial: {"penalty": 1.0})
    result = run_study(plan, workers=1)  # what the command line fixes wins, so both are the same
    assert result.trials[0].value == result.default_value == result.best.value
    assert freeze(plan, result, tmp_path / "x_tuned.yaml").kept_because == ""
    frozen = yaml.safe_load((tmp_path / "x_tuned.yaml").read_text())
    assert (frozen["config"], frozen["study"]["trial"]) == ({"penalty": 1e6}, "defaults")


def test_a_study_continues_to_the_number_of_trials_asked_for_and_reads_the_same(asked, tmp_path):
    straight = drawn(run_study(asked(5, seed=3), workers=1))
    (tmp_path / "sweeps").rename(tmp_path / "first")

    assert len(run_study(asked(2, seed=3), workers=1).trials) == 2
    plan = asked(5, seed=3)
    seen = []
    result = run_study(plan, 1, lambda trials: seen.append(len(trials)), seen.append)
    assert [seen[0], *(t.slot for t in seen[1:])] == [2, 2, 3, 4]
    assert drawn(result) == straight
    assert len(set(straight)) == 5

    table = pd.read_parquet(plan.folder / "trials.parquet")
    assert table["number"].tolist() == [0, 1, 2, 3, 4]
    assert table["params.penalty"].tolist() == straight
    assert set(table["state"]) == {"COMPLETE"}
    assert (table["seconds"] > 0).all()
    assert pd.api.types.is_datetime64_any_dtype(table["datetime"])
    facts = json.loads((plan.folder / "study.json").read_text())
    assert (facts["trials"], facts["failed"], len(facts["sessions"])) == (5, 0, 2)
    assert facts["optuna"].startswith("5.")
    assert facts["best_value"] == result.best.value
    assert facts["wall_seconds"] == sum(entry["seconds"] for entry in facts["sessions"])


def test_a_trial_that_raises_or_dies_is_recorded_and_the_sweep_goes_on(asked):
    penalties = iter([0.5, 50.0, 5000.0, 0.7])

    def suggest(trial):
        trial.suggest_float("x", 0, 1)
        return {"penalty": next(penalties)}

    plan = replace(asked(4, raise_above=10.0, die_above=1000.0), suggest=suggest)
    result = run_study(plan, workers=2)
    errors = {trial.slot: trial.error for trial in result.trials}
    assert errors[1] == "FloatingPointError: penalty 50 diverged"
    assert errors[2].startswith("WorkerDied")
    assert (errors[0], errors[3]) == ("", "")
    assert [t.state for t in result.trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert (result.facts["trials"], result.facts["failed"]) == (4, 2)
    table = pd.read_parquet(plan.folder / "trials.parquet")
    assert np.isnan(table.loc[table["state"] == "FAIL", "value"]).all()


def test_if_all_trials_fail_the_first_traceback_is_quoted_and_a_repair_begins_anew(asked):
    with pytest.raises(RunFailed, match=r"(?s)all 2 trials.*in fit.*FloatingPointError: penalty"):
        run_study(asked(2, raise_above=0.0), workers=1)
    assert len(run_study(asked(1), workers=1).trials) == 1  # other inputs: nothing to protect


def test_an_objective_that_is_not_finite_is_a_failure_of_its_trial(asked, monkeypatch):
    monkeypatch.setattr("benchmark.sweeps.study.objective", lambda scores: math.nan)
    with pytest.raises(RunFailed, match=r"(?s)all 2 trials.*the objective is nan.*'ad_cn': 0\.\d"):
        run_study(asked(2), workers=1)


def test_trials_of_other_inputs_are_not_mixed(asked):
    run_study(asked(1), workers=1)
    with pytest.raises(ConfigError, match=r"changed: settings.*move or remove that folder"):
        run_study(asked(2, raise_above=1e9), workers=1)


def test_two_sweeps_do_not_share_a_study(asked):
    plan = asked(1)
    plan.folder.mkdir(parents=True)
    with (plan.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another sweep is running"):
            run_study(plan, workers=1)


def test_a_wrong_key_stops_the_sweep_before_anything_is_fitted(asked, tmp_path):
    diary = tmp_path / "diary.jsonl"
    plan = replace(asked(2, diary=str(diary)), suggest=lambda trial: {"penalti": 1.0})
    with pytest.raises(ConfigError, match=r"space\.py.*'penalty'"):
        run_study(plan, workers=1)


def test_an_interrupted_trial_frees_its_slot_and_a_torn_record_is_dropped(tmp_path: Path):
    opened = partial(open_study, tmp_path, "study", {"a": "1"})
    with opened() as study:
        for slot in range(3):
            study.sampler = sampler_for(0, slot)
            trial = study.ask()
            trial.set_user_attr("slot", slot)
            x = trial.suggest_float("x", 0, 1)
            if slot != 1:
                study.tell(trial, x)
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(b'{"op_code": 8, "torn')
    (tmp_path / f"{JOURNAL}.lock").symlink_to("gone")
    with opened() as study:
        assert free_slots(study, 4) == [1, 3]
        assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
        study.set_user_attr("still", "writable")
    with opened() as study:
        assert study.user_attrs["still"] == "writable"
