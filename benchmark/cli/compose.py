"""Composes configurations with Hydra; the only place that knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.config import CONFIGS, Profile, typed
from benchmark.errors import ConfigError

__all__ = ["Request", "compose_request"]


@dataclass
class Request:
    """What ``neurodx run`` and ``neurodx sweep`` are asked for; see ``configs/config.yaml``."""

    profile: Profile = field(default_factory=Profile)
    method: str = ""
    track: str | None = None
    cohort: str | None = None
    task: str | None = None
    fold: int | None = None
    seed: int | None = None
    trials: int = 20
    config: dict[str, Any] = field(default_factory=dict)


def compose_request(overrides: Sequence[str]) -> Request:
    """Composes ``configs/config.yaml`` with overrides such as ``method=resnet3d profile=smoke``.

    Raises:
        ConfigError: An override is malformed, unknown or of the wrong type.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

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
