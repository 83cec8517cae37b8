"""Several processes train one model: through the command that the error message gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tiny_cohort import visit_table, write_cohort

from benchmark.cli import main
from benchmark.runs.job import Workspace
from benchmark.runs.team import ALONE, Team, refuse_idle_processes, trains_together
from benchmark.splitting import make_split, write_split
from benchmark.store import Cohort

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace outside of the repository, and the probe as an installed package."""
    root = tmp_path_factory.mktemp("team")
    workspace = Workspace(root)
    write_cohort(workspace.data / "phantom-memory", visit_table(48, 0))
    write_cohort(workspace.data / "phantom-external", visit_table(16, 0, first=500), seed=2)
    split = make_split(Cohort(workspace.data / "phantom-memory"), "3fold", 0)
    write_split(split, workspace.splits / "phantom-memory")
    site = root / "site"
    shutil.copytree(HERE / "tiny" / "team_probe", site / "team_probe")
    facts = site / "team_probe-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: team-probe\nVersion: 1.0\n")
    entry = "[neurodx.methods]\nteam_probe = team_probe.info:INFO\n"
    (facts / "entry_points.txt").write_text(entry)
    return root


def call(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    paths = (str(place / "site"), str(ROOT))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command, "profile=smoke", "profile.workers=1"],
        cwd=place,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def in_two(place: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    start = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return call(place, *start, "-m", "benchmark.cli", "run", *overrides)


def ledger_by_fold(place: Path, row: str) -> dict[int, pd.DataFrame]:
    folders = [path.parent for path in (place / "runs" / row).glob("*/result.json")]
    return {
        json.loads((f / "job.json").read_text())["fold"]: pd.read_parquet(f / "predictions.parquet")
        for f in folders
    }


@pytest.mark.slow
def test_two_processes_leave_the_record_that_one_would(place: Path) -> None:
    shared = in_two(place, "method=team_probe_shared")
    assert shared.returncode == 0, shared.stdout + shared.stderr
    assert shared.stdout.count("3 to run, 0 already done") == 1, "one process speaks"
    alone = call(place, "benchmark.cli", "run", "method=team_probe")
    assert alone.returncode == 0, alone.stdout + alone.stderr

    folder = place / "runs" / "team_probe_shared"
    plan = json.loads((folder / "plan.json").read_text())["runs"]
    assert [run["status"] for run in plan] == ["done"] * 3
    assert len((folder / "evaluations.jsonl").read_text().splitlines()) == 3
    recorded = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    assert [record["processes"] for record in recorded] == [2] * 3
    assert not list(folder.glob(".*"))
    assert not list(folder.glob("*/scratch"))
    ours, theirs = (ledger_by_fold(place, row) for row in ("team_probe_shared", "team_probe"))
    assert set(ours) == {0, 1, 2}
    for fold, ledger in ours.items():
        pd.testing.assert_frame_equal(ledger, theirs[fold], check_exact=False, atol=1e-4, rtol=1e-3)
        assert ledger["prob_0"].std() > 1e-3, "something was learned"

    again = in_two(place, "method=team_probe_shared")
    assert again.returncode == 0
    assert "0 to run, 3 already done" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize("where", ["fit", "predict"])
def test_a_failure_is_recorded_once_and_ends_all(place: Path, where: str) -> None:
    failed = in_two(place, "method=team_probe_shared", f"config.fails={where}", "fold=0")
    assert failed.returncode == 1
    assert failed.stdout.count("failed team_probe_shared: phantom-memory dx3, fold 0") == 1
    records = list((place / "runs" / "team_probe_shared" / "failed").glob("*.json"))
    recorded = [json.loads(path.read_text()) for path in records]
    (record,) = [r for r in recorded if r["job"]["config"]["fails"] == where]
    assert record["error"] == "FloatingPointError: by design"
    assert "prepare" in record["traceback"] or where == "predict"


@pytest.mark.slow
def test_a_process_that_fails_alone_says_so_and_is_not_waited_for(place: Path) -> None:
    failed = in_two(place, "method=team_probe_shared", "config.fails=second", "fold=0")
    assert failed.returncode == 1
    assert "process 1 of 2 failed alone: FloatingPointError: by design" in failed.stderr


def test_processes_that_would_each_train_all_of_it_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert main(["run", "method=resnet3d", "profile=twins"]) == 1
    said = capsys.readouterr().err
    assert "torchrun started 2 processes, but 'resnet3d' trains in one" in said
    assert "Add `config.trainer.distributed=true`" in said
    refuse_idle_processes(Team.here(), "resnet3d", {"trainer": {"distributed": True}})


def test_a_process_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Team.here() == ALONE
    assert ALONE.leads
    assert ALONE.agree(True) is True
    assert ALONE.agree(False) is False
    assert ALONE.device("cuda") == "cuda"
    for name, value in (("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    third = Team.here()
    assert (third.rank, third.size, third.leads) == (3, 4, False)
    assert third.device("cuda") == "cuda:1"
    assert third.device("cuda:0") == "cuda:0"
    assert third.device("cpu") == "cpu"


def test_a_shared_training_is_found_at_any_depth() -> None:
    assert trains_together({"a": 1, "stages": {"trainer": {"distributed": True}}})
    assert not trains_together({"trainer": {"distributed": False}, "distributed_name": True})
    assert not trains_together({})
