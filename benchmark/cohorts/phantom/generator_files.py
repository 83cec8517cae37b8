"""Which files decide the bytes of a phantom cohort: the pipeline's inputs and a resume's key."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Final

from benchmark.store.hashing import tree_sha256

__all__ = ["ORACLE_FILES", "STORE_FILES", "generator_files", "generator_state"]

_PACKAGE: Final = Path(__file__).resolve().parents[2]
# What answers from the truth, and what draws figures for the docs: neither changes a cohort.
ORACLE_FILES: Final = ("oracle.py", "likelihood.py", "severity_prior.py")
_FIGURE_FILES: Final = ("plots.py",)
# What every store goes through, whatever its source.
STORE_FILES: Final = (
    "store/atomic.py",
    "store/contents.py",
    "store/folders.py",
    "store/validate.py",
    "store/writer.py",
    "vocabulary.py",
)
_LIBRARIES: Final = ("nilearn", "numpy", "pandas", "scipy")


def generator_files() -> tuple[str, ...]:
    """Files of the generator relative to ``benchmark/``, sorted by folder; no oracle, no store."""
    folder = _PACKAGE / "cohorts" / "phantom"
    apart = (*ORACLE_FILES, *_FIGURE_FILES)
    names = sorted(path.name for path in folder.glob("*.py") if path.name not in apart)
    return (*(f"cohorts/phantom/{name}" for name in names), "imaging/regions.py")


def generator_state() -> dict[str, str]:
    """One hash of the code and the versions of the libraries: people of two states never mix."""
    files = (*generator_files(), *STORE_FILES)
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"code": tree_sha256(_PACKAGE / file for file in files), **versions}
