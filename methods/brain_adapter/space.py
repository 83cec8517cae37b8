"""What tuning may vary."""

from __future__ import annotations

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings by dotted key from an Optuna trial."""
    return {
        "trainer.lr": trial.suggest_float("trainer.lr", 1e-3, 3e-2, log=True),
        "projection_lr": trial.suggest_float("projection_lr", 1e-4, 1e-2, log=True),
        "projection": trial.suggest_categorical("projection", [32, 64, 128]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "report_rate": trial.suggest_float("report_rate", 0.03, 1.0, log=True),
        "contrastive_weight": trial.suggest_float("contrastive_weight", 0.01, 1.0, log=True),
    }
