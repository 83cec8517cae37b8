"""Freezes the winner of a study as a board row: ``configs/tuned/<row>.yaml``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from benchmark.config import CONFIGS
from benchmark.errors import ConfigError
from benchmark.runs.rows import resolve_row
from benchmark.store.atomic import write_text
from benchmark.store.hashing import canonical_sha256
from benchmark.sweeps.plan import StudyPlan
from benchmark.sweeps.study import StudyResult

__all__ = ["Frozen", "freeze", "tuned_path"]

_SUFFIX = "_tuned"
_FACTS = (
    "study",
    "profile",
    "cohort",
    "tasks",
    "protocol",
    "folds",
    "seed",
    "objective",
    "default_value",
    "trials",
    "failed",
    "wall_seconds",
    "cpu_seconds",
    "n_train",
    "n_validation",
    "tested_elsewhere",
    "sampler",
    "optuna",
)
_SAME_SCALE = ("study", "folds", "n_validation", "inputs")  # of studies whose values compare


@dataclass(frozen=True, slots=True)
class Frozen:
    """What became of the winner; ``kept_because`` says why an older file was left in place."""

    path: Path
    row: str
    kept_because: str = ""


def tuned_path(plan: StudyPlan, output: Path | None = None) -> Path:
    """Where the winner goes: ``configs/tuned/<row>_tuned.yaml`` unless told otherwise.

    Raises:
        ConfigError: ``output`` does not end in ``.yaml``.
    """
    if output is None:
        return CONFIGS / "tuned" / f"{plan.row.name}{_SUFFIX}.yaml"
    if output.suffix != ".yaml":
        raise ConfigError(f"--output {output}: expected a path that ends in .yaml")
    return output


def freeze(plan: StudyPlan, result: StudyResult, path: Path, *, force: bool = False) -> Frozen:
    """Writes the winning settings with the facts of the study.

    Args:
        plan: The study.
        result: Its outcome.
        path: The file; its stem is the name of the tuned row.
        force: Write even if what is frozen already is better or belongs to another study.

    Raises:
        ConfigError: The file would not resolve to the settings of the winning trial.
    """
    row, best = path.stem, result.best
    assert best.value is not None
    if not force and (reason := _older_wins(path, result, best.value)):
        return Frozen(path, row, reason)
    text = _text(plan, result)
    _check(plan, best.settings, row, text)
    write_text(path, text)
    return Frozen(path, row)


def _older_wins(path: Path, result: StudyResult, value: float) -> str:
    if not path.is_file():
        return ""
    loaded = OmegaConf.to_container(OmegaConf.load(path))
    old: Mapping[str, Any] = loaded.get("study", {}) if isinstance(loaded, dict) else {}
    new = _study_facts(result)
    if differ := [name for name in _SAME_SCALE if old.get(name) != new[name]]:
        told = f"it was frozen by another study ({old.get('study', 'unknown')})"
        if differ != ["inputs"]:
            return told
        if "inputs" not in old:
            return f"{told}: the file has no hash of that study's inputs, so values do not compare"
        return f"{told} of other inputs: the cohort, folds, method, code or a library has changed"
    if old["value"] < value:
        return f"it holds a better value ({old['value']:.4f})"
    return ""


def _study_facts(result: StudyResult) -> dict[str, Any]:
    """What a frozen file keeps of ``study.json``, with one hash of all inputs of the study."""
    inputs = canonical_sha256(result.facts["inputs"])
    return {**{name: result.facts[name] for name in _FACTS}, "inputs": inputs}


def _text(plan: StudyPlan, result: StudyResult) -> str:
    row = plan.row
    nested = OmegaConf.create()
    for key, value in {**result.best.settings, **plan.fixed}.items():
        OmegaConf.update(nested, key, value, force_add=True)
    document = {
        "row": row.name,
        "title": f"{row.title}, tuned",
        "track": row.track,
        "tasks": list(plan.tasks),
        "config": OmegaConf.to_container(nested),
        "study": {
            **_study_facts(result),
            "trial": "defaults" if result.best.slot < 0 else result.best.slot,
            "value": result.best.value,
            "roc_auc": dict(result.best.record.get("roc_auc", {})),
            "date": datetime.now(UTC).date().isoformat(),
        },
    }
    header = "# Frozen by `neurodx sweep`; tune again instead of editing.\n"
    return header + yaml.safe_dump(document, sort_keys=False, width=100)


def _check(plan: StudyPlan, settings: Mapping[str, Any], row: str, text: str) -> None:
    """The file as `neurodx run` will read it must give the settings of the winning trial."""
    with tempfile.TemporaryDirectory() as folder:
        write_text(Path(folder) / "tuned" / f"{row}.yaml", text)
        read = resolve_row(row, plan.profile, configs=Path(folder))
    wanted = plan.jobs(settings)[0].config
    if dict(read.config) != dict(wanted):
        raise ConfigError(
            f"row {row!r} would run with {dict(read.config)}, but the winning trial ran with "
            f"{dict(wanted)}; remove {row!r} from `settings` of profile {plan.profile.name!r}"
        )
