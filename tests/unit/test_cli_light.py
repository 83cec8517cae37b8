"""``neurodx --help`` and every ``info.py`` stay light: an import is a cost that everybody pays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.checks.card import HEAVY, heavy_imports
from benchmark.cli import VERBS, main
from benchmark.registry import registry

LIMIT_SECONDS = 0.3
ROOT = Path(__file__).resolve().parents[2]


def cpu_seconds(code: str) -> float:
    """Processor time of some code in a fresh interpreter: wall time would measure neighbours."""
    script = f"import time, json\nstart = time.process_time()\n{code}\n"
    script += "import sys; print(json.dumps(time.process_time() - start), file=sys.stderr)"
    times = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        times.append(json.loads(done.stderr.splitlines()[-1]))
    return min(times)


def test_help_takes_an_instant() -> None:
    assert cpu_seconds("from benchmark.cli import main; main(['--help'])") < LIMIT_SECONDS


def test_all_infos_together_import_nothing_heavy() -> None:
    assert heavy_imports(f"{info.package}.info" for info in registry().methods.values()) == []


def test_all_infos_together_take_an_instant() -> None:
    modules = [f"{info.package}.info" for info in registry().methods.values()]
    assert cpu_seconds("import " + ", ".join(modules)) < LIMIT_SECONDS


@pytest.mark.parametrize("template", ["_template", "_template_torch"])
def test_templates_import_nothing_heavy(template: str) -> None:
    assert heavy_imports([f"methods.{template}.info"]) == []


def test_verbs_can_follow_each_other_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tracks"]) == 0
    assert main(["list", "tasks"]) == 0
    assert "conversion" in capsys.readouterr().out


def test_heavy_import_is_seen() -> None:
    assert heavy_imports(["numpy"]) == [HEAVY[0]]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_of_each_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"neurodx {verb}" in said
    assert f"  neurodx {verb}" in said.partition("examples:")[2]


def test_unknown_verb_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek"]) == 1
    assert "Did you mean 'check'" in capsys.readouterr().err
