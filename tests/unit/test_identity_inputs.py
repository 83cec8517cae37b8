"""A run's name changes with each input alone, and with nothing else."""

from __future__ import annotations

import ast
import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from process_caches import forget
from tiny_cohort import EXTERNAL, TINY, write_cohort

from benchmark import tasks
from benchmark.config import Profile
from benchmark.errors import ConfigError, ResultError
from benchmark.registry import ROOT
from benchmark.results.schema import read_result
from benchmark.runs import identity, pretraining
from benchmark.runs.execute import execute
from benchmark.runs.identity import input_hashes, run_id
from benchmark.runs.job import Job, Part, Workspace
from benchmark.runs.team import ALONE, Team
from benchmark.splitting import make_split, write_split
from benchmark.store import Cohort


@pytest.fixture
def job() -> Job:
    return Job(
        row="probe",
        method="probe",
        track="t1w",
        parts=(Part(TINY, ("dx3",)),),
        protocol="3fold",
        fold=0,
        seed=0,
        profile="tiny",
        config={"shift": 0.0, "how": "raise"},
        external=(Part(EXTERNAL, ("dx3",)),),
    )


@pytest.fixture
def name(fresh_workspace: Workspace, probe_site: Path) -> Callable[[Job], str]:
    def compute(job: Job) -> str:
        forget()
        return run_id(job, fresh_workspace)

    return compute


def test_a_name_is_24_hexadecimal_digits(name: Callable[[Job], str], job: Job) -> None:
    assert set(name(job)) <= set("0123456789abcdef")
    assert len(name(job)) == 24


