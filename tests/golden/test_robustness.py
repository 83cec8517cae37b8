"""The robustness tables: each figure against one made by hand or by another library."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.naive_bayes import GaussianNB

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, people, write_missing, write_workspace

from benchmark.errors import ResultError
from benchmark.results import rank_workspace, score_workspace
from benchmark.results.people import Background, people_table
from benchmark.results.robustness import TABLES, age_matching, site_trace, write_robustness
from benchmark.results.robustness.age_matching import CALIPER_YEARS, age_matched
from benchmark.results.robustness.duplicates import content_sha256
from benchmark.results.robustness.site_trace import guessed_balanced_accuracy
from benchmark.results.robustness.subgroups import group_gap

RNG = np.random.default_rng(11)
N = 240
METHODS = [
    FakeMethod("svm", skill=1.2, external={"external": ("dx3",)}, seeds=(0, 1, 2)),
    FakeMethod("cnn", skill=1.2, external={"external": ("dx3",)}),
    FakeMethod("weak", skill=0.4),
]


def background() -> Background:
    """People whose site says nothing, whose women are the even ones, whose patients are older."""
    tables = {}
    for cohort, n in (("memory", N), ("external", 90)):
        known = people(cohort, "dx3", n)
        place = np.arange(n)
        visits = pd.DataFrame(
            {
                "participant_id": known["participant_id"],
                "is_index": True,
                "sex": np.where(place % 2, "M", "F"),
                "site_id": [f"site-{i % 3}" for i in place],
                "age_years": 65.0 + 4.0 * known["y_true"] + place % 10,
                "apoe_e4": np.where(place < 20, 1.0, 0.0),
            }
        )
        tables[cohort] = people_table(visits)
    omitted = {"memory": [{"fold": 1, "percent": 1, "task": "dx3", "class": "AD", "people": 1}]}
    return Background(tables, omitted)


def score_all(runs: Path, scores: Path, n_resamples: int) -> None:
    """What `neurodx score` does: scores, then the robustness tables."""
    score_workspace(runs, scores, n_resamples=n_resamples)
    write_robustness(runs, scores, background())


def also_as(runs: Path, method: str, protocol: str) -> None:
    """Lists the runs of a plan once more under another protocol."""
    path = runs / method / "plan.json"
    plan = json.loads(path.read_text())
    again = [{**r, "protocol": protocol, "external": {}} for r in plan["runs"] if r["seed"] == 0]
    plan["runs"] += again
    path.write_text(json.dumps(plan))


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    root = tmp_path_factory.mktemp("robustness")
    runs = write_workspace(root, METHODS)
    write_missing(runs, "weak")
    also_as(runs, "cnn", "few-label-10")
    also_as(runs, "weak", "leave-site-out")
    copy = runs / "copied"  # the same predictions under another name
    copy.mkdir()
    plan = json.loads((runs / "cnn" / "plan.json").read_text())
    plan["runs"] = [r for r in plan["runs"] if r["protocol"] == "3fold"]
    for run in plan["runs"]:
        (copy / run["run_id"]).mkdir()
        for name in ("predictions.parquet", "result.json"):
            content = (runs / "cnn" / run["run_id"] / name).read_bytes()
            (copy / run["run_id"] / name).write_bytes(content)
    (copy / "plan.json").write_text(json.dumps({**plan, "method": "copied"}))
    with (runs / "svm" / "evaluations.jsonl").open("a") as log:
        log.write('{"run_id": "an-older-run"}\nnot a record\n')
    score_all(runs, root / "scores", 200)
    rank_workspace(root / "scores", root / "board")
    return {name: pd.read_parquet(root / "board" / f"{name}.parquet") for name in TABLES} | {
        "leaderboard": pd.read_parquet(root / "board" / "leaderboard.parquet"),
        "runs": runs,
    }


def _one(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1, f"{len(table)} lines"
    return table.iloc[0]


def _ledger(board, method: str) -> pd.DataFrame:
    parts = [
        pd.read_parquet(board["runs"] / method / f"memory-{k}-0" / "predictions.parquet").assign(
            fold=k
        )
        for k in range(3)
    ]
    frame = pd.concat(parts)
    return frame[(frame["task"] == "dx3") & (frame["part"] == "test")]


def test_every_table_has_its_columns_and_says_what_it_holds(board):
    for name, dtypes in TABLES.items():
        assert list(board[name].columns) == list(dtypes)
    said = board["robustness"].set_index("table")
    assert set(said.index) == set(TABLES) - {"robustness"}
    assert said.index[said["rows"] == 0].tolist() == ["brain_age"]  # no such task here
    assert said.loc["brain_age", "says"] == "empty: no row is about brain age"


def test_without_people_and_such_runs_the_tables_say_so(tmp_path):
    runs = write_workspace(tmp_path, [METHODS[1]])
    score_workspace(runs, tmp_path / "scores", n_resamples=20)
    write_robustness(runs, tmp_path / "scores")
    said = pd.read_parquet(tmp_path / "scores/robustness/robustness.parquet").set_index("table")
    assert said.loc["leave_site_out", "says"] == (
        "empty: there are no runs of protocol leave-site-out yet"
    )
    assert said.loc["few_label", "says"].startswith("empty: there are no runs of protocol few-")
    assert said.loc["subgroups", "rows"] == 0


def test_a_subgroup_is_scored_on_its_people(board):
    ledger = _ledger(board, "weak")
    person = ledger["participant_id"].str[-4:].astype(int)
    women = ledger[person % 2 == 0]
    pairs = aucs = 0.0
    for k in range(3):  # one class against the rest, pairs within folds
        won = total = 0.0
        for _, part in women.groupby("fold"):
            positive = part["y_true"] == k
            n_pairs = positive.sum() * (~positive).sum()
            won += n_pairs * roc_auc_score(positive, part[f"prob_{k}"])
            total += n_pairs
        aucs, pairs = aucs + won / total, pairs + 1
    row = _one(
        board["subgroups"], method="weak", task="dx3", protocol="3fold", variable="sex", group="F"
    )
    assert row["n"] == len(women) == 120
    assert row["score"] == pytest.approx(aucs / pairs)
    assert row["ci_low"] < row["score"] < row["ci_high"]


def test_a_small_group_is_suppressed_and_has_no_part_in_the_gap(board):
    rows = board["subgroups"]
    carriers = _one(
        rows, method="cnn", task="dx3", protocol="3fold", variable="apoe_e4_carrier", group="1"
    )
    assert carriers["status"] == "suppressed"
    assert carriers["n"] == 20
    assert np.isnan(carriers["score"])
    assert "fewer than 10" in carriers["note"]
    gaps = board["subgroup_gaps"]
    assert "apoe_e4_carrier" not in set(gaps.loc[gaps["task"] == "dx3", "variable"])
    worst = rows[rows["worst"].fillna(value=False)]
    assert (worst["status"] == "done").all()
    assert len(worst) == len(gaps)


def test_a_gap_of_two_groups_is_their_difference():
    replicates = RNG.normal([[0.8], [0.7]], 0.02, (2, 4000))
    found = group_gap(np.array([0.8, 0.7]), replicates, sign=1.0)
    assert (found["best"], found["worst"]) == (0, 1)
    assert found["gap"] == pytest.approx(0.1)
    half = 1.96 * np.hypot(0.02, 0.02)
    assert found["gap_low"] == pytest.approx(0.1 - half, abs=0.004)
    assert found["gap_high"] == pytest.approx(0.1 + half, abs=0.004)
    assert found["separated"]
    errors = group_gap(np.array([0.7, 0.8]), replicates[::-1], sign=-1.0)  # years: less is better
    assert (errors["best"], errors["worst"]) == (0, 1)
    assert errors["gap_low"] == pytest.approx(found["gap_low"], abs=1e-9)


def test_the_choice_of_the_widest_gap_is_paid_for():
    """Six equal groups: the widest of 15 differences is rarely called real."""
    false = 0
    for _ in range(200):
        truth = RNG.normal(0.8, 0.03, 6)
        replicates = truth[:, None] + RNG.normal(0, 0.03, (6, 400))
        false += group_gap(truth, replicates, sign=1.0)["separated"]
    assert false / 200 < 0.10  # 39 % without the correction


def test_equal_groups_have_no_worst():
    found = group_gap(np.array([0.8, 0.8]), np.full((2, 50), 0.8), sign=1.0)
    assert found["gap"] == 0.0
    assert not found["separated"]


def test_age_matching_by_hand():
    ages = np.array([60.0, 62.0, 70.0, 61.0, 71.0, 90.0])
    assert age_matched(ages, np.array([0, 0, 0, 1, 1, 1])).tolist() == [0, 2, 3, 4]
    # as many pairs as possible, though 0 is nearest to 3: 0-4 and 1-3
    crossed = age_matched(np.array([64.0, 66.5, 64.5, 61.5]), np.array([0, 0, 1, 1]))
    assert crossed.tolist() == [0, 1, 2, 3]


def test_age_matching_of_three_classes_needs_a_partner_in_each():
    ages = np.array([60.0, 80.0, 61.0, 79.0, 62.0, 95.0])
    assert age_matched(ages, np.array([0, 0, 1, 1, 2, 2])).tolist() == [0, 2, 4]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(40, 100) | st.just(float("nan")), st.integers(0, 1)),
        min_size=4,
        max_size=40,
    )
)
def test_matched_classes_are_of_one_size_and_close_in_age(rows):
    ages = np.array([age for age, _ in rows])
    classes = np.array([0, 1, *[k for _, k in rows[2:]]])
    chosen = age_matched(ages, classes)
    groups = [np.sort(ages[chosen][classes[chosen] == k]) for k in (0, 1)]
    assert len(groups[0]) == len(groups[1])
    if len(chosen):
        assert np.isfinite(ages[chosen]).all()
        assert np.abs(groups[0] - groups[1]).max() <= CALIPER_YEARS + 1e-9


def test_the_age_line_tells_gap_and_drop(board):
    row = _one(board["age_matched"], method="svm", task="ad_cn", protocol="3fold")
    table = background().people["memory"]
    known = people("memory", "dx3", N)
    ages = table["age_years"].reindex(known["participant_id"]).to_numpy()
    gap = ages[known["y_true"] == 2].mean() - ages[known["y_true"] == 0].mean()
    assert (row["oldest_class"], row["youngest_class"]) == ("AD", "CN")
    assert row["age_gap_years"] == pytest.approx(gap)
    assert row["matched_age_gap_years"] < 3.0 < gap
    assert row["drop"] == pytest.approx(row["score"] - row["matched_score"])
    assert row["drop_low"] < row["drop"] < row["drop_high"]
    assert row["n_matched"] < row["n"]


def test_the_guess_of_the_site_is_that_of_a_naive_bayes():
    features = RNG.normal(size=(90, 2)) + np.arange(90)[:, None] % 3
    sites, folds = np.arange(90) % 3, np.arange(90) // 3 % 5
    ours = guessed_balanced_accuracy(features, sites[None], folds)
    guesses = np.zeros(90)
    for k in range(5):
        model = GaussianNB(priors=np.full(3, 1 / 3)).fit(features[folds != k], sites[folds != k])
        guesses[folds == k] = model.predict(features[folds == k])
    assert ours[0] == pytest.approx(balanced_accuracy_score(sites, guesses))


def test_a_constant_output_tells_no_site():
    found = guessed_balanced_accuracy(np.ones((30, 1)), np.arange(30)[None] % 3, np.arange(30) % 5)
    assert found.tolist() == [pytest.approx(1 / 3)]


def test_an_output_without_a_trace_stays_within_the_null(board):
    row = _one(board["site_trace"], method="svm", task="dx3", protocol="3fold")
    assert (row["sites"], row["chance"]) == (3, pytest.approx(1 / 3))
    assert row["null_low"] <= row["balanced_accuracy"] <= row["null_high"]
    assert row["p_value"] > 0.05
    assert "leave-site-out" not in set(board["site_trace"]["protocol"])


def test_a_trace_of_the_site_is_found(tmp_path):
    """Site 0 shifts every probability: the diagnosis does not explain it."""
    runs = write_workspace(tmp_path, [METHODS[2]])
    for path in (runs / "weak").glob("*/predictions.parquet"):
        frame = pd.read_parquet(path)
        shifted = frame["participant_id"].str[-4:].astype(int) % 3 == 0
        columns = [f"prob_{k}" for k in range(3)]
        moved = 0.2 * frame[columns] + 0.8 * np.array([0.9, 0.05, 0.05])
        frame[columns] = frame[columns].where(~shifted, moved)
        frame.to_parquet(path)
    score_all(runs, tmp_path / "scores", 20)
    table = pd.read_parquet(tmp_path / "scores" / "robustness" / "site_trace.parquet")
    row = _one(table, task="dx3")
    assert row["balanced_accuracy"] > row["null_high"]
    assert row["p_value"] == pytest.approx(1 / 201)


def test_the_external_drop_is_the_difference_of_two_rows(board):
    row = _one(board["external_drop"], method="cnn", task="dx3")
    rows = board["leaderboard"]
    ours = _one(rows, method="cnn", task="dx3", protocol="3fold")
    outside = _one(rows, method="cnn", task="dx3", protocol="external")
    assert row["cohort"] == "memory"
    assert row["external_cohort"] == "external"
    assert row["drop"] == pytest.approx(ours["score"] - outside["score"])
    assert row["drop_low"] < row["drop"] < row["drop_high"]
    widths = [(r["ci_high"] - r["ci_low"]) for r in (ours, outside)]
    assert row["drop_high"] - row["drop_low"] == pytest.approx(np.hypot(*widths), rel=0.25)


def test_left_out_sites_with_the_same_predictions_drop_nothing(board):
    row = _one(board["leave_site_out"], method="weak", task="dx3")
    assert (row["protocol"], row["n"]) == ("3fold", N)
    assert row["drop"] == 0.0
    assert row["drop_low"] == row["drop_high"] == 0.0


def test_a_few_label_curve_ends_at_all_labels(board):
    curve = board["few_label"]
    curve = curve[(curve["method"] == "cnn") & (curve["task"] == "dx3")].set_index("percent")
    assert curve["status"].to_dict() == {1: "omitted", 10: "done", 100: "done"}
    assert curve.loc[10, "score"] == curve.loc[100, "score"]  # the same predictions here
    assert curve.loc[1, "note"] == "fold 1 has 1 people of class AD"
    assert set(board["few_label"]["method"]) == {"cnn"}


def test_seeds_against_samples(board):
    row = _one(board["seed_variance"], method="svm", task="dx3", protocol="3fold")
    score = _one(board["leaderboard"], method="svm", task="dx3", protocol="3fold")
    assert row["seeds"] == 3
    assert row["seed_sd"] == pytest.approx(score["seed_sd"])
    expected = row["seed_sd"] ** 2 / (row["seed_sd"] ** 2 + row["sample_sd"] ** 2)
    assert row["seed_share"] == pytest.approx(expected)
    single = _one(board["seed_variance"], method="weak", task="dx3", protocol="3fold")
    assert single["note"] == "1 of 3 seeds: training randomness is not known"
    assert np.isnan(single["seed_share"])


def test_test_evaluations_of_a_row_and_of_runs_that_are_gone(board):
    row = _one(board["honesty"], method="svm", task="dx3", protocol="3fold")
    assert (row["runs"], row["test_evaluations"], row["superseded_evaluations"]) == (9, 9, 2)
    assert row["note"] == "no validation predictions: not stored"
    outside = _one(board["honesty"], method="svm", task="dx3", protocol="external")
    assert "external people validate nothing" in outside["note"]


def test_a_copy_is_named(board):
    pairs = board["duplicates"]
    row = _one(pairs, task="dx3", protocol="3fold")
    assert (row["method_a"], row["method_b"], row["kind"]) == ("cnn", "copied", "identical")
    assert row["largest_difference"] == 0.0
    ledger = _ledger(board, "cnn").sort_values("participant_id")
    columns = ["prob_0", "prob_1", "prob_2"]
    expected = content_sha256(ledger["participant_id"].to_numpy(), ledger[columns].to_numpy())
    assert row["content_sha256"] == expected


def test_a_broken_row_leaves_the_tables_whole(tmp_path):
    runs = write_workspace(tmp_path, [FakeMethod("bad", status={0: "failed"}), METHODS[1]])
    score_all(runs, tmp_path / "scores", 20)
    table = pd.read_parquet(tmp_path / "scores" / "robustness" / "subgroups.parquet")
    assert set(table["method"]) == {"cnn"}
    with pytest.raises(ResultError, match=r"no <method>/plan.json"):
        score_workspace(tmp_path / "nowhere", tmp_path / "other")


def test_more_pairs_than_can_be_matched_are_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(age_matching, "_MOST_PAIRS", 100)
    runs = write_workspace(tmp_path, [METHODS[2]])
    score_all(runs, tmp_path / "scores", 20)
    table = pd.read_parquet(tmp_path / "scores" / "robustness" / "age_matched.parquet")
    row = _one(table, task="ad_cn")
    assert row["status"] == "undefined"
    assert row["note"].endswith("pairs are too many to match")
    assert row["age_gap_years"] > 3.0


def test_labellings_may_be_guessed_in_portions(monkeypatch):
    features, sites = RNG.normal(size=(60, 1)), RNG.permuted(np.arange(60)[None] % 3, axis=1)
    labellings = np.vstack([sites, RNG.permuted(np.repeat(sites, 9, axis=0), axis=1)])
    whole = guessed_balanced_accuracy(features, labellings, np.arange(60) % 5)
    monkeypatch.setattr(site_trace, "_MOST_CELLS", 400)
    parts = guessed_balanced_accuracy(features, labellings, np.arange(60) % 5)
    np.testing.assert_array_equal(parts, whole)
