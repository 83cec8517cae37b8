"""The probe's search space."""

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    return {"penalty": trial.suggest_float("penalty", 1e-3, 1e3, log=True)}
