"""What `neurodx sweep` may vary; delete this file if there is nothing to tune."""

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings of Config, by dotted key, from an Optuna trial."""
    return {"penalty": trial.suggest_float("penalty", 1e-3, 1e2, log=True)}
