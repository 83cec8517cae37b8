"""What tuning may vary."""

from __future__ import annotations

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings by dotted key from an Optuna trial."""
    return {
        "trainer.lr": trial.suggest_float("trainer.lr", 5e-4, 1e-2, log=True),
        "trainer.weight_decay": trial.suggest_float("trainer.weight_decay", 1e-3, 1e-1, log=True),
        "body_rate": trial.suggest_categorical("body_rate", [0.2, 0.5, 1.0]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "trainer.balance.weighting": trial.suggest_categorical(
            "trainer.balance.weighting", ["fixed", "uncertainty", "gradnorm", "pcgrad"]
        ),
    }
