"""Faulty, missing and unplanned runs: shown as such, never in the way of the others."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, people, write_workspace

from benchmark.errors import ResultError
from benchmark.results import (
    Ledger,
    PlanFilter,
    RowKey,
    rank_workspace,
    score_workspace,
)

RESAMPLES = 200
SVM = FakeMethod("svm", derived={})


def _row(board, method, task="dx3", protocol="3fold", cohort="memory"):
    rows = board[
        (board["method"] == method)
        & (board["task"] == task)
        & (board["protocol"] == protocol)
        & (board["cohort"] == cohort)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def _score_three(tmp_path, spoil):
    methods = [SVM, replace(SVM, name="twin"), replace(SVM, name="third")]
    runs = write_workspace(tmp_path, methods, {"memory": 60})
    path = runs / "twin" / "memory-1-0" / "predictions.parquet"
    spoil(path)
    score_workspace(runs, tmp_path / "scores", n_resamples=20)
    board = rank_workspace(tmp_path / "scores", tmp_path / "board")
    assert {_row(board, name)["status"] for name in ("svm", "third")} == {"done"}
    return _row(board, "twin")


def _edit(change):
    def spoil(path):
        change(pd.read_parquet(path)).to_parquet(path, index=False)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_bytes(b"PAR1"), "cannot be read"),
        (lambda path: (path.parent / "result.json").write_text("{"), "not valid JSON"),
        (_edit(lambda f: f.drop(columns="prob_2")), r"columns \['prob_2'\] are missing"),
        (_edit(lambda f: f.assign(prob_0=np.nan)), "must be finite"),
        (_edit(lambda f: f.assign(prob_0=f["prob_0"] / 2)), "sum to 1"),
        (_edit(lambda f: pd.concat([f, f.head(1)])), "several for 1: sub-"),
        (
            _edit(lambda f: f.assign(y_true=(f["y_true"] + 1) % 3)),
            r"label of 20 participants is disputed .* by svm\|t1w\|, third\|t1w\|",
        ),
        (_edit(lambda f: f.assign(part="validation")), "no test prediction"),
    ],
)
def test_one_faulty_method_never_hides_the_others(tmp_path, spoil, message):
    row = _score_three(tmp_path, spoil)
    assert row["status"] == "failed"
    assert re.search(message, row["error"])


def test_a_fold_that_the_plan_lacks_makes_the_row_missing(tmp_path):
    runs = write_workspace(tmp_path, [SVM, replace(SVM, name="twin")], {"memory": 60})
    path = runs / "twin" / "plan.json"
    plan = json.loads(path.read_text())
    plan["runs"] = plan["runs"][:2]
    path.write_text(json.dumps(plan))
    score_workspace(runs, tmp_path / "scores", n_resamples=20)
    row = _row(rank_workspace(tmp_path / "scores", tmp_path / "board"), "twin")
    assert row["status"] == "missing"
    assert "folds [0, 1]" in row["error"]


def test_runs_that_the_plan_does_not_name_are_not_read(tmp_path):
    runs = write_workspace(tmp_path, [SVM], {"memory": 60})
    (runs / "svm" / "stale").mkdir()
    (runs / "svm" / "stale" / "result.json").write_text("{")
    scores = score_workspace(runs, tmp_path / "scores", n_resamples=20)
    assert set(scores["method"]) == {"svm"}


def test_a_filter_reads_some_methods_only(tmp_path):
    runs = write_workspace(tmp_path, [SVM, replace(SVM, name="twin")], {"memory": 60})
    only = PlanFilter(methods=["twin"])
    scores = score_workspace(runs, tmp_path / "scores", n_resamples=20, only=only)
    assert set(scores["method"]) == {"twin"}


def test_a_workspace_without_plans_names_the_command(tmp_path):
    with pytest.raises(ResultError, match="neurodx run"):
        score_workspace(tmp_path, tmp_path / "scores")
    with pytest.raises(ResultError, match="neurodx score"):
        rank_workspace(tmp_path / "scores", tmp_path / "board")


def test_a_board_of_gaps_and_an_oracle_alone(tmp_path):
    runs = write_workspace(tmp_path, [replace(SVM, status={0: "failed"})], {"memory": 60})
    table = people("memory", "dx3", 60)[["participant_id", "y_true"]]
    frame = table.assign(prob_0=0.2, prob_1=0.3, prob_2=0.5)
    oracle = Ledger(RowKey("memory", "dx3", "t1w", "3fold", "oracle"), frame)
    score_workspace(runs, tmp_path / "scores", n_resamples=20, extra=[oracle])
    board = rank_workspace(tmp_path / "scores", tmp_path / "board")
    assert _row(board, "svm")["status"] == "failed"
    assert "folds are not known" in _row(board, "oracle")["error"]
    with pytest.raises(ResultError, match="no run that passes"):
        score_workspace(runs, tmp_path / "scores", only=PlanFilter(protocols=["5fold"]))


def test_a_class_that_nobody_has_leaves_the_score_undefined_and_says_so(tmp_path):
    runs = write_workspace(tmp_path, [SVM], {"memory": 60})
    for path in runs.glob("svm/*/predictions.parquet"):
        frame = pd.read_parquet(path)
        frame[frame["y_true"] < 2].to_parquet(path, index=False)
    score_workspace(runs, tmp_path / "scores", n_resamples=20)
    row = _row(rank_workspace(tmp_path / "scores", tmp_path / "board"), "svm")
    assert np.isnan(row["score"])
    assert pd.isna(row["rank_low"])
    assert "roc_auc is not defined" in row["error"]
    assert "'AD': 0" in row["error"]
