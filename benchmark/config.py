"""Types of every configuration value; the values are in ``configs/``.

Nothing here knows Hydra: the command line composes, these classes check. A misspelt key or a value
of the wrong type fails before any data is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from benchmark.errors import ConfigError, UnknownNameError, nearest

__all__ = [
    "CohortPlan",
    "PhantomScale",
    "Profile",
    "Suite",
    "default_settings",
    "flat_keys",
    "load_profile",
    "load_suite",
    "method_config",
    "read_config",
    "rebuilt",
    "stacked",
    "typed",
]

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@dataclass
class CohortPlan:
    """What is fitted on one cohort.

    Attributes:
        fit: Tasks that methods are fitted for.
        derive: Binary tasks read from a fitted one by renormalising: task -> source task.
        external: Cohorts that the fitted models predict as well: cohort -> tasks.
        protocols: Split protocols that are frozen besides the profile's own.
    """

    fit: list[str] = field(default_factory=list)
    derive: dict[str, str] = field(default_factory=dict)
    external: dict[str, list[str]] = field(default_factory=dict)
    protocols: list[str] = field(default_factory=list)


@dataclass
class PhantomScale:
    """Grid and size of the phantom cohorts.

    Attributes:
        spacing_mm: Voxel size of the stored volumes in mm.
        participants: Number of people per cohort.
    """

    spacing_mm: float = MISSING
    participants: dict[str, int] = field(default_factory=dict)


@dataclass
class Suite:
    """Cohorts and tasks that one fit spans.

    Attributes:
        parts: Tasks by cohort.
    """

    parts: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Profile:
    """One size of the benchmark.

    Attributes:
        name: smoke, mini or standard.
        phantom: Scale of the synthetic cohorts.
        cohorts: Cohorts of the pipeline.
        protocol: Split protocol of the default job.
        seeds: Seeds of training; each is a full set of fits.
        plan: What is fitted, by cohort.
        methods: Board rows, in the order of the pipeline.
        settings: Settings that this profile changes: method or row -> settings.
        pretraining: Pretrainings that rows may start from: name -> settings that this profile
            changes.
        stand_ins: Cohorts that take the place of those that suites and pretrainings name.
        workers: Worker processes; 0 means one per core.
        n_resamples: Bootstrap resamples of scores and ranks.
        device: Where torch methods compute.
        precision: "float32" or "amp".
    """

    name: str = MISSING
    phantom: PhantomScale = field(default_factory=PhantomScale)
    cohorts: list[str] = field(default_factory=list)
    protocol: str = MISSING
    seeds: list[int] = field(default_factory=lambda: [0])
    plan: dict[str, CohortPlan] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    pretraining: dict[str, dict[str, Any]] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)
    workers: int = 0
    n_resamples: int = 2000
    device: str = "cpu"
    precision: str = "float32"


def typed(schema: type, values: Mapping[str, Any], where: str) -> Any:
    """Returns an instance of a dataclass filled with checked values.

    Args:
        schema: A dataclass with defaults.
        values: Values that differ from the defaults, nested or with plain keys.
        where: Named in the error, e.g. a file.

    Raises:
        ConfigError: An unknown key (the nearest is suggested), a wrong type, or a missing value.
    """
    return _filled(OmegaConf.structured(schema), values, where)


def rebuilt(schema: type, resolved: Mapping[str, Any], where: str) -> Any:
    """Returns the dataclass that settings were resolved from, as by :func:`method_config`.

    They are whole: nothing is added to a mapping without fixed keys, such as an encoder's
    ``settings``, from the defaults.

    Args:
        schema: The dataclass.
        resolved: All of its values, nested.
        where: Named in the error.

    Raises:
        ConfigError: As :func:`typed`.
    """
    defaults = OmegaConf.structured(schema)
    _empty_free(defaults)
    return _filled(defaults, resolved, where)


def _empty_free(defaults: DictConfig) -> None:
    """Empties the mappings without fixed keys."""
    for key in list(defaults):
        part = None if OmegaConf.is_missing(defaults, key) else defaults[key]
        if not isinstance(part, DictConfig):
            continue
        if is_dataclass(OmegaConf.get_type(part)):
            _empty_free(part)
        else:
            OmegaConf.update(defaults, str(key), {}, merge=False)


def _filled(defaults: DictConfig, values: Mapping[str, Any], where: str) -> Any:
    try:
        merged = OmegaConf.merge(defaults, OmegaConf.create(dict(values)))
        missing = OmegaConf.missing_keys(merged)
        if missing:
            raise ConfigError(f"{where}: no value for {', '.join(sorted(missing))}")
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = str(error.full_key or error.key or "value")
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{where}: {key}: {reason}.{_hint(error)}") from error


def _hint(error: OmegaConfBaseException) -> str:
    owner = error.object_type
    if not isinstance(error, ConfigKeyError) or not is_dataclass(owner):
        return ""
    known = [entry.name for entry in fields(owner)]
    close = nearest(str(error.key), known)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known)}."


def load_profile(name: str, configs: Path = CONFIGS) -> Profile:
    """Reads ``configs/profile/<name>.yaml`` without command-line overrides.

    Raises:
        UnknownNameError: No such profile; the nearest are suggested.
        ConfigError: A value in it is wrong.
    """
    values = read_config("profile", name, "neurodx list profiles", configs)
    profile: Profile = typed(Profile, values, f"configs/profile/{name}.yaml")
    return profile


def load_suite(name: str, profile: Profile, configs: Path = CONFIGS) -> Suite:
    """Reads ``configs/suite/<name>.yaml``, with the profile's stand-ins in their places.

    Raises:
        UnknownNameError: No such suite; the nearest are suggested.
        ConfigError: A value in it is wrong.
    """
    suite: Suite = typed(
        Suite, read_config("suite", name, "", configs), f"configs/suite/{name}.yaml"
    )
    named = [profile.stand_ins.get(cohort, cohort) for cohort in suite.parts]
    if not named or len(set(named)) < len(named):
        raise ConfigError(
            f"suite {name!r} under profile {profile.name!r}: expected one cohort or more, each "
            f"once, got {', '.join(named) or 'none'} (configs/suite/{name}.yaml, `stand_ins` of "
            "the profile)"
        )
    return Suite(dict(zip(named, suite.parts.values(), strict=True)))


def read_config(
    group: str, name: str, command: str = "", configs: Path = CONFIGS
) -> dict[str, Any]:
    """Reads ``configs/<group>/<name>.yaml``.

    Raises:
        UnknownNameError: No such file; the nearest are suggested.
        ConfigError: It is not a mapping.
    """
    path = configs / group / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in (configs / group).glob("*.yaml"))
        raise UnknownNameError(group, name, known, command)
    values = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping")
    return {str(key): value for key, value in values.items()}


def flat_keys(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key.

    >>> flat_keys({"trainer": {"lr": 0.1}, "width": 8})
    {'trainer.lr': 0.1, 'width': 8}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flat_keys(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def stacked(
    layers: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Several layers of settings as one by dotted key; later ones win.

    A layer that names another ``encoder`` takes none of the ``settings`` that earlier layers gave
    beside it, since they are those of the one before.

    Args:
        layers: Settings, nested or by dotted key.
        defaults: By dotted key, what stands where no layer says anything.

    >>> stacked([{"encoder": "a", "settings": {"depth": 2}}, {"encoder": "b"}])
    {'encoder': 'b'}
    >>> stacked([{"settings": {"depth": 2}}, {"encoder": "a"}], {"encoder": "a"})
    {'settings.depth': 2, 'encoder': 'a'}
    """
    settings: dict[str, Any] = {}
    for layer in layers:
        for key, value in flat_keys(layer).items():
            owner = _owner(key)
            if owner is not None and settings.get(key, defaults.get(key, value)) != value:
                gone = f"{owner}settings."
                settings = {k: v for k, v in settings.items() if not k.startswith(gone)}
        settings.update(flat_keys(layer))
    return settings


