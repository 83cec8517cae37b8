"""The verb ``neurodx splits``: make, verify with its report, show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from visit_tables import store, visit_table

from benchmark.cli import main


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    store(tmp_path / "data" / "toy", visit_table(60))
    return tmp_path


def test_make_verify_and_report(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["splits", "make", "--protocol", "3fold", "--protocol", "few-label"]) == 0
    assert "splits/toy/3fold.csv: 60 people, 3 fold(s), sha256" in capsys.readouterr().out
    for _ in range(2):
        assert main(["splits", "verify", "--report", "reports/splits.json"]) == 0
        report = (workspace / "reports" / "splits.json").read_text()
    assert "clean       toy/3fold: 60 people" in capsys.readouterr().out
    records = json.loads(report)["splits"]
    assert [(r["protocol"], r["status"]) for r in records] == [
        ("3fold", "clean"),
        ("few-label", "clean"),
    ]
    assert str(workspace) not in report


def test_verify_refuses_a_changed_file_and_says_so(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["splits", "make"])
    path = workspace / "splits" / "toy" / "3fold.csv"
    path.write_text(path.read_text().replace("validation", "train"))
    assert main(["splits", "verify", "--report", "r.json"]) == 1
    out = capsys.readouterr().out
    assert "refused     toy/3fold: splits/toy/3fold.csv: differs from its manifest" in out
    assert json.loads((workspace / "r.json").read_text())["splits"][0]["status"] == "refused"


def test_verify_refuses_a_manifest_whose_file_is_gone(workspace: Path) -> None:
    main(["splits", "make"])
    (workspace / "splits" / "toy" / "3fold.csv").unlink()
    assert main(["splits", "verify"]) == 1


def test_a_cohort_that_is_not_prepared_is_not_called_clean(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["splits", "make"])
    assert main(["splits", "verify", "--data", "elsewhere"]) == 0
    out = capsys.readouterr().out
    assert "not checked toy/3fold: cohort not prepared; run `neurodx prepare toy`" in out


def test_make_says_when_it_replaces_other_folds(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["splits", "make"])
    main(["splits", "make"])
    assert "REPLACES" not in capsys.readouterr().out
    main(["splits", "make", "--seed", "4"])
    assert "REPLACES other folds" in capsys.readouterr().out


def test_show_counts_classes_per_part(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["splits", "make"])
    assert main(["splits", "show", "--cohort", "toy"]) == 0
    out = capsys.readouterr().out
    for column in ("fold", "people", "AD", "CN", "pMCI", "sMCI", "age", "% F", "sites"):
        assert column in out
    assert out.count("validation") == 3


@pytest.mark.parametrize("action", ["make", "verify", "show"])
def test_a_misspelt_cohort_is_told_the_nearest_name(
    workspace: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    main(["splits", "make"])
    for wrong, meant in (("phantom-memry", "phantom-memory"), ("toyy", "toy")):
        assert main(["splits", action, "--cohort", wrong]) == 1
        said = capsys.readouterr().err
        assert f"unknown cohort '{wrong}'. Did you mean '{meant}'" in said
        assert "`neurodx list cohorts`" in said
        assert "prepare" not in said
    assert main(["splits", action, "--cohort", "toy"]) == 0  # in no catalogue, but prepared here


def test_a_misspelt_training_cohort_is_told_the_nearest_name(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    external = ["splits", "make", "--protocol", "external", "--train-cohort", "phantom-memry"]
    assert main(external) == 1
    assert "Did you mean 'phantom-memory'" in capsys.readouterr().err


def test_a_known_cohort_that_is_not_prepared_names_the_command(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["splits", "make", "--cohort", "ad-csf"]) == 1
    assert "run `neurodx prepare ad-csf`" in capsys.readouterr().err


def test_nothing_to_do_is_an_error_with_the_command(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["splits", "verify"]) == 1
    assert "make them with `neurodx splits make`" in capsys.readouterr().err
    assert main(["splits", "make", "--data", "elsewhere"]) == 1
    assert "no prepared cohort; run `neurodx prepare` first" in capsys.readouterr().err
