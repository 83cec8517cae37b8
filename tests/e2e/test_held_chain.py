"""From released files to ranked rows with one command, in a copy of the repository."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from held_arrays import write_clinic_with_arrays
from held_replicas import write_oasis1
from test_chain import Clone

pytestmark = pytest.mark.e2e


def test_one_command_from_files_to_ranked_rows(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    files = write_oasis1(tmp_path / "oasis1")
    command = ("neurodx", "cohort", "add", "oasis1", "--root", str(files), "--as", "mine")
    done = clone.call(
        "python", "-m", "benchmark.cli", *command[1:], "--synthetic", "--run", cwd=clone.folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    home = clone.folder / "profiles" / "mine"
    board = pd.read_parquet(home / "board" / "leaderboard.parquet")
    scores = board.loc[board["task"] == "impaired"].set_index("method")["score"]
    assert scores["chance"] == 0.5
    assert 0 < scores["regional_linear"] <= 1
    assert set(board.loc[board["task"] == "impaired", "n"]) == {60}
    assert board["synthetic"].all()  # as it was told
    page = clone.folder / "page.md"
    told = clone.call("python", "-m", "benchmark.cli", "cohort", "results", "--out", str(page))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "### mine / impaired / " in page.read_text()
    assert "made-up people" in page.read_text()
    assert "OAS1" not in page.read_text()  # no identifier
    page.unlink()
    ignored = clone.call("git", "status", "--porcelain", "--", "profiles/mine", "configs/held")
    assert "mine" not in ignored.stdout
    again = clone.call("python", "-m", "benchmark.cli", "repro", "--profile", "mine")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "done   " not in again.stdout  # every fit is found
    assert clone.call("python", "-m", "benchmark.cli", "pipeline", "--check").returncode == 0


def test_time_series_and_genotypes_reach_the_board(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    mapping = write_clinic_with_arrays(tmp_path / "clinic")
    command = ("cohort", "add", str(mapping), "--root", str(mapping.parent), "--as", "mine")
    done = clone.call(
        "python", "-m", "benchmark.cli", *command, "--synthetic", "--run", cwd=clone.folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    board = pd.read_parquet(clone.folder / "profiles" / "mine" / "board" / "leaderboard.parquet")
    scores = board.loc[board["task"] == "ad_cn"].set_index("method")["score"]
    assert 0 <= scores["clinical_genetic"] <= 1
    assert 0 <= scores["qformer_fmri"] <= 1
