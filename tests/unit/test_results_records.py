"""Result records, derived tasks and the comparison with a reference."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import ResultError
from benchmark.results import (
    LEADERBOARD_DTYPES,
    compare_reference,
    derive_binary,
    read_result,
    validate_result,
    write_reference,
)
from benchmark.results.folders import replaced_folder
from benchmark.results.schema import typed

RECORD = {
    "schema_version": 1,
    "run_id": "abc",
    "method": "svm",
    "track": "t1w",
    "protocol": "3fold",
    "fold": 0,
    "seed": 0,
    "profile": "mini",
    "parts": [{"cohort": "memory", "tasks": ["dx3"]}],
    "tuned": False,
    "provenance": "reproduced here",
    "fit_seconds": 1.0,
    "fit_cpu_seconds": 1,
    "predict_seconds": 0.1,
    "peak_memory_mib": None,
    "params": None,
    "n_train": 10,
    "n_validation": 2,
    "processes": 1,
    "started": "2026-01-01T00:00:00Z",
    "versions": {},
    "hashes": {},
    "commit": "",
}


def test_a_valid_record_passes(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(RECORD))
    assert read_result(path) == RECORD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "expected schema_version 1, got 2"),
        ({"fold": "0"}, "fold should be int, got '0'"),
        ({"fold": True}, "fold should be int, got True"),
        ({"tuned": 1}, "tuned should be bool"),
        ({"acuracy": 1.0}, "acuracy is not known"),
        ({"parts": [{"cohort": "memory"}]}, "parts should be a list"),
        ({"parts": []}, "parts should be a list"),
    ],
)
def test_a_faulty_record_is_refused(change, message):
    with pytest.raises(ResultError, match=message):
        validate_result({**RECORD, **change}, "runs/svm/abc/result.json")


def test_all_faults_are_listed_with_the_path():
    record = {k: x for k, x in RECORD.items() if k not in ("seed", "method")}
    with pytest.raises(ResultError, match=r"result.json: method is missing; seed is missing"):
        validate_result(record, "runs/svm/abc/result.json")


def test_a_file_that_is_no_record_is_refused(tmp_path):
    path = tmp_path / "result.json"
    with pytest.raises(ResultError, match="no such file"):
        read_result(path)
    path.write_text("{")
    with pytest.raises(ResultError, match="not valid JSON"):
        read_result(path)
    path.write_text("[]")
    with pytest.raises(ResultError, match="got list"):
        read_result(path)


LEDGER = pd.DataFrame(
    {
        "participant_id": ["a", "b", "c", "d"],
        "y_true": [0.0, 1.0, 2.0, 2.0],
        "prob_0": [0.6, 0.2, 0.1, 0.0],
        "prob_1": [0.3, 0.5, 0.6, 1.0],
        "prob_2": [0.1, 0.3, 0.3, 0.0],
    }
)


def test_a_binary_task_renormalises_two_probabilities():
    derived = derive_binary(LEDGER, ("CN", "MCI", "AD"), ("CN", "AD"))
    assert derived["participant_id"].tolist() == ["a", "c", "d"]
    assert derived["y_true"].tolist() == [0.0, 1.0, 1.0]
    np.testing.assert_allclose(derived["prob_1"], [1 / 7, 3 / 4, 1 / 2])
    np.testing.assert_allclose(derived["prob_0"] + derived["prob_1"], 1.0)
    assert "prob_2" not in derived


def test_class_order_is_that_of_the_derived_task():
    derived = derive_binary(LEDGER, ("CN", "MCI", "AD"), ("AD", "MCI"))
    assert derived["y_true"].tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(derived["prob_1"], [5 / 8, 2 / 3, 1.0])


def test_a_task_of_other_classes_cannot_be_derived():
    with pytest.raises(ResultError, match="'PD'"):
        derive_binary(LEDGER, ("CN", "MCI", "AD"), ("CN", "PD"))


def _board(path, **changes):
    row = {
        "cohort": "memory",
        "task": "dx3",
        "track": "t1w",
        "protocol": "3fold",
        "metric": "roc_auc",
        "score": 0.8,
        "ci_low": 0.7,
        "ci_high": 0.9,
        "n": 100,
        "seeds": 1,
        "status": "done",
    }
    rows = [{**row, "method": name, **changes.get(name, {})} for name in changes]
    path.mkdir(exist_ok=True)
    typed(pd.DataFrame(rows), LEADERBOARD_DTYPES).to_csv(path / "leaderboard.csv", index=False)
    return path


def test_a_reference_is_replaced_whole(tmp_path):
    """Whoever reads the old one meanwhile has it as it was."""
    reference = tmp_path / "leaderboard.csv"
    write_reference(_board(tmp_path / "old", first={}), reference)
    before = reference.read_bytes()
    (tmp_path / "kept.csv").hardlink_to(reference)
    write_reference(_board(tmp_path / "new", first={}, second={}), reference)
    assert (tmp_path / "kept.csv").read_bytes() == before
    assert reference.read_bytes() != before
    assert sorted(p.name for p in tmp_path.glob("*.csv")) == ["kept.csv", "leaderboard.csv"]


def test_reference_outcomes(tmp_path):
    spread = {"seeds": 3, "seed_sd": 0.02}
    published = _board(
        tmp_path / "old",
        same={},
        near={},
        near_by_seeds=spread,
        near_for_its_interval={},
        near_where_many={"ci_low": 0.78, "ci_high": 0.82},
        far={},
        far_where_many={"ci_low": 0.78, "ci_high": 0.82},
        fewer={},
        gone={},
        broken={},
        never={"status": "failed", "score": np.nan, "ci_low": np.nan, "ci_high": np.nan},
    )
    reference = tmp_path / "reference" / "leaderboard.csv"
    write_reference(published, reference)
    board = _board(
        tmp_path / "new",
        same={},
        near={"score": 0.82},
        near_by_seeds={**spread, "score": 0.855},
        near_for_its_interval={"score": 0.855},
        near_where_many={"score": 0.825, "ci_low": 0.78, "ci_high": 0.82},
        far={"score": 0.865},
        far_where_many={"score": 0.84, "ci_low": 0.78, "ci_high": 0.82},
        fewer={"n": 99},
        broken={"status": "failed", "score": np.nan, "ci_low": np.nan, "ci_high": np.nan},
        never={"status": "failed", "score": np.nan, "ci_low": np.nan, "ci_high": np.nan},
        fresh={},
    )
    report = compare_reference(board, reference)
    assert dict(zip(report.rows["method"], report.rows["outcome"], strict=True)) == {
        "same": "identical",
        "never": "identical",
        "near": "within tolerance",
        "near_by_seeds": "within tolerance",
        "near_for_its_interval": "within tolerance",
        "near_where_many": "within tolerance",
        "far": "different",
        "far_where_many": "different",
        "fewer": "different",
        "broken": "different",
        "gone": "missing",
        "fresh": "new",
    }
    assert report.counts["different"] == 4
    assert not report.passed
    assert compare_reference(published, reference).passed


def test_a_reference_that_is_absent_names_the_command(tmp_path):
    board = _board(tmp_path / "board", a={})
    with pytest.raises(ResultError, match="compare-reference --write"):
        compare_reference(board, tmp_path / "reference.csv")
    with pytest.raises(ResultError, match="tolerance"):
        compare_reference(board, board)


def test_a_table_with_an_unknown_column_is_refused():
    with pytest.raises(ResultError, match="acuracy"):
        typed(pd.DataFrame({"acuracy": [1.0]}), LEADERBOARD_DTYPES)


def _write_then_fail(folder):
    (folder / "b").write_text("2")
    (folder / "b" / "c").write_text("3")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "board"
    with replaced_folder(target) as fresh:
        (fresh / "a").write_text("1")
    with pytest.raises(NotADirectoryError), replaced_folder(target) as fresh:
        _write_then_fail(fresh)
    assert [p.name for p in target.iterdir()] == ["a"]
    with replaced_folder(target) as fresh:
        (fresh / "c").write_text("3")
    assert [p.name for p in target.iterdir()] == ["c"]
    assert [p.name for p in tmp_path.iterdir()] == ["board"]
