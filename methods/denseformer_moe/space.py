"""What tuning may vary."""

from __future__ import annotations

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings by dotted key from an Optuna trial."""
    return {
        "trainer.lr": trial.suggest_float("trainer.lr", 3e-4, 1e-2, log=True),
        "trainer.weight_decay": trial.suggest_float("trainer.weight_decay", 1e-3, 1e-1, log=True),
        "experts.chosen": trial.suggest_categorical("experts.chosen", [1, 2, 4]),
        "experts.balance_weight": trial.suggest_float(
            "experts.balance_weight", 1e-3, 1e-1, log=True
        ),
        "backbone.dropout": trial.suggest_float("backbone.dropout", 0.0, 0.3),
    }
