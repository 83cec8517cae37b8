"""From runs on disk to the board: what stands in each table, and what a fault may not do."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, people, write_workspace

from benchmark.results import (
    LEADERBOARD,
    Ledger,
    RowFacts,
    RowKey,
    rank_workspace,
    read_replicates,
    score_workspace,
)
from benchmark.stats import rank_methods

EXTERNAL = {"external": ("dx3",)}
AGE_TASKS = {"memory": ("dx3",), "population": ("brain_age",)}
COHORTS = {name: {"synthetic": True} for name in ("memory", "external")} | {
    "population": {"synthetic": False}
}
METHODS = [
    FakeMethod("age_sex", "demographic", 0.4, external=EXTERNAL),
    FakeMethod("chance", "none", tasks=AGE_TASKS, constant=True),
    FakeMethod("svm", "t1w", 1.0, tasks=AGE_TASKS, external=EXTERNAL, missing_share=0.1),
    FakeMethod("cnn", "t1w", 1.1, seeds=(0, 1, 2), external=EXTERNAL, missing_share=0.1),
    FakeMethod("weak", "t1w", 0.2, missing_share=0.1, derived={}),
    FakeMethod("fusion", "all", 1.8, missing_share=0.25, derived={}),
    FakeMethod("broken", "t1w", status={1: "failed"}),
    FakeMethod("late", "t1w", status={2: "missing"}, derived={}),
]
RESAMPLES = 200
SVM = FakeMethod("svm", derived={})


def _oracle(cohort: str, protocol: str, n: int) -> Ledger:
    table = people(cohort, "dx3", n)
    prob = np.full((n, 3), 0.01)
    prob[np.arange(n), table["y_true"].astype(int)] = 0.98
    frame = table[["participant_id", "y_true"]].assign(
        **{f"prob_{k}": prob[:, k] for k in range(3)}
    )
    key = RowKey(cohort, "dx3", "t1w", protocol, "oracle")
    return Ledger(key, frame, RowFacts(title="Oracle"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    runs = write_workspace(root, METHODS)
    oracles = [_oracle("memory", "3fold", 240), _oracle("external", "external", 90)]
    score_workspace(runs, root / "scores", n_resamples=RESAMPLES, extra=oracles)
    cards = [{"name": "svm", "tracks": ["t1w"], "licence": "MIT"}]
    rank_workspace(root / "scores", root / "board", cards, cohorts=COHORTS, facts={"commit": "c0"})
    return root


@pytest.fixture(scope="module")
def board(workspace):
    return pd.read_parquet(workspace / "board" / "leaderboard.parquet")


def _row(board, method, task="dx3", protocol="3fold", cohort="memory"):
    rows = board[
        (board["method"] == method)
        & (board["task"] == task)
        & (board["protocol"] == protocol)
        & (board["cohort"] == cohort)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def test_columns_and_files(workspace, board):
    assert tuple(board.columns) == LEADERBOARD
    csv = pd.read_csv(workspace / "board" / "leaderboard.csv")
    assert tuple(csv.columns) == LEADERBOARD
    assert len(csv) == len(board)
    names = {p.name for p in (workspace / "board").iterdir()}
    assert names == {
        "board.json",
        "comparisons.parquet",
        "leaderboard.csv",
        "leaderboard.parquet",
        "methods.parquet",
        "metrics.json",
        "metrics.parquet",
        "plots",
        "predictions",
        "replicates",
        "runs.parquet",
    }
    assert {p.name for p in (workspace / "board" / "replicates").iterdir()} == {
        "memory__dx3__3fold.parquet",
        "memory__ad_cn__3fold.parquet",
        "population__brain_age__3fold.parquet",
        "external__dx3__external.parquet",
        "external__ad_cn__external.parquet",
    }


def _predictions(root, method, runs=("memory-0-0", "memory-1-0", "memory-2-0")):
    return [pd.read_parquet(root / "runs" / method / r / "predictions.parquet") for r in runs]


def _ovr(frame):
    y = frame["y_true"].astype(int).to_numpy()
    pairs, wins = np.zeros(3), np.zeros(3)
    for k in range(3):
        pairs[k] = (y == k).sum() * (y != k).sum()
        wins[k] = roc_auc_score(y == k, frame[f"prob_{k}"]) * pairs[k]
    return wins, pairs


def test_score_is_the_pair_weighted_mean_over_folds(workspace, board):
    folds = [f[f["part"] == "test"] for f in _predictions(workspace, "svm")]
    folds = [f[f["task"] == "dx3"] for f in folds]
    parts = [_ovr(f) for f in folds]
    expected = (sum(w for w, _ in parts) / sum(p for _, p in parts)).mean()
    row = _row(board, "svm")
    assert row["score"] == pytest.approx(expected)
    assert row["n"] == sum(map(len, folds))
    assert json.loads(row["n_by_class"])["AD"] == sum((f["y_true"] == 2).sum() for f in folds)
    assert row["ci_method"] == "logit-DeLong"
    assert row["ci_low"] < row["score"] < row["ci_high"]


def test_several_seeds_are_averaged_and_their_spread_is_shown(workspace, board):
    by_seed = []
    for seed in range(3):
        frames = _predictions(workspace, "cnn", [f"memory-{k}-{seed}" for k in range(3)])
        parts = [_ovr(f[f["part"] == "test"]) for f in frames]
        by_seed.append((sum(w for w, _ in parts) / sum(p for _, p in parts)).mean())
    row = _row(board, "cnn")
    assert row["score"] == pytest.approx(np.mean(by_seed))
    assert row["seed_sd"] == pytest.approx(np.std(by_seed, ddof=1))
    assert (row["seeds"], row["folds"]) == (3, 3)
    assert row["ci_method"] == "logit-DeLong + seed variance"


def test_external_score_is_the_mean_over_fold_models(workspace, board):
    scores = []
    for frame in _predictions(workspace, "svm"):
        wins, pairs = _ovr(frame[frame["part"] == "external"])
        scores.append((wins / pairs).mean())
    row = _row(board, "svm", protocol="external", cohort="external")
    assert row["score"] == pytest.approx(np.mean(scores))
    assert row["n"] == 90
    assert row["seeds"] == 1
    assert np.isnan(row["seed_sd"])  # fold models are no seeds


def test_a_binary_task_is_derived_and_says_so(workspace, board):
    frames = [
        f[(f["part"] == "test") & f["y_true"].isin([0, 2])] for f in _predictions(workspace, "svm")
    ]
    wins = pairs = 0.0
    for f in (f[f["task"] == "dx3"] for f in frames):
        y = f["y_true"] == 2
        product = y.sum() * (~y).sum()
        wins += product * roc_auc_score(y, f["prob_2"] / (f["prob_0"] + f["prob_2"]))
        pairs += product
    row = _row(board, "svm", "ad_cn")
    assert row["derived_from"] == "dx3"
    assert row["score"] == pytest.approx(wins / pairs)
    assert _row(board, "svm")["derived_from"] == ""


@pytest.mark.parametrize(("method", "status"), [("broken", "failed"), ("late", "missing")])
def test_an_incomplete_row_is_shown_and_not_scored(board, method, status):
    row = _row(board, method)
    assert row["status"] == status
    assert np.isnan(row["score"])
    assert pd.isna(row["rank_low"])
    assert row["error"] == ("Boom: it broke" if status == "failed" else "1 runs are missing")


def test_chance_scores_half_and_is_no_better_than_the_floor(board):
    row = _row(board, "chance")
    assert row["score"] == 0.5
    assert row["floor_gain"] == pytest.approx(0.5 - _row(board, "age_sex")["score"])
    assert row["floor_gain_high"] < 0


def test_the_floor_of_a_regression_is_predicting_the_mean(board):
    ours = _row(board, "svm", "brain_age", cohort="population")
    floor = _row(board, "chance", "brain_age", cohort="population")
    assert ours["metric"] == "mae"
    assert not ours["higher_is_better"]
    assert ours["floor_gain"] > 0
    assert ours["floor_gain_low"] < ours["floor_gain"] < ours["floor_gain_high"]
    assert pd.isna(floor["floor_gain"])


def test_ranks_within_a_track_and_among_subsets_of_its_inputs(board):
    t1w = board[
        (board["track"] == "t1w") & (board["task"] == "dx3") & (board["protocol"] == "3fold")
    ]
    ranked = t1w[t1w["rank_low"].notna()].set_index("method")
    assert set(ranked.index) == {"svm", "cnn", "weak"}
    assert ranked.loc["weak", "tie_group"] == 2
    assert ranked.loc["weak", ["rank_low", "rank_high"]].tolist() == [3, 3]
    assert ranked.loc[["svm", "cnn"], "tie_group"].tolist() == [1, 1]
    fusion = _row(board, "fusion")
    assert (fusion["rank_low"], fusion["rank_high"]) == (1, 1)  # alone in its track
    assert (fusion["rank_all_low"], fusion["rank_all_high"]) == (1, 1)  # ahead of all the others
    floor = _row(board, "age_sex")
    assert floor["rank_all_high"] == 1  # nobody else sees a subset of its inputs but chance


def test_the_oracle_is_shown_and_not_ranked(board):
    oracle = _row(board, "oracle")
    assert oracle["score"] == 1.0
    assert oracle["folds"] == 3  # taken from the other methods
    assert pd.isna(oracle["rank_low"])
    row = _row(board, "svm")
    assert row["oracle_gap"] == pytest.approx(row["score"] - 1.0)
    assert pd.isna(_row(board, "fusion")["oracle_gap"])  # no oracle of its track


def test_one_oracle_stands_beside_several_fold_models(board):
    oracle = _row(board, "oracle", protocol="external", cohort="external")
    assert oracle["status"] == "done"
    assert oracle["score"] == 1.0
    row = _row(board, "svm", protocol="external", cohort="external")
    assert row["oracle_gap"] == pytest.approx(row["score"] - 1.0)


def test_facts_of_a_row(board):
    row = _row(board, "svm")
    assert row["fit_seconds"] == pytest.approx(3.0)  # mean of 2, 3 and 4
    assert row["test_evaluations"] == 6
    assert row["synthetic"]
    assert not row["small_sample"]
    assert _row(board, "svm", protocol="external", cohort="external")["small_sample"]
    assert not _row(board, "svm", "brain_age", cohort="population")["synthetic"]


def test_methods_are_compared_on_common_people(workspace):
    table = pd.read_parquet(workspace / "board" / "comparisons.parquet")
    pair = table[
        (table["task"] == "dx3")
        & (table["protocol"] == "3fold")
        & (table["family"] == "inputs")
        & (table["family_track"] == "all")
        & (table["method_a"].isin(["fusion", "svm"]))
        & (table["method_b"].isin(["fusion", "svm"]))
    ]
    absent = [np.random.default_rng(5).random(240) < share for share in (0.1, 0.25)]
    assert pair["n_common"].tolist() == [int((~absent[0] & ~absent[1]).sum())]


def test_ranks_can_be_recomputed_from_the_stored_replicates(workspace, board):
    path = workspace / "board" / "replicates" / "memory__dx3__3fold.parquet"
    cell = read_replicates(path)
    keys = ["svm|t1w|", "cnn|t1w|", "weak|t1w|"]
    again = rank_methods(
        [cell.candidates[k] for k in keys],
        higher_is_better=cell.higher_is_better,
        rates=cell.rates,
    )
    for row in again.rows:
        stored = _row(board, row.key.split("|")[0])
        assert (row.rank_low, row.rank_high) == (stored["rank_low"], stored["rank_high"])
        assert row.first_place_share == pytest.approx(stored["first_place_share"])
    two = rank_methods([cell.candidates[k] for k in keys[1:]], higher_is_better=True)
    assert [r.rank_high for r in two.rows] == [1, 2]


def test_every_metric_has_an_interval_that_holds_its_score(workspace):
    metrics = pd.read_parquet(workspace / "board" / "metrics.parquet")
    svm = metrics[(metrics["method"] == "svm") & (metrics["task"] == "ad_cn")]
    assert {"roc_auc", "pr_auc", "ece", "net_benefit_50"} <= set(svm["metric"])
    exact = svm[svm["ci_method"].str.startswith(("BCa", "logit"))]
    assert (exact["ci_low"] <= exact["score"]).all()
    assert (exact["ci_high"] >= exact["score"]).all()
    ece = metrics[metrics["metric"] == "ece"]
    assert ece["descriptive"].all()
    assert ece["ci_low"].isna().all()
    assert ece["ci_method"].str.startswith("none (biased").all()


def test_stored_predictions_name_nobody(workspace):
    path = workspace / "board" / "predictions" / "memory__dx3__3fold.parquet"
    table = pd.read_parquet(path)
    assert "participant_id" not in table
    assert not table.astype(str).apply(lambda c: c.str.startswith("sub-")).any().any()
    svm, cnn = (table[table["method"] == m].drop_duplicates("index") for m in ("svm", "cnn"))
    both = svm.merge(cnn, on="index")
    assert (both["y_true_x"] == both["y_true_y"]).all()  # one index is one person


def test_board_facts_and_exports(workspace):
    facts = json.loads((workspace / "board" / "board.json").read_text())
    assert facts["commit"] == "c0"
    assert facts["synthetic_cohorts"] == ["external", "memory"]
    assert facts["counts"]["failed"] == 2  # dx3 and its derived task
    nested = json.loads((workspace / "board" / "metrics.json").read_text())
    assert nested["memory"]["dx3"]["3fold"]["none"]["chance"] == 0.5
    assert "svm (from dx3)" in nested["memory"]["ad_cn"]["3fold"]["t1w"]
    cards = pd.read_parquet(workspace / "board" / "methods.parquet")
    assert json.loads(cards.loc[0, "tracks"]) == ["t1w"]
    plot = pd.read_csv(workspace / "board" / "plots" / "memory__dx3__3fold.csv")
    assert plot["score"].notna().all()
    assert plot["brier_score"].notna().all()


def test_the_board_is_the_same_bytes_twice(tmp_path):
    runs = write_workspace(tmp_path, [SVM, replace(SVM, name="twin")], {"memory": 60})
    for name in ("one", "two"):
        score_workspace(runs, tmp_path / name / "scores", n_resamples=20)
        rank_workspace(tmp_path / name / "scores", tmp_path / name / "board")
    files = [p for p in sorted((tmp_path / "one").rglob("*")) if p.is_file()]
    assert len(files) > 10
    for path in files:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes(), path.name
