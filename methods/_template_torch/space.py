"""What `neurodx sweep` may vary; delete this file if there is nothing to tune."""

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings of Config, by dotted key, from an Optuna trial."""
    return {"trainer.lr": trial.suggest_float("trainer.lr", 5e-4, 2e-2, log=True)}
