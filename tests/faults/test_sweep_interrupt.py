"""A sweep killed in the middle: nothing is lost but the running trial, and nothing runs on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

UNIT = Path(__file__).resolve().parents[1] / "unit"
sys.path.insert(0, str(UNIT))

from sweep_workspace import COHORT, install_probe, make_workspace  # noqa: E402

GIVE_UP_SECONDS = 120

pytestmark = pytest.mark.e2e


def command(root: Path, trials: int) -> list[str]:
    names = ["method=sweep_probe", "profile=smoke", "task=ad_cn", f"cohort={COHORT}"]
    options = [f"trials={trials}", "--workers", "1", "--output", str(root / "winner.yaml")]
    return [sys.executable, "-m", "benchmark.cli", "sweep", *names, *options]


def drawn(root: Path) -> list[float]:
    table = pd.read_parquet(root / f"sweeps/sweep_probe-ad_cn-{COHORT}-smoke/trials.parquet")
    return table.loc[table["state"] == "COMPLETE"].sort_values("slot")["params.penalty"].tolist()


def test_a_killed_sweep_ends_its_workers_and_continues_as_if_it_had_never_stopped(tmp_path):
    site = os.pathsep.join(install_probe(tmp_path / "site"))
    environment = {**os.environ, "PYTHONPATH": site, "OMP_NUM_THREADS": "1"}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for root in (killed, whole):
        make_workspace(root)
    ask = {"env": environment, "text": True, "timeout": GIVE_UP_SECONDS, "capture_output": True}

    with subprocess.Popen(
        command(killed, 400), cwd=killed, env=environment, text=True, stdout=subprocess.PIPE
    ) as sweep:
        assert sweep.stdout is not None
        next(line for line in sweep.stdout if line.startswith("trial 2:"))
        processes = psutil.Process(sweep.pid).children(recursive=True)
        sweep.send_signal(signal.SIGKILL)
    assert processes
    _, alive = psutil.wait_procs(processes, timeout=GIVE_UP_SECONDS)
    assert not alive

    finished = len(drawn(killed))
    resumed = subprocess.run(command(killed, finished + 2), cwd=killed, check=False, **ask)
    assert resumed.returncode == 0, resumed.stderr
    straight = subprocess.run(command(whole, finished + 2), cwd=whole, check=False, **ask)
    assert straight.returncode == 0, straight.stderr
    assert len(drawn(killed)) >= finished + 2
    assert drawn(killed)[: finished + 2] == drawn(whole)
    facts = json.loads((killed / f"sweeps/sweep_probe-ad_cn-{COHORT}-smoke/study.json").read_text())
    assert len(facts["sessions"]) == 2
    assert facts["wall_seconds"] > facts["sessions"][1]["seconds"]
    assert (killed / "winner.yaml").is_file()
