"""Search space."""

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """One penalty instead of the list to choose from."""
    return {"penalties": [trial.suggest_float("penalty", 1e-4, 1e3, log=True)]}
