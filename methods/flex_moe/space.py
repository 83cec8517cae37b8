"""What tuning may vary."""

from __future__ import annotations

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings by dotted key from an Optuna trial."""
    return {
        "trainer.lr": trial.suggest_float("trainer.lr", 1e-3, 1e-2, log=True),
        "rate": trial.suggest_float("rate", 0.02, 0.5, log=True),
        "trainer.epochs": trial.suggest_int("trainer.epochs", 8, 20),
        "fusion.dropout": trial.suggest_float("fusion.dropout", 0.0, 0.7),
        "record.dropout": trial.suggest_float("record.dropout", 0.0, 0.8),
        "experts.chosen": trial.suggest_categorical("experts.chosen", [1, 2, 4]),
        "experts.specialise_weight": trial.suggest_float(
            "experts.specialise_weight", 1e-3, 1.0, log=True
        ),
    }