def default_settings(schema: type | None, base: object | None = None) -> dict[str, Any]:
    """Default settings by dotted key.

    Args:
        schema: ``MethodInfo.config``; None for a method without settings.
        base: An instance of it that takes the place of the defaults.
    """
    if schema is None:
        return {}
    values = OmegaConf.to_container(OmegaConf.structured(schema if base is None else base))
    return flat_keys({str(k): v for k, v in values.items()}) if isinstance(values, dict) else {}


def _owner(key: str) -> str | None:
    """What a key that names an encoder stands in, with its dot; None for any other key."""
    owner, _, name = key.rpartition(".")
    return (f"{owner}." if owner else "") if name == "encoder" else None


def method_config(
    schema: type | None, settings: Mapping[str, Any], where: str, base: object | None = None
) -> dict[str, Any]:
    """Resolves a method's settings to a plain nested dictionary.

    Where they name another ``encoder``, the default ``settings`` beside it fall away: they are
    those of the default one.

    Args:
        schema: ``MethodInfo.config``; None for a method without settings.
        settings: What differs from the defaults; dotted keys reach into nested settings.
        where: Named in the error.
        base: An instance of it that takes the place of the defaults.

    Raises:
        ConfigError: An unknown key, a wrong type, or settings for a method that has none.
    """
    if schema is None:
        if settings:
            raise ConfigError(f"{where}: has no settings, got {', '.join(sorted(settings))}")
        return {}
    nested = OmegaConf.create()
    for key, value in stacked([default_settings(schema, base), settings]).items():
        OmegaConf.update(nested, key, value, force_add=True)
    values = OmegaConf.to_container(nested)
    known = {str(k): v for k, v in values.items()} if isinstance(values, dict) else {}
    instance = rebuilt(schema, known, where)
    if not is_dataclass(instance) or isinstance(instance, type):
        raise ConfigError(f"{where}: MethodInfo.config must be a dataclass, got {schema!r}")
    return asdict(instance)
