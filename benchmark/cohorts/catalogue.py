"""All cohorts that every clone can make, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmark.config import Profile
from benchmark.errors import ConfigError, UnknownNameError

__all__ = ["COHORTS", "DEV_SUFFIX", "CohortSource", "get_cohort"]

Progress = Callable[[int, int], None]
DEV_SUFFIX: Final = "-dev"

_PHANTOM_SEED: Final = 2026
_PHANTOM_DEV_SEED: Final = 7  # twins: methods are developed on these, never on the board's seeds
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


def _phantom(
    profile: Profile, folder: Path, truth: Path, workers: int, progress: Progress | None
) -> None:
    from benchmark.cohorts.phantom.config import PhantomConfig
    from benchmark.cohorts.phantom.prepare import prepare_cohort

    base = folder.name.removesuffix(DEV_SUFFIX)
    if base not in profile.phantom.participants:
        raise ConfigError(
            f"profile {profile.name!r} gives no number of participants for {base!r}; add it under "
            f"phantom.participants in configs/profile/{profile.name}.yaml"
        )
    seed = _PHANTOM_DEV_SEED if folder.name.endswith(DEV_SUFFIX) else _PHANTOM_SEED
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
COHORTS: Final[Mapping[str, CohortSource]] = MappingProxyType(
    {
        **{name: CohortSource(name, title, True, _phantom) for name, title in _PHANTOMS},
        **{
            name + DEV_SUFFIX: CohortSource(
                name + DEV_SUFFIX,
                f"Twin of {name} with another seed, for development",
                True,
                _phantom,
            )
            for name, _ in _PHANTOMS
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
