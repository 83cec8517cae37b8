"""``neurodx check`` says what holds, what does not, and exits accordingly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmark.checks import suite
from benchmark.checks.outcome import Rule
from benchmark.cli import main
from benchmark.registry import ROOT


def test_check_passes_a_sound_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "chance"]) == 0
    printed = capsys.readouterr().out
    assert f"all {len(suite.RULES)} rules hold" in printed
    assert "FAIL" not in printed
    said = " ".join(printed.split())
    assert said.endswith("profile=smoke` (needs the data of `make repro PROFILE=smoke`)")


def test_check_fails_with_the_traceback_and_the_command_to_repeat(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def _raise(_: object) -> str:
        raise ZeroDivisionError("by design")

    rules = (Rule("seed", "same seed", _raise), Rule("order", "order", lambda _: ""))
    monkeypatch.setattr(suite, "RULES", rules)
    assert main(["check", "chance"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "FAIL seed" in printed
    assert "pass order" in printed
    assert "ZeroDivisionError: by design" in printed
    assert "neurodx check chance --rule seed" in printed


def test_check_of_some_rules_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "chance", "--rule", "card", "--rule", "names", "--json"]) == 0
    outcomes = json.loads(capsys.readouterr().out)
    assert [outcome["rule"] for outcome in outcomes] == ["names", "card"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["chanse"], "Did you mean 'chance'"), (["chance", "--rule", "sede"], "Did you mean 'seed'")],
)
def test_check_suggests_names(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *arguments]) == 1
    assert says in capsys.readouterr().err


def test_check_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "scratch").mkdir()
    assert main(["check", "chance", "--rule", "answers"]) == 0
    assert list((tmp_path / "scratch").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_a_new_method_names_every_command_up_to_its_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "methods" / "_template", tmp_path / "methods" / "_template")
    monkeypatch.setattr("benchmark.registry.ROOT", tmp_path)
    assert main(["new-method", "fresh_start"]) == 0
    assert (tmp_path / "methods" / "fresh_start" / "model.py").is_file()
    printed = capsys.readouterr().out
    steps = ("neurodx check fresh_start", "make repro PROFILE=smoke", "method=fresh_start")
    places = [printed.index(step) for step in steps]
    assert places == sorted(places)
    guide = (ROOT / "CONTRIBUTING.md").read_text().partition("### ")[0]
    places = [guide.index(step.replace("fresh_start", "my_method")) for step in steps]
    assert places == sorted(places)
