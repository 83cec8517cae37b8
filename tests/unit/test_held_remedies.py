"""What the verbs advise about cohorts that a user holds works as it is told."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tiny_cohort import visit_table, write_cohort

from benchmark.cli import main
from benchmark.cohorts.held.adapters import ADAPTERS
from benchmark.errors import SplitError
from benchmark.leakage.remedy import remedied, what_to_do
from benchmark.runs import workspace
from benchmark.tasks import TASKS

Said = pytest.CaptureFixture[str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with folds in the workspace of profile smoke, whose folds git ignores."""
    root = tmp_path / "repository"
    write_cohort(root / "profiles/smoke/data/phantom-memory", visit_table(48, 0))
    write_cohort(root / "profiles/smoke/data/phantom-external", visit_table(16, 0, first=500))
    monkeypatch.setattr(workspace, "ROOT", root)
    monkeypatch.chdir(root)
    make = ["splits", "make", "--profile", "smoke", "--cohort", "phantom-memory"]
    assert main([*make, "--protocol", "3fold"]) == 0
    return root


def advised(text: str) -> list[str]:
    """Arguments of the command that a message ends with."""
    found = re.findall(r"`neurodx ([^`]+)`", text)
    return shlex.split(found[-1])


def edit(root: Path) -> Path:
    path = root / "profiles/smoke/splits/phantom-memory/3fold.csv"
    path.write_text(path.read_text().replace("validation", "train"))
    return path


def test_folds_that_were_edited_in_a_profile_are_made_anew_as_told(
    repository: Path, capsys: Said
) -> None:
    verify = ["splits", "verify", "--profile", "smoke"]
    whole = (repository / "profiles/smoke/splits/phantom-memory/3fold.csv").read_bytes()
    path = edit(repository)
    capsys.readouterr()
    assert main(verify) == 1
    told = capsys.readouterr().out
    assert "differs from its manifest" in told
    assert "git" not in told
    command = advised(told)
    assert command[-2:] == ["--profile", "smoke"]
    assert main(command) == 0
    assert path.read_bytes() == whole
    assert main(verify) == 0


def test_a_run_on_edited_folds_says_the_same(repository: Path, capsys: Said) -> None:
    edit(repository)
    capsys.readouterr()
    assert main(["run", "method=chance", "profile=smoke", "task=dx3", "cohort=phantom-memory"]) == 1
    told = capsys.readouterr().err
    assert "git" not in told
    assert main(advised(told)) == 0


def test_at_the_root_git_has_the_folds(tmp_path: Path) -> None:
    path = tmp_path / "splits" / "toy" / "3fold.csv"
    error = SplitError(f"restore it with `git checkout -- {path}` or rebuild it with `x`")
    assert remedied(error, path) is error
    assert what_to_do(path).startswith("Restore the file with `git checkout`, or correct")


def test_external_folds_name_whose_models_predict(tmp_path: Path) -> None:
    folds = tmp_path / "profiles" / "one-to-two" / "splits" / "two" / "external.csv"
    folds.parent.mkdir(parents=True)
    folds.with_suffix(".json").write_text('{"train_cohort": "one"}')
    told = what_to_do(folds)
    assert "git" not in told
    assert advised(told) == shlex.split(
        "splits make --cohort two --protocol external --train-cohort one --profile one-to-two"
    )


def test_a_folder_of_scans_is_no_cohort(tmp_path: Path, capsys: Said) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    assert main(["prepare", str(scans)]) == 1
    told = capsys.readouterr().err
    assert f"raw scans are prepared by `neurodx volumes {scans} --out {scans}-volumes" in told
    assert "unknown cohort" not in told
    assert main(["prepare", str(tmp_path / "nowhere")]) == 1
    assert "unknown cohort" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("study", "rule"),
    [
        ("adni", "``conversion`` follows Bron et al. 2021"),
        ("aibl", "``DXCURREN`` 1 healthy, 2 MCI, 3 Alzheimer's disease"),
        ("oasis1", "CDR > 0 against CDR 0 from 60 years on"),
        ("oasis2", "CDR 0.5 at the first visit, CDR 1 or more within 36 months"),
        ("oasis3", "CDR 0 is CN, 0.5 MCI"),
        ("ppmi", "``COHORT`` 1 Parkinson's disease, 2 healthy control"),
        ("ukb", "``brain_age`` takes people without a hospital code"),
        ("ixi", "healthy people of 20 to 86 years"),
    ],
)
def test_a_study_shows_its_label_rules(study: str, rule: str, capsys: Said) -> None:
    assert study in ADAPTERS
    assert main(["cohort", "show", study]) == 0
    _, _, told = capsys.readouterr().out.partition("label rules, and what the files hold:")
    assert rule in told


def test_a_mapping_shows_its_label_rules(tmp_path: Path, capsys: Said) -> None:
    path = tmp_path / "mine.yaml"
    facts = "title: x\nsource: y\nlicence: z\nfile: f.csv\ncolumns: {participant_id: {column: a}}\n"
    path.write_text(facts)
    assert main(["cohort", "show", str(path)]) == 0
    assert "  every task whose columns are there: " in capsys.readouterr().out
    path.write_text(facts + "tasks: {conversion: 'dementia within [36] months'}\n")
    assert main(["cohort", "show", str(path)]) == 0
    assert "  conversion: dementia within [36] months" in capsys.readouterr().out
    assert "conversion" in TASKS
