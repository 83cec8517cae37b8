"""Search space."""

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """One penalty instead of the list to choose from."""
    return {"penalties": [trial.suggest_float("penalty", 1e-6, 1e2, log=True)]}
