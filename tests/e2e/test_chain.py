"""The whole chain in profile smoke, in a copy of the repository."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
BROKEN = """
from benchmark.api import SklearnMethod


class Broken(SklearnMethod):
    def estimator(self, task):
        raise RuntimeError("this method always fails")
"""

pytestmark = pytest.mark.e2e


class Clone:
    """A copy of the repository that runs with this environment's libraries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("\n")
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)

    @property
    def workspace(self) -> Path:
        return self.folder / "profiles" / "smoke"

    @property
    def environment(self) -> dict[str, str]:
        tools = str(Path(sys.executable).parent)
        return os.environ | {
            "PATH": os.pathsep.join((tools, os.environ["PATH"])),
            "PYTHONPATH": str(self.folder),
            "DVC_NO_ANALYTICS": "1",
        }

    def call(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=cwd or self.workspace,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def repro(self) -> subprocess.CompletedProcess[str]:
        return self.call("neurodx", "repro", "--profile", "smoke", cwd=self.folder)

    def board(self) -> pd.DataFrame:
        return pd.read_csv(self.workspace / "board" / "leaderboard.csv")

    def run_folders(self) -> dict[str, set[str]]:
        runs = self.workspace / "runs"
        return {
            row.name: {p.parent.name for p in row.glob("*/result.json")} for row in runs.iterdir()
        }


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("clone"))
    first = made.repro()
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    return made


def test_first_run_fills_every_planned_cell(clone: Clone) -> None:
    board = clone.board()
    ranked = board[board["method"] != "oracle"]
    assert (ranked["status"] == "done").all()
    assert {"phantom-memory", "phantom-movement", "phantom-population", "ad-csf"} <= set(
        board["cohort"]
    )
    assert {
        "dx3",
        "ad_cn",
        "mci_cn",
        "ad_mci",
        "conversion",
        "pd_hc",
        "brain_age",
        "impaired",
    } <= set(board["task"])
    chance = board[(board["method"] == "chance") & (board["metric"] == "roc_auc")]
    assert (chance["score"] == 0.5).all()
    real = board[board["cohort"] == "ad-csf"]
    assert not real["synthetic"].astype(bool).any()
    assert "oracle" not in set(real["method"])
    assert board.loc[board["cohort"] != "ad-csf", "synthetic"].astype(bool).all()


def test_nothing_to_do_is_quick_and_runs_no_method(clone: Clone) -> None:
    before = clone.run_folders()
    started = time.perf_counter()
    again = clone.call("dvc", "repro")
    assert again.returncode == 0, again.stderr
    assert "Running stage 'run-" not in again.stdout
    assert "Running stage 'verify'" in again.stdout
    assert clone.run_folders() == before
    assert time.perf_counter() - started < 60  # a hang, not a speed test
    code = clone.call("dvc", "check-ignore", "methods/denseformer_moe/__pycache__/model.pyc")
    assert code.returncode == 0, "a stage would depend on which modules were imported before"


def test_dvc_shows_metrics_and_plots(clone: Clone) -> None:
    metrics = clone.call("dvc", "metrics", "show", "board/metrics.json")
    assert metrics.returncode == 0, metrics.stderr
    assert "failed to load" not in metrics.stderr
    assert "age_sex" in metrics.stdout
    plots = clone.call("dvc", "plots", "show", "smoke phantom-memory dx3 3fold score", "--json")
    assert plots.returncode == 0, plots.stderr
    assert "AUROC" in plots.stdout
    assert "failed to load" not in plots.stderr


def test_editing_one_method_reruns_that_method_only(clone: Clone) -> None:
    before = clone.run_folders()
    model = clone.folder / "baselines" / "age_sex" / "model.py"
    model.write_text(model.read_text() + "\n# a change\n")
    again = clone.call("dvc", "repro")
    assert again.returncode == 0, again.stdout + again.stderr
    rerun = {line for line in again.stdout.splitlines() if line.startswith("Running stage 'run-")}
    assert rerun == {"Running stage 'run-age_sex':"}
    after = clone.run_folders()
    assert {row for row in before if before[row] != after[row]} == {"age_sex"}
    assert before["age_sex"] < after["age_sex"]  # the old records are kept


