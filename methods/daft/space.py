"""What tuning may vary."""

from __future__ import annotations

from typing import Any


def suggest(trial: Any) -> dict[str, Any]:
    """Draws settings by dotted key from an Optuna trial."""
    return {
        "trainer.lr": trial.suggest_float("trainer.lr", 5e-4, 2e-2, log=True),
        "trainer.weight_decay": trial.suggest_float("trainer.weight_decay", 1e-4, 1e-1, log=True),
        "location": trial.suggest_categorical(
            "location", ["block", "shortcut", "conv1", "relu1", "conv2"]
        ),
        "squeeze": trial.suggest_categorical("squeeze", [3.5, 7.0, 14.0]),
        "identity_start": trial.suggest_categorical("identity_start", [False, True]),
    }
