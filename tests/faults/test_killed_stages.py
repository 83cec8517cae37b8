"""SIGKILL in the middle of prepare, split, score and rank: what stood stays, the rerun is whole."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "golden"), str(ROOT / "tests" / "unit")]

from board_workspace import FakeMethod, write_workspace  # noqa: E402
from visit_tables import store, visit_table  # noqa: E402

from benchmark.cohorts.phantom import PhantomConfig  # noqa: E402
from benchmark.cohorts.phantom.prepare import prepare_cohort  # noqa: E402
from benchmark.doctor import NOTE, OK, project  # noqa: E402
from benchmark.errors import ResultError  # noqa: E402
from benchmark.results import rank_workspace, score_workspace  # noqa: E402
from benchmark.splitting import make_split, read_split  # noqa: E402
from benchmark.store import Cohort  # noqa: E402

pytestmark = pytest.mark.e2e

PATIENCE_S = 120
BLOCK = """
import sys, threading
from pathlib import Path

def block(*_, **__):
    print("reached", flush=True)
    threading.Event().wait()

root = Path(sys.argv[1])
"""


class Victim:
    """A process that is killed as soon as it prints a line."""

    def __init__(self, folder: Path, program: str) -> None:
        script = folder / "victim.py"
        script.write_text(program)
        command = [sys.executable, str(script), str(folder)]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)

    def wait_until_reached(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline(), "it ended before the place where it is to be killed"

    def kill(self) -> list[psutil.Process]:
        """Kills it; returns the processes that it had started."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == -signal.SIGKILL
        return children


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def leftovers(workspace: Path) -> str:
    (finding,) = [f for f in project(ROOT, workspace) if f.name == "partial folders"]
    assert finding.state == (OK if finding.detail == "none" else NOTE)
    return finding.detail


PREPARE = """
import importlib, sys, threading
from pathlib import Path
from benchmark.cohorts.phantom import PhantomConfig

folder = Path(sys.argv[1])
prepare = importlib.import_module("benchmark.cohorts.phantom.prepare")
make_one = prepare.make_one

def hang_at_three(config, number):
    if number == 3 and (folder / "hang").exists():
        threading.Event().wait()
    return make_one(config, number)

prepare._CHUNK, prepare.make_one = 1, hang_at_three  # in the workers too: they import this file
if __name__ == "__main__":
    config = PhantomConfig("phantom-memory", "memory", 8, 5, 10.0)
    folders = folder / "data" / config.name, folder / "truth" / config.name
    prepare.prepare_cohort(
        config, *folders, workers=2, progress=lambda done, _: print(done, flush=True)
    )
"""


@pytest.mark.slow
def test_a_killed_prepare_leaves_no_process_and_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "hang").touch()
    victim = Victim(tmp_path, PREPARE)
    for _ in range(7):
        victim.wait_until_reached()
    workers = victim.kill()  # one of them will not end by itself
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    (tmp_path / "hang").unlink()
    name = "phantom-memory"
    assert not (tmp_path / "data" / name).exists()
    assert leftovers(tmp_path) == f"data/{name}.partial, truth/{name}.partial"

    command = [sys.executable, str(tmp_path / "victim.py"), str(tmp_path)]
    resumed = subprocess.run(command, check=True, capture_output=True, text=True)
    assert resumed.stdout.split() == ["8"]
    assert leftovers(tmp_path) == "none"
    straight = tmp_path / "straight"
    config = PhantomConfig(name, "memory", 8, 5, 10.0)
    prepare_cohort(config, straight / "data" / name, straight / "truth" / name, workers=1)
    for part in ("data", "truth"):
        assert contents(tmp_path / part) == contents(straight / part)


SPLIT = """
import os
from benchmark.cli import main

if __name__ == "__main__":
    os.fsync = block
    main(["splits", "make", "--cohort", "toy", "--seed", "4"])
"""


def test_a_killed_split_leaves_the_old_folds(tmp_path: Path) -> None:
    cohort = store(tmp_path / "data" / "toy", visit_table(60))
    folder = tmp_path / "splits" / "toy"
    path = make_split(cohort, "3fold", 0).write(folder)
    before = [path.read_bytes(), path.with_suffix(".json").read_bytes()]
    victim = Victim(tmp_path, BLOCK + SPLIT)
    victim.wait_until_reached()
    victim.kill()
    assert [path.read_bytes(), path.with_suffix(".json").read_bytes()] == before
    assert read_split(path).seed == 0
    assert leftovers(tmp_path).startswith("splits/toy/.3fold.csv.")
    make_split(Cohort(tmp_path / "data" / "toy"), "3fold", 4).write(folder)
    assert read_split(path).seed == 4


SCORE = """
from benchmark.results import scoring

scoring.write_json = block
scoring.score_workspace(root / "runs", root / "scores", n_resamples=50)
"""
RANK = """
from benchmark.results import board

board.write_exports = block
board.rank_workspace(root / "scores", root / "board")
"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scored")
    methods = [FakeMethod("svm"), FakeMethod("cnn", skill=1.5)]
    write_workspace(root, methods, {"memory": 60})
    score_workspace(root / "runs", root / "scores", n_resamples=50)
    rank_workspace(root / "scores", root / "board")
    return root


@pytest.mark.parametrize(("stage", "program"), [("scores", SCORE), ("board", RANK)])
@pytest.mark.parametrize("first", [True, False])
def test_a_killed_stage_leaves_the_old_folder_or_none_and_the_rerun_is_whole(
    scored: Path, tmp_path: Path, stage: str, program: str, first: bool
) -> None:
    for part in ("runs", "scores"):
        if part != stage:
            (tmp_path / part).symlink_to(scored / part)
    if not first:
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "old").write_text("of an earlier call")
    before = contents(tmp_path / stage)
    victim = Victim(tmp_path, BLOCK + program)
    victim.wait_until_reached()
    with pytest.raises(ResultError, match=rf"\.{stage}\.partial: locked; another process is wr"):
        _run(stage, tmp_path)
    victim.kill()
    assert (tmp_path / stage).exists() != first
    assert contents(tmp_path / stage) == before
    assert leftovers(tmp_path) == f".{stage}.partial"
    _run(stage, tmp_path)
    assert leftovers(tmp_path) == "none"
    made, straight = contents(tmp_path / stage), contents(scored / stage)
    assert made.keys() == straight.keys()
    assert {name for name in made if made[name] != straight[name]} <= {"board.json"}
    table = "scores.parquet" if stage == "scores" else "leaderboard.parquet"
    assert len(pd.read_parquet(tmp_path / stage / table))


def _run(stage: str, root: Path) -> None:
    if stage == "scores":
        score_workspace(root / "runs", root / "scores", n_resamples=50)
    else:
        rank_workspace(root / "scores", root / "board")
