"""Finding methods: broken ones are listed, duplicates named, strangers welcome."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark import registry as registry_module
from benchmark.errors import MethodError, UnknownNameError
from benchmark.method_info import MethodInfo
from benchmark.registry import get_method, load_method_class, register, registry

INFO = (
    "from benchmark.api import MethodInfo, register\n"
    'INFO = register(MethodInfo(name="{name}", title="T", summary="S", model="model:M",\n'
    '    tasks=("dx3",), tracks=("clinical",), variants={variants}))\n'
)


class Folders:
    """A repository root of the test's own, and a site for installed packages."""

    def __init__(self, root: Path) -> None:
        self.root, self.site = root, root / "site"
        self.site.mkdir()
        for package in ("baselines", "methods"):
            (root / package).mkdir()
            (root / package / "__init__.py").touch()

    def method(self, place: str, info: str, model: str = "") -> Path:
        folder = self.root / place
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "info.py").write_text(info)
        (folder / "model.py").write_text(model)
        return folder

    def entry_point(self, name: str, value: str) -> None:
        meta = self.site / f"{name}-1.0.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (meta / "entry_points.txt").write_text(f"[neurodx.methods]\n{name} = {value}\n")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folders]:
    made = Folders(tmp_path)
    ours = ("baselines", "methods")
    saved = {n: m for n, m in sys.modules.items() if n.partition(".")[0] in ours}
    for name in saved:
        del sys.modules[name]
    registered = dict(registry_module._registered)
    registry_module._registered.clear()
    monkeypatch.setattr(registry_module, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(str(made.site))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.cache_clear()
    yield made
    registry.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "")) or name.partition(".")[0] in ours:
            del sys.modules[name]
    sys.modules.update(saved)
    registry_module._registered.clear()
    registry_module._registered.update(registered)


def test_methods_of_both_folders_are_found(folders: Folders) -> None:
    folders.method("baselines/one", INFO.format(name="one", variants="{}"))
    folder = folders.method("methods/two", INFO.format(name="two", variants="{'two_b': {}}"))
    found = registry()
    assert set(found.methods) == {"one", "two"}
    assert get_method("two_b").folder == folder


def test_folders_with_an_underscore_are_not_methods(folders: Folders) -> None:
    folders.method("methods/_template", INFO.format(name="t", variants="{}"))
    assert not registry().methods


def test_broken_method_is_listed_with_its_traceback_and_hides_nobody(folders: Folders) -> None:
    folders.method("methods/bad", "raise RuntimeError('no such weights')")
    folders.method("methods/good", INFO.format(name="good", variants="{}"))
    found = registry()
    assert set(found.methods) == {"good"}
    assert "no such weights" in found.unavailable["methods/bad"]
    assert "Traceback" in found.unavailable["methods/bad"]
    with pytest.raises(MethodError, match="no such weights"):
        get_method("bad")


@pytest.mark.parametrize("second", ["twin", "other"])
def test_duplicate_names_are_an_error_that_names_both(folders: Folders, second: str) -> None:
    folders.method("methods/a", INFO.format(name="twin", variants="{}"))
    text = INFO.format(name=second, variants="{'twin': {}}" if second == "other" else "{}")
    folders.method("methods/b", text.replace('title="T"', 'title="Second"'))
    with pytest.raises(MethodError, match="two methods are named 'twin'") as caught:
        registry()
    message = str(caught.value)
    assert ("(T)" in message and "(Second)" in message) or ("/a" in message and "/b" in message)


def test_equal_twins_in_two_folders_are_named_by_folder(folders: Folders) -> None:
    for folder in ("a", "b"):
        folders.method(f"methods/{folder}", INFO.format(name="twin", variants="{}"))
    with pytest.raises(MethodError, match=r"methods/a and .*methods/b"):
        registry()


def test_unknown_name_suggests_the_nearest(folders: Folders) -> None:
    folders.method("methods/resnet", INFO.format(name="resnet", variants="{}"))
    with pytest.raises(UnknownNameError, match=r"Did you mean 'resnet'\?.*neurodx list methods"):
        get_method("resent")


def test_entry_point_of_an_installed_package_is_found(folders: Folders) -> None:
    model = "from benchmark.method import Method\nclass M(Method):\n    pass\n"
    folders.method("site/stranger_pkg", INFO.format(name="stranger", variants="{}"), model)
    folders.entry_point("stranger", "stranger_pkg.info:INFO")
    info = get_method("stranger")
    assert info.package == "stranger_pkg"
    assert load_method_class(info).__name__ == "M"


def test_broken_entry_point_is_unavailable_by_its_name(folders: Folders) -> None:
    folders.entry_point("ghost", "not_there.info:INFO")
    ((label, trace),) = registry().unavailable.items()
    assert "ghost" in label
    assert "not_there" in trace
    with pytest.raises(MethodError, match="cannot be imported"):
        get_method("ghost")


@pytest.mark.parametrize(
    ("model", "says"),
    [("", "cannot load 'model:M'"), ("class M: pass", "is not a subclass of Method")],
)
def test_class_that_is_not_there_is_named(folders: Folders, model: str, says: str) -> None:
    folders.method("methods/empty", INFO.format(name="empty", variants="{}"), model)
    with pytest.raises(MethodError, match=re.escape(says)):
        load_method_class(get_method("empty"))


def test_register_accepts_the_same_facts_twice(folders: Folders) -> None:
    info = MethodInfo("once", "T", "S", "model:M", ("dx3",), ("clinical",))
    assert register(info) is info
    assert register(info) is info
