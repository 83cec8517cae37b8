"""Search space."""

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """The penalty and the smoothing before it."""
    return {
        "penalties": [trial.suggest_float("penalty", 1e-6, 1e0, log=True)],
        "smoothing_mm": trial.suggest_float("smoothing_mm", 0.0, 12.0),
    }
