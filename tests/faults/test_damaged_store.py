"""A store that differs from its datasheet is found before anything is computed from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_cohort import visit_table, write_cohort

from benchmark.cli import main
from benchmark.cohorts import catalogue
from benchmark.errors import CohortError
from benchmark.store import Cohort
from benchmark.store.verified import verify_stores

COHORT = "phantom-population"  # made by hand under a name that profile smoke plans for
RUN = ["run", "method=chance", "profile=smoke", f"cohort={COHORT}", "fold=0"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_cohort(tmp_path / "data" / COHORT, visit_table(96, 4))
    assert main(["splits", "make", "--cohort", COHORT]) == 0
    return tmp_path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_one_flipped_byte_stops_run_and_verify_and_is_named(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(workspace / "data" / COHORT / "t1w.npy")
    capsys.readouterr()
    assert main(RUN) == 1
    said = capsys.readouterr().err
    assert f"data/{COHORT}: missing or damaged: t1w.npy (sha256 differs from cohort.json)" in said
    assert f"`neurodx prepare {COHORT} --force`" in said
    assert not list((workspace / "runs").glob("*/*/result.json"))
    assert main(["splits", "verify"]) == 1
    assert "refused" in (told := " ".join(capsys.readouterr().out.split()))
    assert "missing or damaged: t1w.npy" in told


def test_an_undamaged_store_runs_and_what_is_done_asks_for_no_data(workspace: Path) -> None:
    assert main(["splits", "verify"]) == 0
    assert main(RUN) == 0
    assert len(list((workspace / "runs").glob("*/*/result.json"))) == 1
    flip(workspace / "data" / COHORT / "t1w.npy")
    assert main(RUN) == 0


def test_a_store_is_read_again_only_when_its_files_changed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace / "data" / COHORT
    read = []
    verify = Cohort.verify
    monkeypatch.setattr(Cohort, "verify", lambda self: (read.append(self.name), verify(self)))
    verify_stores([folder, folder])
    verify_stores([folder])
    assert read == [COHORT]
    os.utime(folder / "t1w.npy", ns=(1, 1))
    verify_stores([folder])
    assert read == [COHORT, COHORT]
    flip(folder / "fmri.npy")
    for _ in range(2):  # a refusal is not remembered as a success
        with pytest.raises(CohortError, match=r"damaged: fmri\.npy"):
            verify_stores([folder])


def test_a_forced_preparation_that_fails_leaves_the_good_store(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = workspace / "truth" / COHORT
    write_cohort(truth, visit_table(8, 0))
    before = Cohort(workspace / "data" / COHORT).content_hash

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    source = catalogue.CohortSource(COHORT, "", True, interrupted)
    monkeypatch.setattr(catalogue, "get_cohort", lambda _: source)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        raise SystemExit(main(["prepare", COHORT, "--profile", "smoke", "--force"]))
    for folder in (workspace / "data" / COHORT, truth):
        Cohort(folder).verify()
    assert Cohort(workspace / "data" / COHORT).content_hash == before
