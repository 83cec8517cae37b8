"""What tuning may vary."""

from __future__ import annotations

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings by dotted key from an Optuna trial."""
    return {
        "trainer.lr": trial.suggest_float("trainer.lr", 1e-4, 5e-3, log=True),
        "trainer.epochs": trial.suggest_int("trainer.epochs", 4, 16),
        "fusion.n_queries": trial.suggest_categorical("fusion.n_queries", [1, 4, 8]),
        "fusion.dim": trial.suggest_categorical("fusion.dim", [32, 64, 128]),
        "fusion.auxiliary_dropout": trial.suggest_float("fusion.auxiliary_dropout", 0.0, 0.5),
        "text_stage.trainer.lr": trial.suggest_float("text_stage.trainer.lr", 2e-4, 5e-3, log=True),
        "smri_stage.trainer.lr": trial.suggest_float("smri_stage.trainer.lr", 5e-4, 1e-2, log=True),
    }
