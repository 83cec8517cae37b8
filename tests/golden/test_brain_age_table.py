"""The corrected error of brain age on the board, against a line fitted by numpy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from board_workspace import FakeMethod, write_workspace

from benchmark.results import score_workspace
from benchmark.results.robustness import write_robustness

NAMES = ("cnn", "leaky", "flat", "plain")
METHODS = [
    FakeMethod(name, tasks={"memory": ("brain_age",)}, derived={}, constant=name == "flat")
    for name in NAMES
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ages")
    runs = write_workspace(folder, METHODS)
    for name in NAMES[:3]:
        paths = sorted((runs / name).glob("*/predictions.parquet"))
        tests = [pd.read_parquet(path) for path in paths]
        for k, path in enumerate(paths):
            tuning = tests[k if name == "leaky" else (k + 1) % len(tests)]
            pd.concat([tests[k], tuning.assign(part="validation")]).to_parquet(path)
    score_workspace(runs, folder / "scores", n_resamples=50)
    write_robustness(runs, folder / "scores")
    return folder


@pytest.fixture(scope="module")
def table(workspace):
    found = pd.read_parquet(workspace / "scores" / "robustness" / "brain_age.parquet")
    return found.set_index("method")


def test_each_fold_is_corrected_by_its_own_validation_people(workspace, table):
    errors, plain = [], []
    for path in sorted((workspace / "runs" / "cnn").glob("*/predictions.parquet")):
        frame = pd.read_parquet(path)
        tuning, test = (frame[frame["part"] == part] for part in ("validation", "test"))
        slope, intercept = np.polyfit(tuning["y_true"], tuning["y_pred"], 1)
        errors.append(((test["y_pred"] - intercept) / slope - test["y_true"]).abs())
        plain.append((test["y_pred"] - test["y_true"]).abs())
    row = table.loc["cnn"]
    assert (row["status"], row["n"]) == ("done", sum(map(len, plain)))
    assert row["mae"] == pytest.approx(pd.concat(plain).mean())
    assert row["mae_corrected"] == pytest.approx(pd.concat(errors).mean())
    assert row["mae_corrected"] != pytest.approx(row["mae"])


def test_what_cannot_be_corrected_says_why_and_keeps_its_score(workspace, table):
    assert "were used to fit it" in table.loc["leaky", "note"]
    assert "not clearly above 0" in table.loc["flat", "note"]
    assert table.loc["plain", "note"] == "no validation predictions: not stored"
    others = table.loc[["leaky", "flat", "plain"]]
    assert set(others["status"]) == {"undefined"}
    assert others["mae_corrected"].isna().all()
    assert others["mae"].notna().all()
    entries = pd.read_parquet(workspace / "scores" / "entries.parquet")
    assert set(entries["status"]) == {"done"}
