"""``neurodx doctor``: what stops the default job fails, the rest is a note; each has a remedy."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
from pathlib import Path

import pytest

from benchmark import doctor, registry
from benchmark.cli import main
from benchmark.doctor import FAIL, NOTE, OK, Finding, environment, packages, project
from benchmark.doctor.packages import locked_versions

ROOT = Path(__file__).resolve().parents[2]


def one(findings: list[Finding], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.name == name]
    return found


def test_this_environment_can_run_the_default_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["can_run"] is True
    names = {finding["name"] for finding in report["findings"]}
    assert {"python", "git", "make", "torch", "lock", "import names", "methods"} <= names


def test_failure_is_named_and_exits_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Finding("machine", "make", FAIL, "not found", "install it")
    monkeypatch.setattr(doctor, "examine", lambda: [bad])
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "-> install it" in printed
    assert "cannot run: make" in printed


def test_whatever_is_not_ok_has_a_remedy() -> None:
    findings = doctor.examine()
    assert [f.name for f in findings if f.state != OK and not f.remedy] == []


def test_missing_tool_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert one(environment(), "make").state == FAIL


def test_full_disk_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 2**20})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    finding = one(environment(), "disk")
    assert finding.state == FAIL
    assert "make clean" in finding.remedy


def test_lock_is_compared(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    numpy = importlib.metadata.version("numpy")
    lock.write_text(f"# a comment\nnumpy=={numpy}+cpu\npandas==0.1\nnot-installed==1.0\n")
    assert locked_versions(lock) == {
        "numpy": f"{numpy}+cpu",
        "pandas": "0.1",
        "not-installed": "1.0",
    }
    finding = one(packages(tmp_path), "lock")
    assert finding.state == NOTE
    assert "pandas" in finding.detail
    assert "numpy" not in finding.detail


def test_absent_lock_is_no_failure(tmp_path: Path) -> None:
    assert one(packages(tmp_path), "lock").state == NOTE


def test_package_that_shadows_ours_fails_and_says_from_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def _find(name: str) -> importlib.machinery.ModuleSpec:
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        place = tmp_path if name == "benchmark" else ROOT
        spec.submodule_search_locations = [str(place / name)]
        return spec

    monkeypatch.setattr("importlib.util.find_spec", _find)
    finding = one(packages(), "benchmark")
    assert finding.state == FAIL
    assert str(tmp_path / "benchmark") in finding.detail


def test_partial_folders_and_cohorts_are_listed(tmp_path: Path) -> None:
    (tmp_path / "data" / "phantom-memory.partial").mkdir(parents=True)
    (tmp_path / "runs" / "chance" / ".0123.partial").mkdir(parents=True)
    (tmp_path / "data" / "ad-csf").mkdir()
    (tmp_path / "data" / "ad-csf" / "cohort.json").write_text("{}")
    findings = project(ROOT, tmp_path)
    left = one(findings, "partial folders")
    assert left.state == NOTE
    assert "phantom-memory.partial" in left.detail
    assert "runs/chance/.0123.partial" in left.detail
    assert one(findings, "cohorts").detail == "prepared: ad-csf"


@pytest.mark.parametrize(
    "name",
    [
        ".scores.partial",
        ".board.old.partial",
        "data/.phantom-memory.old.partial",
        "truth/phantom-memory.partial",
        "splits/toy/.3fold.csv.x7.partial",
        "reports/.splits.json.x7.partial",
        "runs/chance/.plan.json.x7.partial",
        "runs/chance/failed/.01.json.x7.partial",
        "sweeps/study/.study.json.x7.partial",
        "scores/.robustness.partial",
        "protocols/few-label/.board.partial",
        "protocols/few-label/scores/.robustness.partial",
    ],
)
def test_whatever_a_kill_leaves_is_listed_and_ignored_by_git(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    assert one(project(ROOT, tmp_path), "partial folders").detail == name
    assert "*.partial" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(("name", "state"), [("methods/odd", NOTE), ("baselines/chance", FAIL)])
def test_unavailable_method_fails_if_the_default_job_needs_it(
    monkeypatch: pytest.MonkeyPatch, name: str, state: str
) -> None:
    found = registry.Registry({}, {name: "Traceback\nImportError: no such thing"})
    monkeypatch.setattr(registry, "registry", lambda: found)
    finding = one(project(), name)
    assert (finding.state, finding.detail) == (state, "ImportError: no such thing")


def test_telemetry_that_is_on_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_NO_ANALYTICS", raising=False)
    findings = project(tmp_path, tmp_path)
    assert one(findings, "Streamlit telemetry").state == NOTE
    assert one(findings, "DVC telemetry").state == NOTE
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text("[browser]\ngatherUsageStats = false\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    findings = project(tmp_path, tmp_path)
    assert one(findings, "Streamlit telemetry").state == OK
    assert one(findings, "DVC telemetry").state == OK
