"""Where jobs are executed; each backend takes the same jobs."""

from benchmark.runs.backends.local import run_local

__all__ = ["run_local"]
