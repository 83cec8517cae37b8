"""Who may import whom, and how the tree is laid out; read from the source with ast."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import benchmark

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("benchmark", "baselines", "methods", "leaderboard")
LIGHT = ("benchmark/metrics", "benchmark/stats", "benchmark/results", "benchmark/report")
HEAVY = {"torch", "monai", "nibabel", "hydra", "optuna", "transformers", "nilearn", "SimpleITK"}
MOST_LINES = 400


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, relative ones resolved."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, *allowed: str) -> bool:
    return any(name == a or name.startswith(f"{a}.") for a in allowed)


def offences(folder: str, wrong) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in sorted(imports(path))
        if wrong(path, name)
    ]


def test_the_core_knows_no_method_and_no_board() -> None:
    others = ("baselines", "methods", "leaderboard")
    assert not offences("benchmark", lambda _, name: within(name, *others))


@pytest.mark.parametrize("folder", ["baselines", "methods"])
def test_methods_know_the_api_the_encoders_and_themselves(folder: str) -> None:
    def wrong(path: Path, name: str) -> bool:
        own = ".".join(path.relative_to(ROOT).parts[:2])
        if within(name, "benchmark"):
            names = (f"benchmark.{n}" for n in ("api", "encoders"))
            return name != "benchmark" and not within(name, *names)
        return within(name, *PACKAGES) and name != folder and not within(name, own)

    assert not offences(folder, wrong)


def test_the_board_reads_results_metrics_and_statistics_only() -> None:
    allowed = ("benchmark.results", "benchmark.metrics", "benchmark.stats", "leaderboard")

    def wrong(_: Path, name: str) -> bool:
        if within(name, *HEAVY):
            return True
        return within(name, *PACKAGES) and name != "benchmark" and not within(name, *allowed)

    assert not offences("leaderboard", wrong)


def test_only_the_command_line_knows_hydra() -> None:
    def wrong(path: Path, name: str) -> bool:
        return within(name, "hydra") and ROOT / "benchmark" / "cli" not in path.parents

    assert not [o for package in PACKAGES for o in offences(package, wrong)]


@pytest.mark.parametrize("folder", LIGHT)
def test_scoring_names_nothing_heavy(folder: str) -> None:
    assert sources(folder)
    assert not offences(folder, lambda _, name: within(name, *HEAVY))


LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(*modules: str) -> set[str]:
    import json

    command = [sys.executable, "-c", LOADED, *modules]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def modules_of(*folders: str) -> list[str]:
    names = [p.relative_to(ROOT).with_suffix("").parts for p in sources(*folders)]
    return [".".join(n[:-1] if n[-1] == "__init__" else n) for n in names]


def test_neither_scoring_nor_the_board_loads_anything_heavy() -> None:
    scripts = {"leaderboard.app"}  # a Streamlit script, not a module: its imports are read above
    board = [name for name in modules_of("leaderboard") if name not in scripts]
    assert not loaded_by(*modules_of(*LIGHT), *board) & HEAVY


def test_help_loads_nothing_but_the_standard_library() -> None:
    program = "import sys; from benchmark.cli import main; main(['--help']); "
    program += "print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    heavy = {*HEAVY, "numpy", "pandas", "omegaconf", "rich", "sklearn", "yaml"}
    assert not set(done.stdout.splitlines()[-1].split()) & heavy


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_files_stay_short(package: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources(package)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_no_file_of_the_board_hides_a_root_package() -> None:
    """``streamlit run leaderboard/app.py`` puts ``leaderboard/`` first on the path."""
    names = {path.stem for path in (ROOT / "leaderboard").iterdir()}
    assert not names & {*PACKAGES, "data", "tests", "streamlit", "altair", "pandas", "numpy"}


# What the generator runs through and no byte of a cohort depends on: faults, processes, imports,
# hashing, reading back, and which columns count as clinical in the datasheet.
NEUTRAL = {
    "errors.py",
    "lean_monai.py",
    "processes.py",
    "store/__init__.py",
    "store/cohort.py",
    "store/hashing.py",
    "threads.py",
    "tracks.py",
}


def test_a_cohort_is_made_anew_when_any_file_that_decides_it_changes() -> None:
    from benchmark.cohorts.phantom.generator_files import STORE_FILES, generator_files

    core = ROOT / "benchmark"
    waiting, seen = ["benchmark.cohorts.phantom.prepare", "benchmark.cohorts.phantom.seeds"], set()
    while waiting:
        path = core.joinpath(*waiting.pop().split(".")[1:])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file() and file not in seen:
                seen.add(file)
                waiting += [name for name in imports(file) if within(name, "benchmark")]
    seen.discard(core / "__init__.py")
    through = {str(file.relative_to(core)) for file in seen}
    assert "cohorts/phantom/people.py" in through
    assert through - NEUTRAL == through & {*generator_files(), *STORE_FILES}


def test_the_packages_are_those_of_this_repository() -> None:
    assert Path(str(benchmark.__file__)).resolve().parent == ROOT / "benchmark"


def test_no_module_is_named_data_or_for_nothing_in_particular() -> None:
    banned = {"data", "utils", "util", "helpers", "helper", "misc", "common", "data2"}
    named = {
        str(path.relative_to(ROOT))
        for path in sources(*PACKAGES)
        if banned & {*path.relative_to(ROOT).with_suffix("").parts}
    }
    assert not named


def test_libraries_do_not_print() -> None:
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*PACKAGES)
        if ROOT / "benchmark" / "cli" not in path.parents
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert not printing


def test_nothing_is_caught_without_being_named() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not bare


def test_errors_of_the_core_are_one_family() -> None:
    """Classes named ...Error or raised for users derive from BenchmarkError."""
    from benchmark.errors import BenchmarkError

    bases = {
        node.name: {getattr(base, "id", "") for base in node.bases}
        for path in sources("benchmark")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    family = _family(BenchmarkError)
    while more := {name for name, parents in bases.items() if parents & family} - family:
        family |= more
    assert {name for name in bases if name.endswith("Error")} <= family


def _family(root: type) -> set[str]:
    return {root.__name__} | {name for child in root.__subclasses__() for name in _family(child)}
