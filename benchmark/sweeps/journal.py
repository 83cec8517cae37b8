"""The journal of a study: opened by one sweep at a time, repaired after a kill.

A study has slots 0 to N - 1. Each slot is one trial that ended, well or by the method's own error;
a trial that was interrupted frees its slot. The sampler is seeded from (seed, slot), so with one
worker an interrupted study goes on exactly as if it had never stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.errors import ConfigError

__all__ = ["JOURNAL", "free_slots", "open_study", "sampler_for", "slot_of"]

JOURNAL = "journal.log"
_LOCK = "lock"
_INPUTS = "inputs"


@contextmanager
def open_study(folder: Path, name: str, inputs: dict[str, str]) -> Iterator[Any]:
    """Opens or begins a study for as long as the context lasts.

    Args:
        folder: ``sweeps/<study>``.
        name: The study's name.
        inputs: Hashes of all that its values depend on; an existing study must have the same.

    Yields:
        The Optuna study; what an interrupted sweep left running is marked failed.

    Raises:
        ConfigError: Another sweep is running on it, or it was begun with other inputs.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another sweep is running on {folder}; wait for it or stop it"
            ) from None
        shutil.rmtree(folder / "scratch", ignore_errors=True)
        path = folder / JOURNAL
        study = _load(path, name)
        if study.user_attrs.get(_INPUTS, inputs) != inputs:
            _refuse_other_inputs(folder, study, inputs)
            path.unlink()
            study = _load(path, name)
        study.set_user_attr(_INPUTS, inputs)
        for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        yield study


def _load(path: Path, name: str) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    for stale in path.parent.glob(f"{path.name}.lock*"):
        stale.unlink()  # left by a kill: we hold the study's own lock, so nobody writes
    if path.is_file():
        whole = path.read_bytes()
        if not whole.endswith(b"\n"):  # a record torn by a kill; what precedes it is whole
            path.write_bytes(whole[: whole.rfind(b"\n") + 1])
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(
        storage=storage, study_name=name, direction="minimize", load_if_exists=True
    )


def _refuse_other_inputs(folder: Path, study: Any, inputs: dict[str, str]) -> None:
    """A study in which nothing succeeded is begun anew; any other is protected."""
    import optuna

    if not study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]):
        return
    old = study.user_attrs[_INPUTS]
    changed = sorted(k for k in {*old, *inputs} if old.get(k) != inputs.get(k))
    raise ConfigError(
        f"{folder}: its trials were made with other inputs (changed: {', '.join(changed)}), so "
        "their values cannot be compared with new ones; move or remove that folder to begin anew"
    )


def slot_of(trial: Any) -> int | None:
    """The slot that a trial fills; None while it runs, and if it was interrupted."""
    if trial.state.name == "COMPLETE" or "error" in trial.user_attrs:
        return int(trial.user_attrs["slot"])
    return None


def free_slots(study: Any, n_trials: int) -> list[int]:
    """Slots of the first ``n_trials`` that no finished trial fills, in order."""
    filled = {slot_of(trial) for trial in study.get_trials(deepcopy=False)}
    return [slot for slot in range(n_trials) if slot not in filled]


def sampler_for(seed: int, slot: int) -> Any:
    """Optuna's default tree-structured Parzen estimator, seeded for one slot."""
    from optuna.samplers import TPESampler

    digest = hashlib.sha256(f"{seed}/{slot}".encode()).digest()
    return TPESampler(seed=int.from_bytes(digest[:4], "little"))
