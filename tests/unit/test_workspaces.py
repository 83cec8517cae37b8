"""Each profile has its own workspace, wherever in the repository a verb is called."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import pytest
from tiny_cohort import visit_table, write_cohort

from benchmark import cli
from benchmark.cli import board, main
from benchmark.cli.compose import compose_request
from benchmark.doctor import project
from benchmark.runs import workspace
from benchmark.runs.workspace import profile_here, workspace_of

NARROW = ("profile=smoke", "cohort=phantom-memory", "task=dx3")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with tiny cohorts in the workspace of profile smoke; called from its root."""
    root = tmp_path / "repository"
    data = root / "profiles" / "smoke" / "data"
    write_cohort(data / "phantom-memory", visit_table(48, 0))
    write_cohort(data / "phantom-external", visit_table(16, 0, first=500), seed=2)
    (root / "docs").mkdir()
    monkeypatch.setattr(workspace, "ROOT", root)
    monkeypatch.chdir(root)
    return root


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("inside", [".", "docs", "profiles/smoke", "profiles/smoke/data"])
def test_a_profile_is_found_from_anywhere_inside(
    repository: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / inside)
    for profile, home in (("smoke", "profiles/smoke"), ("mini", ".")):
        found = workspace_of(profile)
        assert not found.root.is_absolute()
        assert found.root.resolve() == repository / home
    expected = "smoke" if "smoke" in inside else "mini"
    assert profile_here() == expected
    assert compose_request(["method=x"]).profile.name == expected
    assert compose_request(["method=x", "profile=mini"]).profile.name == "mini"


def test_outside_of_the_repository_the_current_folder_is_the_workspace(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = repository.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert workspace_of("smoke").root == Path()
    assert profile_here() == "mini"


@pytest.mark.usefixtures("probe_site")
def test_every_verb_called_at_the_root_works_in_the_profiles_workspace(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    split = ("splits", "make", "--profile", "smoke", "--cohort", "phantom-memory")
    assert main([*split, "--protocol", "3fold"]) == 0
    assert main(["splits", "verify", "--profile", "smoke"]) == 0
    assert main(["run", "method=probe", *NARROW, "fold=0", "config.shift=0.5"]) == 0
    made = files(repository) - before
    assert {name.split("/")[2] for name in made} == {"splits", "runs"}
    assert all(name.startswith("profiles/smoke/") for name in made)
    (record,) = (repository / "profiles/smoke/runs/probe").glob("*/result.json")
    assert json.loads(record.read_text())["profile"] == "smoke"

    assert main(["score", "--profile", "smoke"]) == 1  # a trial leaves no plan
    assert "profiles/smoke/runs: no <method>/plan.json" in capsys.readouterr().err
    assert main(["rank", "--profile", "smoke"]) == 1
    assert "profiles/smoke/scores/entries.parquet" in capsys.readouterr().err
    parser = argparse.ArgumentParser()
    board.add_arguments(parser)
    shown = board.command(parser.parse_args(["--profile", "smoke"]))[-1]
    assert shown == str(repository / "profiles" / "smoke" / "board")


def test_prepare_writes_into_the_profiles_workspace(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(profile, folder: Path, *_: object) -> None:
        write_cohort(folder, visit_table(16, 0))

    source = argparse.Namespace(name="phantom-movement", prepare=prepare)
    monkeypatch.setattr("benchmark.cohorts.catalogue.get_cohort", lambda _: source)
    assert main(["prepare", "phantom-movement", "--profile", "smoke"]) == 0
    assert (repository / "profiles/smoke/data/phantom-movement/cohort.json").is_file()
    assert not (repository / "data").exists()


def test_what_a_profile_lacks_is_named_with_the_command_that_makes_it(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*overrides: str) -> str:
        assert main(["run", "method=chance", "task=dx3", *overrides]) == 1
        return capsys.readouterr().err

    unsplit = said("profile=smoke")
    assert "expected profiles/smoke/splits/phantom-memory/3fold.csv, which is not there" in unsplit
    command = "neurodx splits make --cohort phantom-memory --protocol 3fold --profile smoke"
    assert f"run `{command}`" in unsplit
    assert main(command.split()[1:]) == 0
    capsys.readouterr()

    (repository / "profiles/smoke/data/phantom-external/cohort.json").unlink()
    unprepared = said("profile=smoke")
    assert "expected profiles/smoke/data/phantom-external/cohort.json" in unprepared
    assert "run `make repro PROFILE=smoke` for the whole chain" in unprepared
    assert "`neurodx prepare phantom-external --profile smoke`" in unprepared
    assert "run `make repro` for the whole chain" in said("profile=mini")


def test_a_profiles_data_never_stand_in_for_anothers(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "profiles" / "smoke" / "data").rename(repository / "data")
    assert main(["run", "method=chance", "profile=smoke", "task=dx3"]) == 1
    assert "of profile 'smoke' has not been prepared" in capsys.readouterr().err


def test_the_doctor_and_the_list_look_at_the_same_workspace(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repository / "profiles" / "smoke")
    (found,) = [f for f in project() if f.name == "cohorts"]
    assert "phantom-memory, phantom-external" in found.detail
    assert main(["list", "cohorts", "--json"]) == 0
    prepared = {row["name"] for row in json.loads(capsys.readouterr().out) if row["prepared"]}
    assert prepared == {"phantom-memory", "phantom-external"}


def test_the_reference_is_the_repositorys_and_the_board_the_profiles(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def compared(*folders: Path):
        asked.append(folders)
        rows = pd.DataFrame(columns=["outcome"])
        return argparse.Namespace(counts={}, rows=rows, passed=True)

    monkeypatch.setattr("benchmark.results.compare_reference", compared)
    monkeypatch.chdir(repository / "docs")
    assert cli.main(["compare-reference"]) == 0
    assert asked[0][0].resolve() == repository / "board"
    assert asked[0][1].name == "leaderboard.csv"
    assert asked[0][1].is_file()
