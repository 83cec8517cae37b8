"""The objective against scikit-learn, and the people it is computed on against a real run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score
from sweep_workspace import COHORT, make_workspace, probe_installed

from benchmark.api import Prediction, Samples
from benchmark.runs.execute import execute
from benchmark.runs.identity import run_id
from benchmark.runs.job import Job, Part
from benchmark.runs.people import Cell
from benchmark.sweeps.objective import (
    FoldScore,
    naive_loss,
    objective,
    validation_loss,
    validation_roc_auc,
)
from benchmark.tasks import get_task


def samples(task: str, values: np.ndarray) -> Samples:
    return Samples(n=len(values), _labels={task: (values, ~np.isnan(values))})


@pytest.fixture
def three_classes():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3.0
    prob = rng.dirichlet(np.ones(3), 30)
    return y, prob


def test_log_loss_and_auroc_are_those_of_scikit_learn_on_labelled_people(three_classes):
    y, prob = three_classes
    partial = np.where(np.arange(30) < 20, y, np.nan)
    task, people = get_task("dx3"), samples("dx3", partial)
    loss = validation_loss(task, Prediction(prob), people)
    assert loss == pytest.approx(log_loss(y[:20], prob[:20]))
    auc = validation_roc_auc(task, Prediction(prob), people)
    assert auc == pytest.approx(roc_auc_score(y[:20], prob[:20], multi_class="ovr"))


def test_a_regression_is_judged_by_its_mean_absolute_error():
    y, mean = np.array([50.0, 60.0, np.nan, 80.0]), np.array([51.0, 57.0, 0.0, 88.0])
    loss = validation_loss(get_task("brain_age"), Prediction(mean=mean), samples("brain_age", y))
    assert loss == pytest.approx(mean_absolute_error(y[[0, 1, 3]], mean[[0, 1, 3]]))


def test_auroc_is_none_where_validation_lacks_a_class():
    prediction = Prediction(np.full((4, 2), 0.5))
    assert validation_roc_auc(get_task("ad_cn"), prediction, samples("ad_cn", np.zeros(4))) is None


def test_naive_losses_are_those_of_constants_from_training_people():
    train, val = np.array([0.0, 0.0, 0.0, 1.0]), np.array([1.0, 0.0])
    loss = naive_loss(get_task("ad_cn"), samples("ad_cn", train), samples("ad_cn", val))
    assert loss == pytest.approx(-(np.log(0.25) + np.log(0.75)) / 2)
    ages = np.array([50.0, 60.0, 90.0]), np.array([55.0, 70.0])
    loss = naive_loss(
        get_task("brain_age"), samples("brain_age", ages[0]), samples("brain_age", ages[1])
    )
    assert loss == pytest.approx((5 + 10) / 2)


def test_one_task_is_averaged_over_folds_and_several_are_first_made_comparable():
    def score(**losses: float) -> FoldScore:
        return FoldScore(losses, {"dx3": 1.0, "brain_age": 10.0}, {}, 0.0, 0.0)

    assert objective([score(dx3=0.5), score(dx3=0.7)]) == pytest.approx(0.6)
    both = [score(dx3=0.5, brain_age=4.0), score(dx3=0.7, brain_age=6.0)]
    assert objective(both) == pytest.approx(np.mean([0.5, 0.4, 0.7, 0.6]))


def test_training_and_validation_people_are_those_of_neurodx_run(tmp_path: Path):
    workspace = make_workspace(tmp_path)
    job = Job(
        row="sweep_probe",
        method="sweep_probe",
        track="demographic",
        parts=(Part(COHORT, ("ad_cn",)),),
        protocol="3fold",
        fold=1,
        seed=0,
        profile="smoke",
    )
    with probe_installed(tmp_path / "site"):
        identity = run_id(job, workspace)
        execute(job, identity, workspace)
        people = Cell.open(job, job.parts[0], workspace).people
    ledger = pd.read_parquet(workspace.runs / "sweep_probe" / identity / "predictions.parquet")
    validation = ledger.loc[ledger["part"] == "validation", "participant_id"]
    test = ledger.loc[ledger["part"] == "test", "participant_id"]
    assert set(people["validation"]) == set(validation)
    assert not (set(people["train"]) | set(people["validation"])) & set(test)
    assert len(people["train"]) + len(validation) + len(test) == 60  # 30 of 90 have MCI
