"""Honesty counters: optimism by hand, and copies of a row."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, write_workspace

from benchmark.errors import ResultError
from benchmark.metrics import METRICS
from benchmark.results import score_workspace
from benchmark.results.robustness import write_robustness
from benchmark.results.robustness.duplicates import content_sha256, likeness
from benchmark.results.robustness.optimism import optimism
from benchmark.tasks import TASKS

METHODS = [FakeMethod("cnn", skill=1.2), FakeMethod("weak", skill=0.4)]


def score_all(runs: Path, scores: Path, n_resamples: int) -> None:
    score_workspace(runs, scores, n_resamples=n_resamples)
    write_robustness(runs, scores)


def _one(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1, f"{len(table)} lines"
    return table.iloc[0]


def _fits(rng, shift: float, people_: np.ndarray, fold: int) -> pd.DataFrame:
    label = people_ % 2
    p = 1 / (1 + np.exp(-(shift * (label - 0.5) + rng.normal(size=len(people_)))))
    frame = {"participant_id": [f"sub-{i:03d}" for i in people_], "y_true": label * 1.0}
    return pd.DataFrame(frame | {"prob_0": 1 - p, "prob_1": p, "fold": fold, "seed": 0})


def test_optimism_is_validation_minus_test():
    rng = np.random.default_rng(2)
    everybody = np.arange(120)
    test = pd.concat([_fits(rng, 1.0, everybody[k::3], k) for k in range(3)])
    chosen = [everybody[(k + 1) % 3 :: 3][:16] for k in range(3)]
    validation = pd.concat([_fits(rng, 3.0, chosen[k], k) for k in range(3)])
    found = optimism(validation, test, TASKS["ad_cn"], METRICS["brier_score"], n_resamples=500)
    losses = [((part["prob_1"] - part["y_true"]) ** 2).mean() for part in (validation, test)]
    assert found["validation_score"] == pytest.approx(losses[0])
    assert found["optimism"] == pytest.approx(losses[1] - losses[0])  # less loss is better
    assert found["n_validation"] == 48
    assert 0 < found["optimism_low"] < found["optimism"] < found["optimism_high"]


def test_stored_validation_predictions_reach_the_board_and_bad_ones_harm_no_row(tmp_path):
    runs = write_workspace(tmp_path, METHODS)
    for method, broken in (("cnn", False), ("weak", True)):
        for path in (runs / method).glob("*/predictions.parquet"):
            frame = pd.read_parquet(path)
            tuning = frame.assign(part="validation")
            if broken:
                tuning["prob_0"] = np.nan
            pd.concat([frame, tuning]).to_parquet(path)
    score_all(runs, tmp_path / "scores", 50)
    table = pd.read_parquet(tmp_path / "scores" / "robustness" / "honesty.parquet")
    row = _one(table, method="cnn", task="dx3")
    assert (row["status"], row["optimism"]) == ("done", 0.0)
    assert "finite" in _one(table, method="weak", task="dx3")["note"]
    entries = pd.read_parquet(tmp_path / "scores" / "entries.parquet")
    assert set(entries["status"]) == {"done"}


def test_a_near_copy_is_named_and_another_method_is_not(tmp_path):
    runs = write_workspace(tmp_path, [*METHODS, FakeMethod("twin", skill=1.2)])
    for path in (runs / "twin").glob("*/predictions.parquet"):
        frame = pd.read_parquet(runs / "cnn" / path.parent.name / path.name)
        columns = [f"prob_{k}" for k in range(3)]
        frame[columns] = 0.995 * frame[columns] + 0.005 / 3
        frame.to_parquet(path)
    score_all(runs, tmp_path / "scores", 20)
    table = pd.read_parquet(tmp_path / "scores" / "robustness" / "duplicates.parquet")
    row = _one(table, task="dx3")
    assert row["kind"] == "nearly identical"
    assert row["correlation"] == pytest.approx(1.0)
    assert row["content_sha256"] == ""


def test_the_hash_sees_people_and_six_decimals():
    ids, values = np.array(["a", "b"]), np.array([[0.1, 0.9], [0.4, 0.6]])
    same = content_sha256(ids, values)
    assert content_sha256(ids, values + 1e-9) == same
    assert content_sha256(ids, values + 1e-4) != same
    assert content_sha256(np.array(["a", "c"]), values) != same
    assert content_sha256(ids, values * -0.0) == content_sha256(ids, values * 0.0)


def test_a_column_that_does_not_vary_correlates_with_nothing():
    correlation, apart = likeness(np.ones((5, 1)), np.arange(5.0)[:, None])
    assert np.isnan(correlation)
    assert apart == 3.0


def test_the_tables_need_the_scores_of_these_runs(tmp_path):
    runs = write_workspace(tmp_path, METHODS[:1])
    with pytest.raises(ResultError, match=r"scores.json: there is no such file; make it with"):
        write_robustness(runs, tmp_path / "scores")
    score_all(runs, tmp_path / "scores", 20)
    write_workspace(tmp_path, METHODS[1:])
    with pytest.raises(ResultError, match=r"weak\|t1w\|.* on .* run `neurodx score` again"):
        write_robustness(runs, tmp_path / "scores")
    assert (tmp_path / "scores" / "robustness" / "honesty.parquet").is_file()  # as it was
