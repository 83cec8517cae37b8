"""All cohorts that every clone can make, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmark.config import Profile
from benchmark.errors import ConfigError, UnknownNameError

__all__ = ["COHORTS", "DEV_SUFFIX", "CohortSource", "get_cohort", "untwinned"]

Progress = Callable[[int, int], None]
DEV_SUFFIX: Final = "-dev"

_PHANTOM_SEED: Final = 2026
# Twins: methods are developed on these, never on the board's seed. One twin of 500 people cannot
# tell apart methods that differ by 0.02 AUROC; four together can.
_TWIN_SEEDS: Final = (7, 77, 177, 277)
_TWIN = re.compile(f"{DEV_SUFFIX}([0-9]*)$")
# Cohorts must not share people: with one seed for all, participant 18 had one anatomy in each.
_ROLE_STRIDE: Final = 100_000


@dataclass(frozen=True, slots=True)
class CohortSource:
    """Where a cohort comes from.

    Attributes:
        name: Folder name under ``data/``.
        title: One line for readers.
        synthetic: Whether its people are made up.
        prepare: (profile, store folder, truth folder, workers, progress) -> None.
    """

    name: str
    title: str
    synthetic: bool
    prepare: Callable[[Profile, Path, Path, int, Progress | None], None]


def untwinned(name: str) -> str:
    """The cohort that a twin is a twin of; any other name as it is.

    >>> untwinned("phantom-memory-dev2")
    'phantom-memory'
    """
    return _TWIN.sub("", name)


def _phantom(
    profile: Profile, folder: Path, truth: Path, workers: int, progress: Progress | None
) -> None:
    from benchmark.cohorts.phantom.config import PhantomConfig
    from benchmark.cohorts.phantom.prepare import prepare_cohort

    base = untwinned(folder.name)
    if base not in profile.phantom.participants:
        raise ConfigError(
            f"profile {profile.name!r} gives no number of participants for {base!r}; add it under "
            f"phantom.participants in configs/profile/{profile.name}.yaml"
        )
    twin = _TWIN.search(folder.name)
    seed = _TWIN_SEEDS[int(twin[1] or 1) - 1] if twin else _PHANTOM_SEED
    number = [name for name, _ in _PHANTOMS].index(base)
    config = PhantomConfig(
        name=folder.name,
        role=base.removeprefix("phantom-"),
        n=profile.phantom.participants[base],
        seed=seed + _ROLE_STRIDE * number,
        spacing_mm=profile.phantom.spacing_mm,
    )
    prepare_cohort(config, folder, truth, workers=workers, progress=progress)


def _ad_csf(_profile: Profile, folder: Path, *_: object) -> None:
    from benchmark.cohorts.ad_csf import prepare

    prepare(folder)


_PHANTOMS = (
    ("phantom-population", "Synthetic: healthy, wide age range; pretraining and brain age"),
    ("phantom-memory", "Synthetic: CN, MCI and AD with conversion follow-up, four modalities"),
    ("phantom-movement", "Synthetic: Parkinson's disease and healthy controls"),
    ("phantom-external", "Synthetic: memory axis, other scanners, no genetics; never trained on"),
)
_TWINS = (
    *(name + DEV_SUFFIX for name, _ in _PHANTOMS),
    *(f"phantom-memory{DEV_SUFFIX}{k}" for k in range(2, len(_TWIN_SEEDS) + 1)),
)
COHORTS: Final[Mapping[str, CohortSource]] = MappingProxyType(
    {
        **{name: CohortSource(name, title, True, _phantom) for name, title in _PHANTOMS},
        **{
            twin: CohortSource(
                twin,
                f"Twin of {untwinned(twin)} with another seed, for development",
                True,
                _phantom,
            )
            for twin in _TWINS
        },
        "ad-csf": CohortSource(
            "ad-csf",
            "Real: cerebrospinal fluid of 333 people (Craig-Schapiro 2011)",
            False,
            _ad_csf,
        ),
    }
)


def get_cohort(name: str) -> CohortSource:
    """Returns the source of a cohort.

    Raises:
        UnknownNameError: No such cohort.
    """
    try:
        return COHORTS[name]
    except KeyError:
        raise UnknownNameError("cohort", name, COHORTS, "neurodx list cohorts") from None
