"""Weights that a fit starts from: whose scans they saw, and that nobody of them is held back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from benchmark import vocabulary as v
from benchmark.config import CONFIGS, flat_keys
from benchmark.errors import ConfigError, LeakageError
from benchmark.leakage.naming import listed
from benchmark.runs.job import Job, Workspace
from benchmark.runs.people import Cell
from benchmark.store.hashing import file_sha256, tree_sha256

__all__ = [
    "CHECKPOINT",
    "WEIGHTS",
    "checkpoint_facts",
    "checkpoint_folder",
    "checkpoint_hash",
    "refuse_pretrained_people",
    "weights_read",
]

CHECKPOINT: Final = "checkpoint.json"
WEIGHTS: Final = "weights.pt"
_FOLDER: Final = "folder"


def is_recipe(name: str, configs: Path = CONFIGS) -> bool:
    """Whether a name is that of a pretraining of this project, rather than a folder of weights."""
    return Path(name).name == name and (configs / "pretraining" / f"{name}.yaml").is_file()


def checkpoint_folder(job: Job, workspace: Workspace) -> Path | None:
    """Where the weights lie that a job starts from; None if it starts from scratch.

    Raises:
        ConfigError: They are not there.
    """
    name = job.pretrained
    if not name:
        return None
    if not is_recipe(name):
        if Path(name).exists():
            return Path(name)
        raise ConfigError(
            f"{job.row}: pretrained={name!r} is neither a pretraining (configs/pretraining) nor a "
            "file or folder of weights; give one of these, or pretrained='' to start from scratch"
        )
    folder = workspace.pretrained / name
    if not (folder / CHECKPOINT).is_file():
        raise ConfigError(
            f"{job.row}: starts from the pretraining {name!r}, which has not been made: expected "
            f"{folder / CHECKPOINT}; run `neurodx pretrain {name} --profile {job.profile}`"
        )
    return folder


def weights_read(job: Job, workspace: Workspace) -> dict[str, Path]:
    """All weights that a job reads, by what names them.

    These are what it starts from, ``pretrained/<name>``, and what every setting called ``folder``
    names, such as ``text.folder``.

    Raises:
        ConfigError: They are not there.
    """
    start = checkpoint_folder(job, workspace)
    found = {} if start is None else {f"pretrained/{job.pretrained}": start}
    for key, value in flat_keys(job.config).items():
        if key.rpartition(".")[2] != _FOLDER or not value:
            continue
        if not Path(value).exists():
            raise ConfigError(
                f"{job.row}: {key}={value!r} is no file or folder of weights; give the path of one "
                f"(`config.{key}=PATH`)"
            )
        found[key] = Path(value)
    return found


def checkpoint_facts(folder: Path) -> dict[str, Any]:
    """What was recorded with a checkpoint of this project; empty for weights from elsewhere."""
    path = _home(folder) / CHECKPOINT
    facts: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return facts


def _home(path: Path) -> Path:
    """The folder of a checkpoint of this project of which the file of weights is named."""
    return path.parent if path.name == WEIGHTS and path.is_file() else path


def checkpoint_hash(folder: Path) -> str:
    """Hash of the weights: those of a checkpoint of this project, or all files from elsewhere.

    Raises:
        ConfigError: The weights are not those that were recorded.
    """
    stated = checkpoint_facts(folder).get("sha256")
    if stated is None:
        files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        facts = ((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())
        return _hash_of_files(folder, tuple(facts))
    path = _home(folder) / WEIGHTS
    found = file_sha256(path) if path.is_file() else "none, there is no such file"
    if found != stated:
        raise ConfigError(
            f"{path}: sha256 {found[:30]}, expected {str(stated)[:30]} as recorded beside it; "
            f"damaged: run `{_command(folder)}`, or bring the file from where it came"
        )
    return found


@lru_cache(maxsize=32)
def _hash_of_files(folder: Path, _facts: tuple[tuple[str, int, int], ...]) -> str:
    """Hash of a file or folder, read once as long as its files are the same."""
    return file_sha256(folder) if folder.is_file() else tree_sha256(folder.iterdir())


def refuse_pretrained_people(job: Job, cells: Iterable[Cell], workspace: Workspace) -> None:
    """Refuses weights that have seen somebody who is held back in this run.

    Raises:
        LeakageError: A validation, test or external person was in the pretraining; they are named.
    """
    read = weights_read(job, workspace).items()
    seen = {name: checkpoint_facts(folder).get("participants", {}) for name, folder in read}
    for cell in cells:
        held_back = {
            who for part in (v.VALIDATION, v.TEST, v.EXTERNAL) for who in cell.people.get(part, ())
        }
        for name, people in seen.items():
            both = sorted(held_back & set(people.get(cell.cohort.name, ())))
            if both:
                raise LeakageError(
                    f"{job.label}: the weights of {name!r} have seen {len(both)} people of "
                    f"{cell.cohort.name} who are held back here: {listed(both)}; expected nobody. "
                    "Pretrain on people of part 'pretrain' only"
                )


def _command(folder: Path) -> str:
    facts = checkpoint_facts(folder)
    profile = f" --profile {facts['profile']}" if "profile" in facts else ""
    return f"neurodx pretrain {facts.get('name', folder.name)}{profile} --force"
