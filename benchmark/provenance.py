"""Which commit of this repository is running."""

from __future__ import annotations

import subprocess
from functools import cache

from benchmark.registry import ROOT

__all__ = ["commit"]


@cache
def commit() -> str:
    """Returns the commit's hash, with ``+changes`` where tracked files differ; "" outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head}+changes" if changed else head


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
