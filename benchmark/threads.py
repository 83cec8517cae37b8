"""One thread per process: on busy cores, threads that wait for each other cost far more."""

from __future__ import annotations

import os

__all__ = ["one_thread"]

_NAMES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def one_thread() -> None:
    """Asks numpy and torch, if not imported yet, for one thread; child processes inherit it."""
    os.environ.update(dict.fromkeys(_NAMES, "1"))