def test_editing_a_card_refits_nothing_and_reaches_the_board(clone: Clone) -> None:
    before = clone.run_folders()
    card = clone.folder / "baselines" / "age_sex" / "README.md"
    card.write_text(card.read_text() + "\nA sentence for the card.\n")
    again = clone.call("dvc", "repro")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Running stage 'rank'" in again.stdout
    assert "Running stage 'score'" not in again.stdout
    assert "0 to run, 12 already done" in again.stdout
    assert clone.run_folders() == before
    cards = pd.read_parquet(clone.workspace / "board" / "methods.parquet").set_index("method")
    assert "A sentence for the card." in cards.loc["age_sex", "readme_md"]


def test_a_method_that_fails_hides_nobody(clone: Clone) -> None:
    model = clone.folder / "baselines" / "confound" / "model.py"
    good = model.read_text()
    model.write_text(BROKEN.replace("Broken", "Confound"))
    failed = clone.repro()
    assert failed.returncode == 1
    assert "this method always fails" in failed.stdout
    board = clone.board()
    rows = board[board["method"] == "confound"]
    assert len(rows)
    assert set(rows["status"]) == {"failed"}
    assert rows["score"].isna().all()
    others = board[(board["method"] != "confound") & (board["method"] != "oracle")]
    assert (others["status"] == "done").all()

    model.write_text(good)
    mended = clone.repro()
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert (clone.board().query("method == 'confound'")["status"] == "done").all()


def killed_when(clone: Clone, appears: str) -> None:
    """Starts the chain, and kills all its processes when a path appears in the workspace."""
    command = [str(Path(sys.executable).with_name("neurodx")), "repro", "--profile", "smoke"]
    with (clone.folder / "killed.log").open("w") as log:
        chain = subprocess.Popen(
            command,
            cwd=clone.folder,
            env=clone.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while not list(clone.workspace.glob(appears)):
        assert chain.poll() is None, (clone.folder / "killed.log").read_text()[-3000:]
        time.sleep(0.05)
    os.killpg(chain.pid, signal.SIGKILL)
    chain.wait()


def test_a_chain_that_is_killed_twice_ends_on_the_same_board(clone: Clone) -> None:
    before, runs = clone.board(), clone.run_folders()
    for part in ("data", "truth"):
        shutil.rmtree(clone.workspace / part / "phantom-movement")
    model = clone.folder / "baselines" / "resnet3d" / "model.py"
    model.write_text(model.read_text() + "\n# a change\n")
    killed_when(clone, "data/phantom-movement.partial/progress.json")
    assert not (clone.workspace / "data" / "phantom-movement").exists()
    killed_when(clone, "runs/resnet3d/.*.partial")
    assert clone.run_folders()["resnet3d"] >= runs["resnet3d"]
    done = clone.repro()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    left = clone.call("neurodx", "doctor", "--json")
    (partial,) = [f for f in json.loads(left.stdout)["findings"] if f["name"] == "partial folders"]
    assert partial["detail"] == "none"
    # The changed method was fitted, and its test people predicted, once more than before.
    changed = {"fit_seconds", "cpu_seconds", "peak_memory_mib", "test_evaluations"}
    same = [column for column in before if column not in changed]
    pd.testing.assert_frame_equal(clone.board()[same], before[same])
    assert {row for row, ids in clone.run_folders().items() if ids != runs[row]} == {"resnet3d"}


def test_splits_are_verified_and_a_moved_person_is_named(clone: Clone) -> None:
    assert clone.call("neurodx", "splits", "verify").returncode == 0
    path = clone.workspace / "splits" / "phantom-memory" / "3fold.csv"
    good = path.read_text()
    path.write_text(good.replace(",train\n", ",test\n", 1))
    refused = clone.call("neurodx", "splits", "verify")
    path.write_text(good)
    assert refused.returncode == 1
    assert "phantom-memory" in refused.stdout + refused.stderr
