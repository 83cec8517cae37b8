"""`neurodx volumes` is killed in the middle; the rerun keeps what was whole and ends the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from imaging_files import write_brain

from benchmark.imaging.finding import find_scans
from benchmark.imaging.volumes import prepare_volumes

for package in ("SimpleITK", "isal", "deepbet"):
    pytest.importorskip(package, reason="the group `imaging` is not installed")
pytestmark = pytest.mark.slow

PATIENCE_S = 120
NAMES = [f"sub-{n}_ses-M000" for n in (1, 2, 3, 4)]


def waited_for(condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def has_reader(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_a_process_that_dies_costs_its_scan_alone(tmp_path: Path) -> None:
    """The second of three scans is a pipe; the process that waits for it is killed."""
    paths = [write_brain(tmp_path, f"sub-{n}", n) for n in (1, 2, 3)]
    sources = find_scans(tmp_path)
    paths[1].unlink()
    os.mkfifo(paths[1])

    def kill_the_reader() -> None:
        waited_for((tmp_path / "out/scans" / NAMES[0] / "record.json").is_file)
        time.sleep(1)
        for server in psutil.Process().children():
            for worker in server.children():
                worker.kill()

    killer = threading.Thread(target=kill_the_reader)
    killer.start()
    volumes = prepare_volumes(sources, tmp_path / "out", 8.0, workers=1)
    killer.join()
    assert volumes.index["participant_id"].tolist() == ["sub-1", "sub-3"]
    assert volumes.failures["step"].tolist() == ["process"]
    assert "SIGKILL" in volumes.failures["reason"][0]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_the_rerun_keeps_what_is_whole(tmp_path: Path, name: str) -> None:
    """The third scan is a pipe that nobody writes to, so that reading it never ends."""
    scans = tmp_path / "scans"
    paths = [write_brain(scans, f"sub-{n}", n) for n in (1, 2, 3, 4)]
    whole = prepare_volumes(find_scans(scans), tmp_path / "whole", 4.0)
    aside = paths[2].rename(scans / "aside")
    os.mkfifo(paths[2])
    table = scans / "scans.csv"
    rows = [f"sub-{n},{path.name}" for n, path in zip((1, 2, 3, 4), paths, strict=True)]
    table.write_text("\n".join(["participant_id,path", *rows]) + "\n")
    out = tmp_path / "out"
    verb = ["volumes", str(table), "--out", str(out), "--spacing", "4", "--workers", "1"]
    program = "import signal, sys; from benchmark.cli import main; "
    program += "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    command = [sys.executable, "-c", program, *verb]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        waited_for((out / "scans" / NAMES[1] / "record.json").is_file)
        time.sleep(0.5)
        os.kill(parent.pid, getattr(signal, name))
        parent.communicate(timeout=PATIENCE_S)
    assert parent.returncode != 0
    waited_for(lambda: not has_reader(paths[2]))  # no worker outlives its parent
    assert not (out / "index.parquet").exists()
    stamps = [(out / "scans" / n / "volume.npy").stat().st_mtime_ns for n in NAMES[:2]]

    paths[2].unlink()
    aside.rename(paths[2])
    events = []
    again = prepare_volumes(find_scans(table), out, 4.0, progress=events.append)
    assert {e.name for e in events if e.kept} == set(NAMES[:2])
    assert stamps == [(out / "scans" / n / "volume.npy").stat().st_mtime_ns for n in NAMES[:2]]
    assert again.failures.empty
    columns = ["participant_id", "session_id", "row", "sha256"]
    assert again.index[columns].equals(whole.index[columns])
    assert not list(out.rglob("*.partial"))
