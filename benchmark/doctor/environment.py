"""The machine: Python, memory, disk, tools, threads, devices."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmark.doctor.finding import FAIL, NOTE, OK, Finding

__all__ = ["environment"]

_AREA = "machine"
_LEAST_PYTHON = (3, 11)
_LEAST_MEMORY_GIB = 4.0  # the default job's peak, two workers
_LEAST_DISK_GIB = 2.0  # cohorts, runs and the cache of profile mini
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def environment(workspace: Path | None = None) -> list[Finding]:
    """Examines the machine and the tools that the default job calls."""
    return [
        _python(),
        Finding(_AREA, "system", OK, f"{platform.platform()}, {os.cpu_count()} CPUs"),
        _memory(),
        _disk(workspace or Path.cwd()),
        *(_tool(name) for name in ("git", "make")),
        _threads(os.environ),
        _torch(),
    ]


def _python() -> Finding:
    version = platform.python_version()
    good = sys.version_info[:2] >= _LEAST_PYTHON
    remedy = "" if good else "make a new environment: `make setup PYTHON=python3.11`"
    return Finding(_AREA, "python", OK if good else FAIL, f"{version} at {sys.executable}", remedy)


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    total, free = memory.total / 2**30, memory.available / 2**30
    detail = f"{total:.1f} GiB, {free:.1f} GiB available"
    if total < _LEAST_MEMORY_GIB:
        remedy = "run one worker: `neurodx run ... profile.workers=1`"
        return Finding(_AREA, "memory", NOTE, detail, remedy)
    return Finding(_AREA, "memory", OK, detail)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 2**30
    good = free >= _LEAST_DISK_GIB
    remedy = "" if good else f"free at least {_LEAST_DISK_GIB:g} GiB, e.g. with `make clean`"
    return Finding(_AREA, "disk", OK if good else FAIL, f"{free:.1f} GiB free here", remedy)


def _tool(name: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(_AREA, name, FAIL, "not found", f"install it: `apt-get install {name}`")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return Finding(_AREA, name, OK, lines[0] if lines else path)


def _threads(variables: Mapping[str, str]) -> Finding:
    given = ", ".join(f"{name}={variables[name]}" for name in _THREADS if name in variables)
    detail = given or "not set"
    return Finding(_AREA, "threads", OK, f"{detail}; runs use one thread per worker in any case")


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding(_AREA, "torch", FAIL, f"cannot be imported: {error}", "`make setup`")
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    count = torch.cuda.device_count()
    names = ", ".join(torch.cuda.get_device_name(k) for k in range(count))
    return Finding(_AREA, "torch", OK, f"{torch.__version__}, {build} build; {names or 'no GPU'}")
