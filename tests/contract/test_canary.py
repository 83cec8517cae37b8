"""Canary: where labels are drawn at random, every row scores chance, or something leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from tiny_cohort import visit_table, write_cohort

from benchmark.config import CohortPlan, Profile
from benchmark.runs.job import Workspace
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import run_row
from benchmark.splitting import make_split, write_split

pytestmark = pytest.mark.e2e  # whole runs, a second or more each

N = 240
FREE, LEAKY, TRUE = "random", "leaky", "true"
ROWS = (
    "age_sex",
    "regional_linear",
    "voxel_svm",
    "outline_svm",
    "clinical_boosting",
    "clinical_genetic",
)
# Macro AUROC of random scores on 240 people has a standard deviation of 0.03.
FAR_FROM_CHANCE = 0.1


@pytest.fixture(scope="module")
def cage(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three cohorts of the same people: labels as they are, at random, and at random but leaked."""
    workspace = Workspace(tmp_path_factory.mktemp("canary"))
    true = visit_table(N, 0)
    turned = dict(
        zip(
            true["participant_id"].unique(),
            np.random.default_rng(4).permutation(true["participant_id"].unique()),
            strict=True,
        )
    )
    label = true.drop_duplicates("participant_id").set_index("participant_id")["diagnosis"]
    free = true.assign(diagnosis=true["participant_id"].map(turned).map(label))
    for name, visits in {TRUE: true, FREE: free, LEAKY: free}.items():
        marked = free["diagnosis"] if name == LEAKY else None
        cohort = write_cohort(workspace.data / name, visits, inputs_of=true, marked=marked)
        write_split(make_split(cohort, "3fold", 0), workspace.splits / name)
    return workspace


def score(workspace: Workspace, row: str, cohort: str) -> float:
    """Macro AUROC, mean of the folds."""
    profile = Profile(
        name="canary", protocol="3fold", plan={cohort: CohortPlan(fit=["dx3"])}, workers=1
    )
    report = run_row(resolve_row(row, profile, {}), profile, workspace)
    assert not report.failed, report.failed
    found = []
    for name in report.done:
        ledger = pd.read_parquet(workspace.runs / row / name / "predictions.parquet")
        test = ledger[ledger["part"] == "test"]
        p = test.filter(like="prob_").to_numpy()
        found.append(roc_auc_score(test["y_true"], p, multi_class="ovr"))
    return float(np.mean(found))


@pytest.mark.parametrize("row", ROWS)
def test_random_labels_score_chance(cage: Workspace, row: str) -> None:
    assert abs(score(cage, row, FREE) - 0.5) < FAR_FROM_CHANCE


def test_the_canary_sings_where_there_is_something_to_learn(cage: Workspace) -> None:
    assert score(cage, "regional_linear", TRUE) > 0.5 + 2 * FAR_FROM_CHANCE


def test_the_canary_sings_where_a_scan_bears_its_label(cage: Workspace) -> None:
    """As a burnt-in mark of one corner voxel would: random labels, and yet far from chance."""
    assert score(cage, "voxel_svm", LEAKY) > 0.5 + 2 * FAR_FROM_CHANCE


def test_the_people_of_all_cohorts_are_the_same(cage: Workspace) -> None:
    tables = [
        pd.read_parquet(Path(cage.data) / name / "participants.parquet") for name in (TRUE, FREE)
    ]
    same = tables[0].drop(columns="diagnosis"), tables[1].drop(columns="diagnosis")
    pd.testing.assert_frame_equal(*same)
    agree = (tables[0]["diagnosis"] == tables[1]["diagnosis"]).mean()
    assert agree < 0.6
