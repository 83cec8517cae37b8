"""Composes configurations with Hydra; the only place that knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from benchmark.config import CONFIGS, Profile, load_profile, typed
from benchmark.errors import ConfigError, nearest
from benchmark.runs.workspace import profile_here

__all__ = ["Request", "compose_request"]


@dataclass
class Request:
    """What ``neurodx run`` and ``neurodx sweep`` are asked for; see ``configs/config.yaml``."""

    profile: Profile = field(default_factory=Profile)
    method: str = ""
    track: str | None = None
    scale: str | None = None
    protocol: str | None = None
    cohort: str | None = None
    task: str | None = None
    fold: int | None = None
    seed: int | None = None
    trials: int = 20
    config: dict[str, Any] = field(default_factory=dict)


def compose_request(overrides: Sequence[str]) -> Request:
    """Composes ``configs/config.yaml`` with overrides such as ``method=resnet3d profile=smoke``.

    Without ``profile=`` it is the profile whose workspace the current folder lies in, or mini.

    Raises:
        ConfigError: An override is malformed, unknown or of the wrong type.
        UnknownNameError: No such profile.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not any(override.partition("=")[0] == "profile" for override in overrides):
        overrides = [f"profile={profile_here()}", *overrides]
    for override in overrides:
        _check(override)
    ready = [f"+{o}" if o.startswith("config.") else o for o in overrides]
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            composed = compose("config", overrides=ready)
        if OmegaConf.is_missing(composed, "method"):
            raise ConfigError("say which method: `method=NAME` (`neurodx list methods`)")
        values = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{' '.join(overrides)}: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError("configs/config.yaml: expected a mapping")
    request: Request = typed(Request, {str(k): v for k, v in values.items()}, "configuration")
    return request


def _check(override: str) -> None:
    """Refuses what Hydra would refuse, naming what was probably meant."""
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r}: expected KEY=VALUE, e.g. method=resnet3d")
    group, _, inner = key.lstrip("+~").partition(".")
    _check_key(group, Request, key)
    if group == "profile" and inner:
        _check_key(inner.partition(".")[0], Profile, key)
    elif group == "profile":
        load_profile(value)


def _check_key(name: str, schema: type, key: str) -> None:
    known = [entry.name for entry in fields(schema)]
    if name not in known:
        close = nearest(name, known)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        raise ConfigError(f"unknown key {key!r}; {hint} See `neurodx run --help`")
