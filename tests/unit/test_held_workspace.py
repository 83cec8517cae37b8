"""What DVC takes for a change in the workspace of a cohort that a user holds; with the real DVC."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from held_replicas import write_oasis2

from benchmark.cohorts.catalogue import all_cohorts
from benchmark.cohorts.held.add import add_cohort
from benchmark.cohorts.held.entry import CohortEntry, held_names
from benchmark.config import CONFIGS, load_profile
from benchmark.registry import ROOT
from benchmark.runs.pipeline import CODE_LINKS, CODE_PACKAGES, pipeline_text, reads_links

STAGES = ("prepare-mine", "split-mine")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The workspace of a cohort in a repository with code of its own, a DVC repository as well."""
    root = tmp_path / "repository"
    (root / ".dvc").mkdir(parents=True)
    own = [CONFIGS / "profile" / f"{name}.yaml" for name in held_names()]  # of whoever tests here
    shutil.copytree(CONFIGS, root / "configs", ignore=lambda *_: ["held", *(p.name for p in own)])
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


@pytest.mark.e2e
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


@pytest.mark.e2e
def test_folders_are_reached_through_the_links_alone(workspace: Path) -> None:
    links = workspace / CODE_LINKS
    assert {link.name for link in links.iterdir()} == set(CODE_PACKAGES)
    for package in CODE_PACKAGES:
        assert (links / package).resolve() == workspace.parents[1] / package
    text = (workspace / "dvc.yaml").read_text()
    assert f"{CODE_LINKS}/benchmark/cohorts/held" in text
    assert f"{CODE_LINKS}/baselines/regional_linear" in text
    assert "../../benchmark" not in text


def write_pipelines(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`neurodx pipeline` of the copied code, whose repository is the copy."""
    call = [sys.executable, "-m", "benchmark.cli", "pipeline", *options]
    there = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(call, cwd=root, env=there, check=False, capture_output=True, text=True)


@pytest.mark.e2e
def test_the_verb_gives_links_to_workspaces_that_have_none(workspace: Path) -> None:
    root = workspace.parents[1]
    ours = yaml.safe_load((root / "configs" / "profile" / "mine.yaml").read_text())
    text = yaml.safe_dump({**ours, "name": "ours"})  # a profile of one's own over the cohort
    (root / "configs" / "profile" / "ours.yaml").write_text(text)
    shutil.rmtree(workspace / CODE_LINKS)
    (workspace / ".dvcignore").unlink()
    kept = "[core]\n    no_scm = true\n    analytics = true\n"
    (workspace / ".dvc" / "config").write_text(kept)
    assert write_pipelines(root, "--check").returncode == 1
    assert not (workspace / CODE_LINKS).exists()
    done = write_pipelines(root)
    assert done.returncode == 0, done.stderr
    assert (workspace / ".dvc" / "config").read_text() == kept, "what is there stays"
    assert changed(workspace) == set()
    code = root / "benchmark" / "splitting"
    (code / "__pycache__").mkdir(exist_ok=True)
    (code / "__pycache__" / "y.cpython-313.pyc").write_bytes(b"bytecode")
    assert changed(workspace) == set()
    home = root / "profiles" / "ours"
    assert (home / ".gitignore").read_text() == "*\n"
    for stage in yaml.safe_load((home / "dvc.yaml").read_text())["stages"].values():
        code_of = [dep for dep in stage["deps"] if dep.startswith(f"{CODE_LINKS}/")]
        assert all((home / dep).exists() for dep in code_of)
    facts = json.loads(dvc(home, "status", "--json", "prepare-mine"))["prepare-mine"]
    found = {path: how for part in facts for path, how in part.get("changed deps", {}).items()}
    assert found
    assert "deleted" not in found.values(), "what DVC calls a dependency that is not there"
    assert not (root / "profiles" / "smoke" / CODE_LINKS).exists()
    assert write_pipelines(root, "--check").returncode == 0


def test_a_profile_over_no_known_cohort_has_no_links() -> None:
    smoke = load_profile("smoke")
    assert not reads_links(replace(smoke, cohorts=[]))
    assert not reads_links(replace(smoke, cohorts=["nowhere"]))
    assert not reads_links(smoke)
