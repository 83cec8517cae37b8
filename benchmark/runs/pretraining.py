"""Learns weights from people without labels, once, for every fit that starts from them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from benchmark import vocabulary as v
from benchmark.config import Profile, method_config, read_config, stacked, typed
from benchmark.errors import CohortError, ConfigError
from benchmark.method import RunContext
from benchmark.runs.checkpoints import CHECKPOINT, WEIGHTS
from benchmark.runs.fit_log import FitLog
from benchmark.runs.identity import core_hash, library_versions
from benchmark.runs.job import Workspace
from benchmark.runs.readiness import ready_cohort
from benchmark.samples import Samples, build_samples
from benchmark.samples.build import modality_mask
from benchmark.samples.concat import concat_samples
from benchmark.store import Cohort
from benchmark.store.atomic import write_json, write_text
from benchmark.store.folders import empty, lock_folder, put_in_place, recover
from benchmark.store.hashing import canonical_sha256, file_sha256
from benchmark.store.verified import verify_stores

if TYPE_CHECKING:
    from benchmark.encoders.pretraining import PretrainingConfig

__all__ = ["Pretraining", "resolve_pretraining", "run_pretraining"]

_VALIDATION_SHARE = 0.1
_RECIPE = "recipe.json"
_SCRATCH = "scratch"


@dataclass(frozen=True)
class Pretraining:
    """A pretraining as a profile runs it.

    Attributes:
        name: Its name: ``configs/pretraining/<name>.yaml``.
        cohorts: Cohorts whose people of part ``pretrain`` it learns from.
        settings: What differs from the defaults, by dotted key.
    """

    name: str
    cohorts: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def resolved(self) -> dict[str, Any]:
        """All settings, as plain nested values.

        Raises:
            ConfigError: A setting is misspelt or has the wrong type.
        """
        from benchmark.encoders.pretraining import PretrainingConfig

        return method_config(PretrainingConfig, self.settings, f"pretraining {self.name!r}")

    @property
    def config(self) -> PretrainingConfig:
        """The same, typed."""
        from benchmark.encoders.pretraining import PretrainingConfig

        config: PretrainingConfig = typed(PretrainingConfig, self.resolved, self.name)
        return config


def resolve_pretraining(name: str, profile: Profile) -> Pretraining:
    """Reads a pretraining with the settings of a profile.

    Raises:
        UnknownNameError: No such pretraining.
        ConfigError: It names no cohort.
    """
    values = read_config("pretraining", name, "neurodx pretrain --help")
    cohorts = values.pop("cohorts", None)
    if not cohorts:
        raise ConfigError(f"configs/pretraining/{name}.yaml: name its cohorts, a list")
    settings = stacked([values, profile.pretraining.get(name, {})])
    standing = tuple(profile.stand_ins.get(cohort, cohort) for cohort in cohorts)
    return Pretraining(name, standing, settings)


def run_pretraining(
    wanted: Pretraining,
    profile: Profile,
    workspace: Workspace,
    *,
    force: bool = False,
    on_log: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> bool:
    """Learns the weights and writes them with the people that they saw.

    ``pretrained/<name>/`` holds ``weights.pt``, ``checkpoint.json`` and ``train.jsonl``. It is
    written beside its place and renamed when whole; an interrupted one is continued.

    Args:
        wanted: The pretraining.
        profile: The profile.
        workspace: Where cohorts lie and weights go.
        force: Learn anew what is there.
        on_log: Called with each record of the log.

    Returns:
        Whether something was learned, rather than there.

    Raises:
        CohortError: A cohort is missing or damaged, nobody in it is of part ``pretrain``, or
            another process makes the same weights.
    """
    cohorts = [ready_cohort(name, profile.name, workspace) for name in wanted.cohorts]
    identity = _identity(wanted, cohorts, profile)
    target = workspace.pretrained / wanted.name
    if not force and _identity_of(target) == identity:
        return False
    verify_stores(workspace.data / name for name in wanted.cohorts)
    partial = target.with_name(f".{target.name}.partial")
    handle = lock_folder(partial)
    if handle is None:
        raise CohortError(f"{partial}: locked; another process makes these weights, wait for it")
    try:
        recover(target)
        _write(wanted, cohorts, profile, partial, identity, on_log)
        put_in_place(partial, target)
    finally:
        os.close(handle)
    return True


def _identity(wanted: Pretraining, cohorts: list[Cohort], profile: Profile) -> str:
    facts = {
        "settings": wanted.resolved,
        "cohorts": {cohort.name: cohort.content_hash for cohort in cohorts},
        "seed": profile.seeds[0],
        "device": profile.device,
        "precision": profile.precision,
        "core": core_hash(),
        "people": file_sha256(Path(__file__)),  # this file chooses whom it learns from
        "versions": dict(library_versions()),
    }
    return canonical_sha256(facts)[:24]


def _identity_of(folder: Path) -> str:
    path = folder / CHECKPOINT
    return str(json.loads(path.read_text())["identity"]) if path.is_file() else ""


def _write(
    wanted: Pretraining,
    cohorts: list[Cohort],
    profile: Profile,
    folder: Path,
    identity: str,
    on_log: Callable[[Mapping[str, Any]], None],
) -> None:
    begun = folder / _RECIPE
    if not begun.is_file() or json.loads(begun.read_text()) != identity:
        empty(folder)
        write_json(begun, identity)
    kept = FitLog(folder)
    (folder / _SCRATCH).mkdir(exist_ok=True)

    def log(record: Mapping[str, Any]) -> None:
        kept(record)
        on_log(record)

    run = RunContext(
        seed=profile.seeds[0],
        folder=folder / _SCRATCH,
        device=profile.device,
        precision=profile.precision,
        log=log,
    )
    import torch

    from benchmark.encoders.pretraining import pretrain

    seen = {cohort.name: _people(cohort) for cohort in cohorts}
    train, val = (_samples(cohorts, seen, held_back=part) for part in (False, True))
    kept.start()
    encoder = pretrain(train, val, wanted.config, run)
    seconds, cpu_seconds = kept.spent()
    torch.save({name: t.cpu() for name, t in encoder.state_dict().items()}, folder / WEIGHTS)
    write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(wanted.resolved)))
    facts = {
        "name": wanted.name,
        "identity": identity,
        "profile": profile.name,
        "settings": wanted.resolved,
        "participants": seen,
        "sha256": file_sha256(folder / WEIGHTS),
        "params": sum(p.numel() for p in encoder.parameters()),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }
    shutil.rmtree(folder / _SCRATCH)
    kept.close()
    begun.unlink()
    write_json(folder / CHECKPOINT, facts)


def _people(cohort: Cohort) -> list[str]:
    """People of part ``pretrain`` with a volume."""
    index = cohort.index_visits
    wanted = (index[v.PART] == v.PRETRAIN) & modality_mask(cohort, v.T1W)
    people = sorted(str(who) for who in index.loc[wanted, v.PARTICIPANT_ID])
    if not people:
        raise CohortError(
            f"cohort {cohort.name!r}: nobody of part {v.PRETRAIN!r} has a T1w volume, so nothing "
            "to pretrain on; name another cohort in configs/pretraining"
        )
    return people


def _samples(cohorts: list[Cohort], seen: Mapping[str, list[str]], *, held_back: bool) -> Samples:
    parts = []
    for code, cohort in enumerate(cohorts):
        people = seen[cohort.name]
        late = np.argsort([hashlib.sha256(who.encode()).hexdigest() for who in people])
        n = max(1, round(_VALIDATION_SHARE * len(people)))
        chosen = late[:n] if held_back else late[n:]
        ids = [people[i] for i in sorted(chosen)]
        sources = frozenset({"t1w"})
        parts.append(build_samples(cohort, ids, sources, (), with_labels=False, code=code))
    return concat_samples(parts)
