"""The code in CONTRIBUTING.md and in the templates works as it stands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark import registry as registry_module
from benchmark.checks import RULES, Bench, run_rule
from benchmark.cli import main
from benchmark.cli.new_method import new_method
from benchmark.errors import MethodError
from benchmark.registry import registry

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- (\w+):([\w.]+) -->\n```\w+\n(.*?)```", re.DOTALL)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = {(kind, name): text for kind, name, text in BLOCK.findall(CONTRIBUTING)}


class Site:
    """A place where methods are entered as an installed package would enter them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def enter(self, name: str) -> None:
        meta = self.folder / f"{name}-1.0.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (meta / "entry_points.txt").write_text(f"[neurodx.methods]\n{name} = {name}.info:INFO\n")
        registry.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    place = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(place.folder))
    registered, modules = dict(registry_module._registered), set(sys.modules)
    yield place
    registry_module._registered.clear()
    registry_module._registered.update(registered)
    registry.cache_clear()
    for name in set(sys.modules) - modules:
        if str(place.folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def broken(row: str, folder: Path) -> dict[str, str]:
    bench = Bench(row, folder)
    outcomes = [run_rule(rule, bench) for rule in RULES]
    return {o.rule: o.message + o.trace for o in outcomes if not o.passed}


def test_whole_method_is_under_40_lines() -> None:
    lines = [
        line
        for (kind, name), text in BLOCKS.items()
        if kind == "method" and name.endswith(".py")
        for line in text.splitlines()
    ]
    assert 15 < len(lines) < 40


def test_whole_method_keeps_every_rule(site: Site, tmp_path: Path) -> None:
    package = site.folder / "shrunken_volumes"
    package.mkdir()
    (package / "__init__.py").touch()
    for (kind, name), text in BLOCKS.items():
        if kind == "method":
            (package / name).write_text(text)
    site.enter("shrunken_volumes")
    assert broken("shrunken_volumes", tmp_path / "bench") == {}


def _templates(site: Site) -> None:
    for template in ("_template", "_template_torch"):
        (site.folder / template).symlink_to(ROOT / "methods" / template)


@pytest.mark.parametrize("torch", [False, True], ids=["sklearn", "torch"])
def test_template_breaks_only_the_unwritten_card(site: Site, tmp_path: Path, torch: bool) -> None:
    _templates(site)
    new_method("fresh_start", site.folder, torch=torch)
    site.enter("fresh_start")
    assert set(broken("fresh_start", tmp_path / "bench")) == {"card"}


def test_network_of_the_guide_trains(site: Site, tmp_path: Path) -> None:
    _templates(site)
    folder = new_method("small_network", site.folder, torch=True)
    (folder / "model.py").write_text(BLOCKS["torch", "model.py"])
    site.enter("small_network")
    bench = Bench("small_network", tmp_path / "bench")
    rules = {rule.name: rule for rule in RULES}
    assert run_rule(rules["answers"], bench).message == ""


def test_new_method_fills_in_names(site: Site) -> None:
    _templates(site)
    folder = new_method("my_net", site.folder)
    text = "".join(path.read_text() for path in folder.iterdir())
    assert 'name="my_net"' in text
    assert "class MyNet(" in text
    assert "emplate" not in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MyNet", "'my_net'"),
        ("3d_net", "'d_net'"),
        ("class", "snake_case"),
        ("../escape", "'escape'"),
        ("chance", "is taken by"),
        ("biomarker_all_linear", "is taken by"),
        ("existing", "exists already"),
    ],
)
def test_new_method_refuses(site: Site, name: str, says: str) -> None:
    _templates(site)
    (site.folder / "existing").mkdir()
    before = sorted(site.folder.rglob("*"))
    with pytest.raises(MethodError, match=re.escape(says)):
        new_method(name, site.folder)
    assert sorted(site.folder.rglob("*")) == before


def test_new_method_prints_what_is_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], site: Site
) -> None:
    methods = site.folder / "methods"
    methods.mkdir()
    (methods / "_template").symlink_to(ROOT / "methods" / "_template")
    monkeypatch.setattr(registry_module, "ROOT", site.folder)
    assert main(["new-method", "next_one"]) == 0
    printed = capsys.readouterr().out
    assert "neurodx check next_one" in printed
    assert "neurodx run method=next_one" in printed
