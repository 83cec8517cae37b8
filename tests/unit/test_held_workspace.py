"""What DVC takes for a change in the workspace of a cohort that a user holds; with the real DVC."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from held_replicas import write_oasis2

from benchmark.cohorts.catalogue import all_cohorts
from benchmark.cohorts.held.add import add_cohort
from benchmark.cohorts.held.entry import CohortEntry
from benchmark.config import CONFIGS
from benchmark.registry import ROOT
from benchmark.runs.pipeline import CODE_LINKS, CODE_PACKAGES, pipeline_text

STAGES = ("prepare-mine", "split-mine")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The workspace of a cohort in a repository with code of its own, a DVC repository as well."""
    root = tmp_path / "repository"
    (root / "configs" / "profile").mkdir(parents=True)
    (root / ".dvc").mkdir()
    shutil.copy(CONFIGS / "cohort_profile.yaml", root / "configs")
    for package in CODE_PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=lambda *_: ["__pycache__"])
    entry = CohortEntry(source="oasis2", root=str(write_oasis2(tmp_path / "files")), synthetic=True)
    add_cohort("mine", entry, lambda p: pipeline_text(p, all_cohorts(root / "configs")), root)
    home = root / "profiles" / "mine"
    dvc(home, "commit", "--force", *STAGES)
    return home


def dvc(home: Path, *command: str) -> str:
    call = [sys.executable, "-m", "dvc", *command]
    return subprocess.run(call, cwd=home, check=True, capture_output=True, text=True).stdout


def changed(home: Path) -> set[str]:
    return set(json.loads(dvc(home, "status", "--json", *STAGES)))


def test_bytecode_is_no_change_and_code_is(workspace: Path) -> None:
    code = workspace.parents[1] / "benchmark"
    assert changed(workspace) == set()
    for folder in (code / "cohorts" / "held", code / "splitting"):
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "x.cpython-313.pyc").write_bytes(b"bytecode")
    assert changed(workspace) == set()
    (code / "cohorts" / "held" / "another_study.py").write_text("NAME = 'another'\n")
    assert changed(workspace) == {"prepare-mine"}
    with (code / "splitting" / "split.py").open("a") as file:
        file.write("# a change\n")
    assert changed(workspace) == set(STAGES)


def test_folders_are_reached_through_the_links_alone(workspace: Path) -> None:
    links = workspace / CODE_LINKS
    assert {link.name for link in links.iterdir()} == set(CODE_PACKAGES)
    for package in CODE_PACKAGES:
        assert (links / package).resolve() == workspace.parents[1] / package
    text = (workspace / "dvc.yaml").read_text()
    assert f"{CODE_LINKS}/benchmark/cohorts/held" in text
    assert f"{CODE_LINKS}/baselines/regional_linear" in text
    assert "../../benchmark" not in text
