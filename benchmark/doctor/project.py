"""The repository and the workspace: methods, cohorts, leftovers, telemetry."""

from __future__ import annotations

import configparser
import os
import tomllib
from pathlib import Path

from benchmark.doctor.finding import FAIL, NOTE, OK, Finding
from benchmark.runs.workspace import profile_here, workspace_of

__all__ = ["project"]

ROOT = Path(__file__).resolve().parents[2]
_AREA = "project"
# Everything that is written under a temporary name; what a kill left there is none of the results.
_PARTIAL = (
    ".*.partial",
    "data/*.partial",
    "truth/*.partial",
    "splits/*/.*.partial",
    "reports/.*.partial",
    "runs/*/.*.partial",
    "runs/*/failed/.*.partial",
    "sweeps/*/.*.partial",
    "explanations/*/.*.partial",
    "scores/.*.partial",
    "protocols/*/.*.partial",
    "protocols/*/scores/.*.partial",
)


def project(root: Path = ROOT, workspace: Path | None = None) -> list[Finding]:
    """Examines methods, cohorts and leftovers.

    Args:
        root: The repository.
        workspace: The folder that verbs work in; by default that of this folder's profile.
    """
    place = workspace or workspace_of(profile_here()).root
    return [*_methods(), _cohorts(place), _leftovers(place), _dvc(root), _streamlit(root)]


def _methods() -> list[Finding]:
    from benchmark.config import load_profile
    from benchmark.registry import registry

    found = registry()
    rows = {row for info in found.methods.values() for row in (info.name, *info.variants)}
    planned = load_profile("mini").methods
    findings = [Finding(_AREA, "methods", OK, f"{len(found.methods)} methods, {len(rows)} rows")]
    for label, trace in found.unavailable.items():
        wanted = label.rpartition("/")[2] in planned
        reason = trace.strip().splitlines()[-1]
        remedy = f"correct {label}/info.py; `neurodx list methods` shows the state"
        findings.append(Finding(_AREA, label, FAIL if wanted else NOTE, reason, remedy))
    return findings


def _cohorts(workspace: Path) -> Finding:
    from benchmark.cohorts.catalogue import all_cohorts

    ready = [n for n in all_cohorts() if (workspace / "data" / n / "cohort.json").is_file()]
    if not ready:
        return Finding(_AREA, "cohorts", NOTE, "none prepared yet", "`make repro` prepares them")
    return Finding(_AREA, "cohorts", OK, f"prepared: {', '.join(ready)}")


def _leftovers(workspace: Path) -> Finding:
    found = sorted(path for pattern in _PARTIAL for path in workspace.glob(pattern))
    if not found:
        return Finding(_AREA, "partial folders", OK, "none")
    detail = ", ".join(str(path.relative_to(workspace)) for path in found)
    remedy = "unless something runs now: repeat the same command to continue, or delete them"
    return Finding(_AREA, "partial folders", NOTE, detail, remedy)


def _dvc(root: Path) -> Finding:
    name = "DVC telemetry"
    config = configparser.ConfigParser()
    config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"])
    if config.get("core", "analytics", fallback="") == "false" or os.environ.get(
        "DVC_NO_ANALYTICS"
    ):
        return Finding(_AREA, name, OK, "off")
    return Finding(_AREA, name, NOTE, "on", "`dvc config core.analytics false`")


def _streamlit(root: Path) -> Finding:
    name = "Streamlit telemetry"
    path = root / ".streamlit" / "config.toml"
    values = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if values.get("browser", {}).get("gatherUsageStats") is False:
        return Finding(_AREA, name, OK, "off")
    remedy = f"put `gatherUsageStats = false` under [browser] in {path}"
    return Finding(_AREA, name, NOTE, "on", remedy)
