"""The parent is killed or interrupted while a fit is running; the rerun completes the row."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tiny_cohort import TINY

from benchmark.config import Profile
from benchmark.runs.job import Workspace
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import run_row

pytestmark = pytest.mark.e2e

PATIENCE_S = 120
RUN = """
import json, signal, sys
from benchmark.config import Profile, typed
from benchmark.runs.job import Workspace
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import run_row
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored below a background shell
    root, flag, profile = sys.argv[1:]
    profile = typed(Profile, json.loads(profile), "test")
    settings = {"bad_seed": 1, "how": "block", "flag": flag}
    run_row(resolve_row("probe", profile, settings), profile, Workspace(Path(root)))
"""


def heard(pipe: int) -> bytes:
    ready, _, _ = select.select([pipe], [], [], PATIENCE_S)
    assert ready, "a worker outlived its parent, or none began"
    return os.read(pipe, 8)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_nothing_is_half_written_and_the_rerun_equals_an_uninterrupted_one(
    name: str,
    tiny_workspace: Workspace,
    fresh_workspace: Workspace,
    tiny_profile: Profile,
    probe_site: Path,
    tmp_path: Path,
) -> None:
    tiny_profile.plan[TINY].fit, tiny_profile.seeds = ["dx3"], [0, 1]
    flag = tmp_path / "pipe"
    os.mkfifo(flag)
    script = tmp_path / "run.py"
    script.write_text(RUN)
    facts = {"name": "tiny", "protocol": "3fold", "seeds": [0, 1], "workers": 2}
    facts["phantom"] = {"spacing_mm": 20.0}
    plan = {
        TINY: {"fit": ["dx3"], "external": {"tiny-external": ["dx3"]}, "derive": {"ad_cn": "dx3"}}
    }
    arguments = [str(fresh_workspace.root), str(flag), json.dumps({**facts, "plan": plan})]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(probe_site.parent), *sys.path])}
    parent = subprocess.Popen(
        [sys.executable, str(script), *arguments], env=environment, stderr=subprocess.PIPE
    )
    pipe = os.open(flag, os.O_RDONLY | os.O_NONBLOCK)
    assert heard(pipe) == b"blocked\n", "no fit began"  # it will not end by itself
    os.kill(parent.pid, getattr(signal, name))
    parent.communicate(timeout=PATIENCE_S)
    while heard(pipe):  # empty when the last worker has gone
        pass
    os.close(pipe)
    assert parent.returncode != 0
    flag.unlink()

    folder = fresh_workspace.runs / "probe"
    stored = {p.parent.name for p in folder.glob("*/result.json")}
    for identity in stored:
        assert pd.read_parquet(folder / identity / "predictions.parquet").notna().any().any()
    assert {p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")} == stored
    planned = json.loads((folder / "plan.json").read_text())["runs"]
    assert len(planned) == 6
    assert {r["status"] for r in planned} == {"missing"}
    assert len(stored) < 6

    row = resolve_row("probe", tiny_profile, {"bad_seed": 1, "how": "block", "flag": str(flag)})
    rerun = run_row(row, tiny_profile, fresh_workspace)
    assert set(rerun.cached) == stored
    assert not rerun.failed
    assert not list(folder.glob(".*.partial"))

    straight = Workspace(tmp_path / "straight")
    straight.root.mkdir()
    for part in ("data", "splits"):
        (straight.root / part).symlink_to(tiny_workspace.root / part)
    whole = run_row(row, tiny_profile, straight)
    assert set(whole.done) == set(rerun.jobs)
    for identity in whole.done:
        one = (folder / identity / "predictions.parquet").read_bytes()
        assert one == (straight.runs / "probe" / identity / "predictions.parquet").read_bytes()
