"""What a change of each file makes DVC do again, and what its pictures show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from benchmark.config import load_profile
from benchmark.registry import ROOT
from benchmark.results.export import write_exports
from benchmark.results.schema import LEADERBOARD_DTYPES, ROW_KEY, typed
from benchmark.runs.pipeline import pipeline_text
from benchmark.runs.rows import resolve_row


@pytest.fixture(scope="module")
def pipeline() -> dict[str, Any]:
    return yaml.safe_load(pipeline_text(load_profile("smoke")))


def stages_that_read(pipeline: dict[str, Any], name: str) -> set[str]:
    """Stages with a dependency that is this file of the repository, or a folder around it."""
    path = ROOT / name
    assert path.is_file(), name
    home = ROOT / "profiles" / "smoke"
    return {
        stage
        for stage, facts in pipeline["stages"].items()
        for dep in facts["deps"]
        if path.is_relative_to((home / dep).resolve())
    }


def kinds(stages: set[str]) -> set[str]:
    return {stage.partition("-")[0] for stage in stages}


def test_a_card_reaches_the_board(pipeline: dict[str, Any]) -> None:
    for name in load_profile("smoke").methods:
        folder = resolve_row(name, load_profile("smoke")).info.folder.relative_to(ROOT)
        for file in ("README.md", "info.py"):
            assert "rank" in stages_that_read(pipeline, f"{folder}/{file}")
    assert stages_that_read(pipeline, "benchmark/cli/cards.py") == {"rank"}
    profile = "../../configs/profile/smoke.yaml"
    assert {profile: ["methods", "settings"]} in pipeline["stages"]["rank"]["params"]


def test_a_methods_model_is_read_by_its_own_rows_alone(pipeline: dict[str, Any]) -> None:
    read = stages_that_read(pipeline, "baselines/biomarker_linear/model.py")
    assert read == {"run-biomarker_linear", "run-biomarker_all_linear"}


@pytest.mark.parametrize("file", ["rows.py", "planning.py", "people.py", "execute.py", "team.py"])
def test_what_decides_a_run_is_read_by_every_run(pipeline: dict[str, Any], file: str) -> None:
    every = {stage for stage in pipeline["stages"] if stage.startswith("run-")}
    assert stages_that_read(pipeline, f"benchmark/runs/{file}") >= every


def test_figures_of_the_docs_are_read_by_nobody(pipeline: dict[str, Any]) -> None:
    assert not stages_that_read(pipeline, "benchmark/cohorts/phantom/plots.py")
    oracle = stages_that_read(pipeline, "benchmark/cohorts/phantom/oracle.py")
    assert oracle == {"score"}
    generator = stages_that_read(pipeline, "benchmark/cohorts/phantom/effects.py")
    assert kinds(generator) == {"prepare"}


def test_each_table_of_the_board_has_a_picture_of_its_own(
    pipeline: dict[str, Any], tmp_path: Path
) -> None:
    files: dict[str, set[str]] = {}
    for plot in pipeline["plots"]:
        ((facts),) = plot.values()
        ((file, column),) = facts["x"].items()
        assert facts["y"] == {file: "row"}
        files.setdefault(file, set()).add(column)
        assert facts["x_label"] in ("AUROC", "MAE", "Brier score")
    cells = {tuple(Path(file).stem.split("__")) for file in files}
    assert ("phantom-memory", "ad_cn", "3fold") in cells
    assert ("phantom-external", "dx3", "external") in cells
    age = "board/plots/phantom-population__brain_age__3fold.csv"
    assert files.pop(age) == {"score"}
    assert set(map(frozenset, files.values())) == {frozenset({"score", "brier_score"})}

    rows = [
        dict(zip(ROW_KEY, (cohort, task, "t1w", protocol, method, ""), strict=True))
        | {"metric": "roc_auc", "score": 0.7}
        for cohort, task, protocol in cells
        for method in ("svm", "oracle")
    ]
    board = typed(pd.DataFrame(rows), LEADERBOARD_DTYPES)
    metrics = pd.DataFrame(rows).assign(metric="brier_score", score=0.25)
    write_exports(board, metrics, tmp_path)
    assert {f"board/plots/{path.name}" for path in (tmp_path / "plots").iterdir()} == {age, *files}
    table = pd.read_csv(tmp_path / "plots" / "phantom-memory__ad_cn__3fold.csv")
    assert set(table["row"]) == {"svm", "oracle (t1w)"}
    assert set(table["score"]) == {0.7}
    assert set(table["brier_score"]) == {0.25}
    assert table["ece"].isna().all()
