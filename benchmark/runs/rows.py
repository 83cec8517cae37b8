"""Board rows: a method in its default settings, a named variant, or a tuned configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmark.config import CONFIGS, Profile, default_settings, method_config, stacked
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.method_info import MethodInfo
from benchmark.registry import get_method
from benchmark.tasks import get_task
from benchmark.tracks import get_track

__all__ = ["Row", "is_open", "resolve_row", "tasks_of_row", "tuned_rows"]

_ROW_KEYS = ("track", "title", "suite", "multitask", "tasks")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the board before it is run.

    Attributes:
        name: Name of the row.
        title: For readers.
        info: What the method says of itself.
        track: What the row sees.
        config: Resolved settings.
        tasks: Tasks that it answers: the method's, or those that its settings were tuned for.
        suite: Cohorts and tasks that one fit spans; empty: each cohort by itself.
        multitask: Whether one fit serves all tasks of a cohort, or of the suite, at once.
        tuned: Whether a sweep chose the settings.
        study: Facts of that sweep, such as ``trials`` and ``wall_seconds``.
    """

    name: str
    title: str
    info: MethodInfo
    track: str
    config: Mapping[str, Any]
    tasks: tuple[str, ...]
    suite: str = ""
    multitask: bool = False
    tuned: bool = False
    study: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pretrained(self) -> str:
        """What the fit starts from: a pretraining's name, a folder of weights, or "" (scratch)."""
        return str(self.config.get("pretrained") or "")


def tasks_of_row(info: MethodInfo, row: str) -> tuple[str, ...]:
    """Tasks that a row of a method answers: the variant's own, or the method's."""
    own = info.variants.get(row, {}).get("tasks", info.tasks)
    if isinstance(own, str) or not isinstance(own, Iterable):
        raise ConfigError(f"row {row!r}: tasks must be several names, got {own!r}")
    return tuple(str(task) for task in own)


def is_open(info: MethodInfo, task: str, track: str) -> bool:
    """Whether a method can answer a task in a track.

    Where the task closes some of the track's sources, it must cope with missing ones, and something
    must be left to see.
    """
    sources = get_track(track)
    left = sources - get_task(task).forbidden_sources
    return left == sources or (info.copes_with_missing and bool(left))


def tuned_rows(configs: Path = CONFIGS) -> dict[str, Path]:
    """Tuned configurations by row name: ``configs/tuned/<row>.yaml``, frozen by a sweep."""
    return {path.stem: path for path in sorted((configs / "tuned").glob("*.yaml"))}


def resolve_row(
    name: str,
    profile: Profile,
    overrides: Mapping[str, Any] | None = None,
    track: str | None = None,
    configs: Path = CONFIGS,
    *,
    scale: str | None = None,
) -> Row:
    """Finds a row and resolves its settings.

    Later layers win: the method's defaults, the profile's settings for the method, the variant, the
    profile's settings for the row, the tuned configuration, the overrides. At another scale the
    defaults are that scale's, and the profile's settings, which are for the default one, are none.

    Raises:
        UnknownNameError: No method, variant or tuned row of that name, no such track, or the method
            has no such scale.
        ConfigError: A setting is misspelt or has the wrong type, the track is not declared, or the
            row is tuned and a scale is asked for.
    """
    frozen = tuned_rows(configs).get(name)
    tuned: dict[str, Any] = {}
    if frozen:
        loaded = OmegaConf.to_container(OmegaConf.load(frozen))
        tuned = {str(k): v for k, v in loaded.items()} if isinstance(loaded, dict) else {}
    source = str(tuned.get("row", name))
    info = get_method(source)
    variant = dict(info.variants.get(source, {}))
    chosen_track = str(track or tuned.get("track") or variant.get("track") or info.tracks[0])
    title = str(tuned.get("title") or variant.get("title") or info.title)
    get_track(chosen_track)
    if chosen_track not in info.tracks:
        raise ConfigError(
            f"method {info.name!r} does not declare the track {chosen_track!r}; it declares "
            f"{', '.join(info.tracks)} (MethodInfo.tracks in {info.folder}/info.py)"
        )
    if scale and frozen:
        raise ConfigError(
            f"scale={scale}: the settings of {name!r} were tuned at the method's own scale; take "
            f"{source!r}"
        )
    base = _defaults(info, scale) if scale else None
    of_profile = {} if scale else profile.settings
    layers = (
        of_profile.get(info.name, {}),
        {k: v for k, v in variant.items() if k not in _ROW_KEYS},
        *(of_profile.get(r, {}) for r in dict.fromkeys((source, name)) if r != info.name),
        tuned.get("config", {}),
        overrides or {},
    )
    settings = stacked(layers, default_settings(info.config, base))
    config = method_config(info.config, settings, f"settings of {name!r}", base)
    own = tasks_of_row(info, source)
    tasks = tuple(task for task in tuned.get("tasks", own) if task in own)
    study = tuned.get("study") or {}
    suite = str(variant.get("suite", info.suite))
    return Row(
        name=name,
        title=title,
        info=info,
        track=chosen_track,
        config=config,
        tasks=tasks,
        suite=suite,
        multitask=bool(variant.get("multitask", info.multitask)),
        tuned=bool(frozen),
        study=study,
    )


def _defaults(info: MethodInfo, scale: str) -> object:
    """Settings of a scale."""
    if scale not in info.scales:
        raise UnknownNameError(f"scale of method {info.name!r}:", scale, info.scales)
    return info.scales[scale]()
