"""Method cards: what the board says of each row beside its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from omegaconf import OmegaConf

from benchmark.config import Profile
from benchmark.errors import BenchmarkError
from benchmark.provenance import commit
from benchmark.runs.identity import library_versions
from benchmark.runs.job import Workspace
from benchmark.runs.rows import Row, resolve_row
from benchmark.store import store_names
from benchmark.store.hashing import canonical_sha256
from benchmark.tasks import TASKS

__all__ = ["board_facts", "cohort_cards", "method_cards"]


def method_cards(profile: Profile, methods: Sequence[str]) -> list[dict[str, Any]]:
    """Returns one card per board row, from its ``info.py``, its README and its settings."""
    cards = []
    for name in methods:
        try:
            cards.append(_card(resolve_row(name, profile), profile))
        except BenchmarkError as error:
            cards.append({"method": name, "title": name, "summary": f"unavailable: {error}"})
    return cards


def _card(row: Row, profile: Profile) -> dict[str, Any]:
    info = row.info
    readme = info.folder / "README.md" if info.folder else None
    return {
        "method": row.name,
        "title": row.title,
        "summary": info.summary,
        "paper": info.paper,
        "doi": info.doi,
        "bibtex": info.bibtex,
        "licence": info.licence,
        "contact": info.contact,
        "tracks": ", ".join(info.tracks),
        "tasks": ", ".join(row.tasks),
        "requires": ", ".join(info.requires),
        "pretraining": ", ".join(info.pretraining),
        "tuned": row.tuned,
        "tuning": _tuning(row),
        "config_yaml": OmegaConf.to_yaml(OmegaConf.create(dict(row.config))),
        "readme_md": readme.read_text() if readme and readme.is_file() else "",
        "command": f"neurodx run method={row.name} profile={profile.name}",
    }


def _tuning(row: Row) -> str:
    """The budget that the settings cost, which belongs to the result; empty for an untuned row."""
    study = row.study
    if not row.tuned:
        return ""
    if "trials" not in study:
        return "settings from a file that states no sweep"
    failed = f" ({study['failed']} failed)" if study.get("failed") else ""
    place = ", ".join(map(str, study["tasks"]))
    return (
        f"{study['trials']} trials{failed} in {study['wall_seconds']:.0f} s of wall time "
        f"({study['cpu_seconds']:.0f} CPU s), on validation people of {study['cohort']} ({place})"
    )


def cohort_cards(workspace: Workspace) -> Mapping[str, dict[str, Any]]:
    """Returns the datasheets of all cohorts in the workspace."""
    names = store_names(workspace.data)
    return {name: json.loads((workspace.data / name / "cohort.json").read_text()) for name in names}


def board_facts(profile: Profile, workspace: Workspace) -> dict[str, Any]:
    """Returns what the board's trust line says: commit, hashes, date, versions."""
    cards = cohort_cards(workspace)
    manifests = {
        f"{path.parent.name}/{path.stem}": json.loads(path.read_text())["sha256"]
        for path in sorted(workspace.splits.glob("*/*.json"))
    }
    return {
        "profile": profile.name,
        "protocol": profile.protocol,
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "data_hashes": {name: canonical_sha256(card["sha256"]) for name, card in cards.items()},
        "data_parts": {name: card["sha256"] for name, card in cards.items()},
        "preparation": {name: card.get("preparation", "") for name, card in cards.items()},
        "split_hashes": manifests,
        "synthetic_cohorts": [name for name, card in cards.items() if card["synthetic"]],
        "task_titles": {task.name: task.title for task in TASKS.values()},
        "versions": dict(library_versions()),
    }