@pytest.mark.parametrize(
    "change",
    [
        {"row": "probe_shifted"},
        {"track": "all"},
        {"parts": (Part(TINY, ("conversion",)),)},
        {"fold": 1},
        {"seed": 1},
        {"profile": "other"},
        {"config": {"shift": 0.1, "how": "raise"}},
        {"external": ()},
        {"tuned": True},
        {"device": "cuda"},
        {"precision": "amp"},
        {"percent": 10},
        {"pretrained": __file__},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_value_of_the_job_counts(name: Callable[[Job], str], job: Job, change: dict) -> None:
    assert name(dataclasses.replace(job, **change)) != name(job)


@pytest.mark.parametrize("place", ["weights", ".weights"])
def test_what_a_setting_called_folder_names_counts(
    name: Callable[[Job], str], job: Job, tmp_path: Path, place: str
) -> None:
    file = tmp_path / place / "model.safetensors"
    file.parent.mkdir()

    def reads(path: Path | str) -> Job:
        return dataclasses.replace(job, config={"text": {"folder": str(path), "layers": 2}})

    for path in (file.parent, file):
        file.write_bytes(b"weights")
        first = name(reads(path))
        assert first not in (name(reads("")), name(job))
        assert name(reads(path)) == first
        file.write_bytes(b"others!")
        assert name(reads(path)) != first
        file.write_bytes(b"weights")
        assert name(reads(path)) == first
    with pytest.raises(
        ConfigError, match=r"text\.folder='nowhere' is no file or folder of weights"
    ):
        name(reads("nowhere"))


def test_every_field_of_a_job_is_in_its_json(job: Job) -> None:
    assert set(job.to_json()) == {entry.name for entry in dataclasses.fields(Job)}
    assert Job.from_json(job.to_json()) == job


def test_the_methods_file_counts_and_its_card_does_not(
    name: Callable[[Job], str], job: Job, probe_site: Path
) -> None:
    before = name(job)
    (probe_site / "README.md").write_text("A better card.")
    assert name(job) == before
    with (probe_site / "model.py").open("a") as handle:
        handle.write("# one more line\n")
    assert name(job) != before


def test_another_methods_file_does_not_count(
    name: Callable[[Job], str], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = name(job)
    real = identity.tree_sha256
    monkeypatch.setattr(
        identity,
        "tree_sha256",
        lambda roots: "x" if "age_sex" in str(roots := list(roots)) else real(roots),
    )
    assert name(job) == hashes
    assert name(dataclasses.replace(job, method="age_sex")) != hashes


@pytest.mark.parametrize("cohort", [TINY, EXTERNAL])
def test_the_bytes_of_each_cohort_count(
    name: Callable[[Job], str], job: Job, fresh_workspace: Workspace, cohort: str
) -> None:
    before = name(job)
    visits = Cohort(fresh_workspace.data / cohort).visits
    write_cohort(fresh_workspace.data / cohort, visits, seed=99)
    assert name(job) != before


def test_a_label_rule_counts_alone(
    name: Callable[[Job], str], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = name(job)
    old = tasks.TASKS["dx3"]

    def rule(index, visits):
        values, reasons = old.rule(index, visits)
        values = values.copy()
        values[0] = np.nan
        return values, reasons

    changed = {**tasks.TASKS, "dx3": dataclasses.replace(old, rule=rule)}
    monkeypatch.setattr(tasks, "TASKS", MappingProxyType(changed))
    assert name(job) != before


def test_the_split_counts_alone(
    name: Callable[[Job], str], job: Job, fresh_workspace: Workspace
) -> None:
    before = name(job)
    cohort = Cohort(fresh_workspace.data / TINY)
    write_split(make_split(cohort, "3fold", 1), fresh_workspace.splits / TINY)
    assert name(job) != before


@pytest.mark.parametrize(
    "library",
    [
        *("python", "numpy", "scipy", "pandas", "scikit-learn", "torch", "monai"),
        *("transformers", "tokenizers", "safetensors", "peft"),
    ],
)
def test_the_version_of_each_library_counts(
    name: Callable[[Job], str], job: Job, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    before = name(job)
    assert identity.library_versions()[library] not in ("absent", "0")
    versions = {**identity.library_versions(), library: "0"}
    monkeypatch.setattr(identity, "library_versions", _cached(versions))
    assert name(job) != before


def _cached(value: dict[str, str]) -> Callable[[], dict[str, str]]:
    def answer() -> dict[str, str]:
        return value

    answer.cache_clear = lambda: None
    return answer


def test_core_code_counts(
    name: Callable[[Job], str], job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = name(job)
    package = tmp_path / "benchmark"
    shutil.copytree(ROOT / "benchmark", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(identity, "__file__", str(package / "runs" / "identity.py"))
    assert name(job) == before, "a copy of the code is the same code"
    for changed in ("samples/build.py", "tasks.py", "runs/execute.py"):
        original = (package / changed).read_text()
        (package / changed).write_text(original + "# changed\n")
        assert name(job) != before, changed
        (package / changed).write_text(original)
    (package / "cli" / "run.py").write_text("# another command line\n")
    (package / "metrics" / "__init__.py").write_text("# other metrics\n")
    assert name(job) == before, "scoring and the command line change no prediction"


NOT_HASHED = {
    "__init__.py": "keeps an import lean",
    "api.py": "names only",
    "errors.py": "messages",
    "leakage/inputs.py": "refuses; changes no number",
    "leakage/naming.py": "messages",
    "leakage/remedy.py": "messages",
    "lean_monai.py": "keeps an import lean",
    "method_info.py": "the shape of info.py",
    "registry.py": "finds code; what it finds is hashed",
    "vocabulary.py": "names only; a renamed column changes the cohort",
    "runs/__init__.py": "empty",
    "runs/checkpoints.py": "refuses, and finds weights, which are hashed",
    "runs/fit_log.py": "log and cost",
    "runs/identity.py": "computes the name",
    "runs/job.py": "is the name",
    "runs/pretraining.py": "is in the identity of what it learns",
    "runs/readiness.py": "refuses",
    "runs/workspace.py": "finds folders",
}


def test_all_code_that_a_run_goes_through_is_hashed() -> None:
    package = ROOT / "benchmark"
    hashed = {
        path.relative_to(package).as_posix()
        for name in identity._CORE
        for path in ([package / name] if name.endswith(".py") else (package / name).rglob("*.py"))
    }
    waiting = ["runs/execute.py", "runs/pretraining.py", "sklearn_method.py"]
    seen: set[str] = set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for node in ast.walk(ast.parse((package / current).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmark"):
                waiting += _files(package, node.module, [alias.name for alias in node.names])
    assert seen - hashed <= set(NOT_HASHED)


def _files(package: Path, module: str, names: list[str]) -> list[str]:
    stem = package.parent / Path(*module.split("."))
    if stem.is_dir():
        inside = [stem / f"{n}.py" for n in names if (stem / f"{n}.py").is_file()]
        found = [stem / "__init__.py", *inside]
    else:
        found = [stem.with_suffix(".py")]
    return [path.relative_to(package).as_posix() for path in found if path.is_file()]


def test_the_code_that_chooses_people_is_in_a_pretrainings_identity(
    fresh_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pretraining.Pretraining("tiny", (TINY,), {})
    facts = wanted, [Cohort(fresh_workspace.data / TINY)], Profile(name="tiny")
    before = pretraining._identity(*facts)
    copy = tmp_path / "pretraining.py"
    code = Path(pretraining.__file__).read_text()
    copy.write_text(code)
    monkeypatch.setattr(pretraining, "__file__", str(copy))
    assert pretraining._identity(*facts) == before, "a copy of the code is the same code"
    copy.write_text(f"{code}# other people\n")
    assert pretraining._identity(*facts) != before


def test_key_order_and_place_do_not_count(
    name: Callable[[Job], str], job: Job, fresh_workspace: Workspace, tmp_path: Path
) -> None:
    before = name(job)
    turned = dataclasses.replace(job, config=dict(reversed(job.config.items())))
    assert list(turned.config) != list(job.config)
    assert name(turned) == before
    moved = tmp_path / "elsewhere"
    fresh_workspace.root.rename(moved)
    forget()
    assert run_id(job, Workspace(moved)) == before
    for path in moved.rglob("*"):
        os.utime(path, (0, 0))
    forget()
    assert run_id(job, Workspace(moved)) == before


def test_everything_that_is_read_is_listed(
    fresh_workspace: Workspace, probe_site: Path, job: Job
) -> None:
    hashes = input_hashes(job, fresh_workspace)
    wanted = {"core", "method", f"split/{TINY}", f"labels/{TINY}/dx3", f"labels/{EXTERNAL}/dx3"}
    wanted |= {f"cohort/{TINY}", f"cohort/{EXTERNAL}"}
    assert wanted <= set(hashes)
    assert all(hashes.values())


def test_the_number_of_processes_counts_and_is_recorded(
    fresh_workspace: Workspace, probe_site: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, two, four = (run_id(job, fresh_workspace, n) for n in (1, 2, 4))
    assert alone == run_id(job, fresh_workspace)
    assert len({alone, two, four}) == 3
    assert "processes" not in input_hashes(job, fresh_workspace)
    monkeypatch.setattr(Team, "agree", lambda self, value: value)
    with pytest.raises(ResultError, match="changed after this run was planned"):
        execute(job, alone, fresh_workspace, Team(size=2))
    for identity_of, team in ((two, Team(size=2)), (alone, ALONE)):
        execute(job, identity_of, fresh_workspace, team)
        record = read_result(fresh_workspace.runs / "probe" / identity_of / "result.json")
        assert record["processes"] == team.size
        assert record["hashes"].get("processes") == ("2" if team.size == 2 else None)


def _another_split(workspace: Workspace, site: Path) -> None:
    cohort = Cohort(workspace.data / TINY)
    write_split(make_split(cohort, "3fold", 1), workspace.splits / TINY)


def _another_cohort(workspace: Workspace, site: Path) -> None:
    folder = workspace.data / EXTERNAL
    write_cohort(folder, Cohort(folder).visits, seed=99)


def _another_method(workspace: Workspace, site: Path) -> None:
    with (site / "model.py").open("a") as model:
        model.write("# one more line\n")


@pytest.mark.parametrize("change", [_another_split, _another_cohort, _another_method])
def test_a_process_that_ran_a_job_sees_what_changed_before_the_next(
    fresh_workspace: Workspace, probe_site: Path, job: Job, change: Callable[..., None]
) -> None:
    later = dataclasses.replace(job, fold=1)
    first, second = (run_id(j, fresh_workspace) for j in (job, later))
    assert execute(job, first, fresh_workspace)
    change(fresh_workspace, probe_site)
    with pytest.raises(ResultError, match=r"fold 1.*changed after this run was planned"):
        execute(later, second, fresh_workspace)
    assert execute(later, run_id(later, fresh_workspace), fresh_workspace)


def test_planning_reads_each_input_once(
    fresh_workspace: Workspace, probe_site: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget()
    read: list[object] = []
    for name in ("tree_sha256", "read_split", "labels_for"):
        plain = getattr(identity, name)
        monkeypatch.setattr(
            identity, name, lambda *a, plain=plain, name=name: (read.append(name), plain(*a))[1]
        )
    for seed in range(20):
        run_id(dataclasses.replace(job, seed=seed), fresh_workspace)
    assert sorted(read) == ["labels_for"] * 2 + ["read_split"] + ["tree_sha256"] * 2
