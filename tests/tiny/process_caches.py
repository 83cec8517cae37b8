"""What one process keeps of code and data, and how a test makes it forget."""

from __future__ import annotations

from benchmark.registry import registry
from benchmark.runs import identity


def forget() -> None:
    """Empties the caches that hold for one process: code and data may differ now."""
    registry.cache_clear()
    identity.forget_inputs()
    identity.library_versions.cache_clear()
