"""What tuning may vary."""

from __future__ import annotations

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings by dotted key from an Optuna trial."""
    return {
        "trainer.lr": trial.suggest_float("trainer.lr", 5e-4, 2e-2, log=True),
        "trainer.weight_decay": trial.suggest_float("trainer.weight_decay", 1e-4, 1e-1, log=True),
        "sigma_years": trial.suggest_float("sigma_years", 2.0, 8.0),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }
