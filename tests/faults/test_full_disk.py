"""A disk that fills up: nothing half-written is left in a final place, and the message helps."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_cohort import TINY

from benchmark import cli
from benchmark.config import Profile
from benchmark.runs.job import Workspace
from benchmark.runs.rows import resolve_row
from benchmark.runs.runner import run_row
from benchmark.store import CohortWriter
from benchmark.store.atomic import write_text

SIZE_KIB = 512


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_an_array_that_does_not_fit_is_an_error_and_not_a_crash(small_disk: Path) -> None:
    writer = CohortWriter(small_disk / "data" / "c", {})
    with pytest.raises(OSError, match="No space left") as caught:
        writer.array("t1w", (100, 32, 40, 32), "float16")
    assert caught.value.errno == errno.ENOSPC
    assert not (small_disk / "data" / "c").exists()


def test_a_file_that_does_not_fit_leaves_the_old_one(small_disk: Path) -> None:
    write_text(small_disk / "a", "old")
    with pytest.raises(OSError, match="No space left"):
        write_text(small_disk / "a", "x" * 2**20)
    assert [p.name for p in small_disk.iterdir()] == ["a"]
    assert (small_disk / "a").read_text() == "old"


def test_a_run_on_a_full_disk_fails_cleanly_and_is_done_once_there_is_room(
    small_disk: Path, tiny_workspace: Workspace, tiny_profile: Profile, probe_site: Path
) -> None:
    workspace = Workspace(small_disk)
    for part in ("data", "splits"):
        (small_disk / part).symlink_to(tiny_workspace.root / part)
    filler = small_disk / "filler"
    with filler.open("wb") as handle:
        handle.write(b"\0" * (SIZE_KIB - 64) * 1024)
    tiny_profile.plan[TINY].fit, tiny_profile.workers = ["dx3"], 1
    row = resolve_row("probe", tiny_profile)
    (small_disk / "ballast").write_bytes(b"\0" * _free(small_disk, keep=24 * 1024))
    report = run_row(row, tiny_profile, workspace)
    assert report.failed
    assert all("No space left" in error for error in report.failed.values())
    folder = workspace.runs / "probe"
    assert not [p for p in folder.glob("*/") if p.name in report.failed]
    filler.unlink()
    again = run_row(row, tiny_profile, workspace)
    assert not again.failed
    assert set(again.done) == set(report.failed)


def _free(disk: Path, keep: int) -> int:
    facts = os.statvfs(disk)
    return max(facts.f_bavail * facts.f_frsize - keep, 0)


@pytest.mark.parametrize(
    ("code", "advice"),
    [(errno.ENOSPC, "df -h"), (errno.EROFS, "can be written to"), (errno.EACCES, "read and write")],
)
def test_the_command_line_says_what_to_do(
    code: int, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise OSError(code, os.strerror(code), "runs/chance/plan.json")

    monkeypatch.setattr("benchmark.cli.list.run", fail)
    assert cli.main(["list", "tasks"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"neurodx list: runs/chance/plan.json: {os.strerror(code)}; ")
    assert advice in said
    assert "Traceback" not in said


def test_other_faults_of_the_system_are_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("benchmark.cli.list.run", fail)
    with pytest.raises(OSError, match="Input/output"):
        cli.main(["list", "tasks"])


def test_resumed_arrays_keep_what_was_written(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", {}) as writer:
        writer.array("t1w", (3, 2, 2, 2), "float16")[1] = 5
        writer.mark_done("1")
    with CohortWriter(tmp_path / "c", {}) as writer:
        again = writer.array("t1w", (3, 2, 2, 2), "float16")
    np.testing.assert_array_equal(again[1], np.full((2, 2, 2), 5))
