"""``requirements.lock`` names everything that an installation brings, its build backend too."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmark.doctor.packages import locked_versions

ROOT = Path(__file__).resolve().parents[2]
LOCKED = {
    canonicalize_name(name): version
    for name, version in locked_versions(ROOT / "requirements.lock").items()
}
FACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OF_CUDA = ("nvidia-", "triton", "cuda-")  # come with that build of torch


def stated() -> list[Requirement]:
    project = FACTS["project"]
    extras = [line for group in project["optional-dependencies"].values() for line in group]
    return [Requirement(r) for r in (*project["dependencies"], *extras, *build())]


def build() -> list[str]:
    return list(FACTS["build-system"]["requires"])


def test_the_lock_satisfies_what_the_project_states() -> None:
    wrong = {
        str(need): LOCKED.get(canonicalize_name(need.name))
        for need in stated()
        if LOCKED.get(canonicalize_name(need.name), "0").partition("+")[0] not in need.specifier
    }
    assert not wrong


def test_the_lock_names_what_those_bring_in_turn() -> None:
    waiting = [canonicalize_name(need.name) for need in stated()]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name.startswith(OF_CUDA):
            continue
        seen.add(name)
        try:
            lines = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        needs = map(Requirement, lines)
        waiting += [
            canonicalize_name(need.name)
            for need in needs
            if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    assert "setuptools" in seen, "torch asks for it"
    assert not seen - set(LOCKED)
