"""Installed packages: against the lock, optional ones, and what shadows ours."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.doctor.finding import FAIL, NOTE, OK, Finding

__all__ = ["locked_versions", "packages"]

ROOT = Path(__file__).resolve().parents[2]
OURS = ("benchmark", "baselines", "methods", "leaderboard")
DISTRIBUTION = "neurodx-bench"
_AREA = "packages"
_MOST_SHOWN = 8
_WORDS = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")


def packages(root: Path = ROOT) -> list[Finding]:
    """Examines packages.

    Args:
        root: The repository.
    """
    return [*_required(), _lock(root / "requirements.lock"), *_extras(), *_shadows(root)]


def locked_versions(path: Path) -> dict[str, str]:
    """Reads ``name==version`` lines of a lock file."""
    matches = (_WORDS.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {found[1]: found[2] for found in matches if found}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements() -> Sequence[str]:
    try:
        return importlib.metadata.requires(DISTRIBUTION) or ()
    except importlib.metadata.PackageNotFoundError:
        return ()


def _name(requirement: str) -> str:
    return re.split(r"[\s;<>=!~\[]", requirement, maxsplit=1)[0]


def _required() -> list[Finding]:
    if _version(DISTRIBUTION) is None:
        detail = f"{DISTRIBUTION} is not installed here, so its requirements are unknown"
        return [Finding(_AREA, "required", FAIL, detail, "`make setup`")]
    names = [_name(line) for line in _requirements() if "extra ==" not in line]
    missing = [name for name in names if _version(name) is None]
    if missing:
        detail = f"missing: {', '.join(missing)}"
        return [Finding(_AREA, "required", FAIL, detail, "`make setup`")]
    return [Finding(_AREA, "required", OK, f"all {len(names)} installed")]


def _lock(path: Path) -> Finding:
    if not path.is_file():
        return Finding(_AREA, "lock", NOTE, f"no {path.name}: versions are not compared")
    locked = locked_versions(path)
    differing = [
        f"{name} {found} (locked {version})"
        for name, version in locked.items()
        if (found := _version(name)) and found.partition("+")[0] != version.partition("+")[0]
    ]
    if not differing:
        return Finding(_AREA, "lock", OK, f"what is installed is as locked ({len(locked)} lines)")
    more = len(differing) - _MOST_SHOWN
    shown = ", ".join(differing[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
    remedy = "numbers may differ; `pip install -c requirements.lock -e .`"
    return Finding(_AREA, "lock", NOTE, shown, remedy)


def _extras() -> list[Finding]:
    groups: dict[str, list[str]] = {}
    for line in _requirements():
        if found := re.search(r"""extra == ["']([\w-]+)["']""", line):
            groups.setdefault(found[1], []).append(_name(line))
    findings = []
    for extra, names in groups.items():
        missing = [name for name in names if _version(name) is None]
        name = f"extra {extra!r}"
        if missing:
            remedy = f"`pip install -c requirements.lock -e '.[{extra}]'`"
            findings.append(Finding(_AREA, name, NOTE, f"missing: {', '.join(missing)}", remedy))
        else:
            findings.append(Finding(_AREA, name, OK, "present"))
    return findings


def _shadows(root: Path) -> list[Finding]:
    findings = []
    for name in OURS:
        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec else []
        origin = Path(places[0]).resolve() if places else None
        if origin == root / name:
            continue
        detail = f"resolves to {origin or 'nothing'}, expected {root / name}"
        remedy = "`pip install -e .`, and uninstall or leave the folder of the other one"
        findings.append(Finding(_AREA, name, FAIL, detail, remedy))
    return findings or [
        Finding(_AREA, "import names", OK, f"{', '.join(OURS)} are this repository")
    ]
